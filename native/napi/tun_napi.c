/* tunOpen, tunPersist, tunDetachQueue, tunRead, tunWrite, and tap… for a TAP: arguments only (see
 * tun.h). */
#include "../merge.h"
#include "../tun.h"
#include "arguments.h"
#include "exports.h"

static napi_value tun_info(napi_env env, const struct tun *tun) {
  napi_value object;
  napi_value name;
  if (napi_create_object(env, &object) != napi_ok ||
      napi_create_string_utf8(env, tun->name, NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_set_named_property(env, object, "fd", number(env, tun->fd)) != napi_ok ||
      napi_set_named_property(env, object, "name", name) != napi_ok ||
      napi_set_named_property(env, object, "offloads", number(env, tun->offloads)) != napi_ok) {
    return NULL;
  }
  return object;
}

static napi_value open_device(napi_env env, napi_callback_info info, bool tap) {
  napi_value argv[3];
  char name[256];
  int64_t offloads;
  bool multi_queue;
  struct tun tun;
  const char *syscall;
  if (!arguments(env, info, 3, argv)) return NULL;
  if (!argument_string(env, argv[0], "name", name, sizeof name)) return NULL;
  if (!argument_integer(env, argv[1], "offloads", 0, UINT32_MAX, &offloads)) return NULL;
  if (!argument_boolean(env, argv[2], "multiQueue", &multi_queue)) return NULL;
  int error = tun_open(name, (unsigned)offloads, multi_queue, tap, &tun, &syscall);
  return error < 0 ? throw_errno(env, error, syscall) : tun_info(env, &tun);
}

static napi_value js_tun_open(napi_env env, napi_callback_info info) {
  return open_device(env, info, false);
}

static napi_value js_tap_open(napi_env env, napi_callback_info info) {
  return open_device(env, info, true);
}

static napi_value js_tun_persist(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  int fd;
  bool persist;
  if (!arguments(env, info, 2, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  if (!argument_boolean(env, argv[1], "persist", &persist)) return NULL;
  return nothing_or_throw(env, tun_persist(fd, persist), "TUNSETPERSIST");
}

static napi_value js_tun_detach_queue(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int fd;
  if (!arguments(env, info, 1, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  return nothing_or_throw(env, tun_detach_queue(fd), "TUNSETQUEUE");
}

static napi_value read_device(napi_env env, napi_callback_info info, size_t link) {
  napi_value argv[4];
  int fd;
  struct batch batch;
  if (!arguments(env, info, 4, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  if (!argument_batch(env, argv + 1, &batch)) return NULL;
  return number(env, tun_read(fd, &batch.slab, batch.packets, batch.count, link));
}

static napi_value js_tun_read(napi_env env, napi_callback_info info) {
  return read_device(env, info, 0);
}

static napi_value js_tap_read(napi_env env, napi_callback_info info) {
  return read_device(env, info, TAP_LINK);
}

static napi_value write_device(napi_env env, napi_callback_info info, size_t link) {
  napi_value argv[6];
  int fd;
  struct batch batch;
  int64_t mtu;
  int64_t merge;
  if (!arguments(env, info, 6, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  if (!argument_batch(env, argv + 1, &batch)) return NULL;
  if (!argument_integer(env, argv[4], "mtu", 68, UINT16_MAX, &mtu)) return NULL;
  if (!argument_integer(env, argv[5], "merge", 0, MERGE_TCP | MERGE_UDP, &merge)) return NULL;
  return number(env, tun_write(fd, &batch.slab, batch.packets, batch.count, (size_t)mtu,
                               (unsigned)merge, link));
}

static napi_value js_tun_write(napi_env env, napi_callback_info info) {
  return write_device(env, info, 0);
}

static napi_value js_tap_write(napi_env env, napi_callback_info info) {
  return write_device(env, info, TAP_LINK);
}

bool export_tun(napi_env env, napi_value exports) {
  return export_function(env, exports, "tunOpen", js_tun_open) &&
         export_function(env, exports, "tunPersist", js_tun_persist) &&
         export_function(env, exports, "tunDetachQueue", js_tun_detach_queue) &&
         export_function(env, exports, "tunRead", js_tun_read) &&
         export_function(env, exports, "tunWrite", js_tun_write) &&
         export_function(env, exports, "tapOpen", js_tap_open) &&
         export_function(env, exports, "tapRead", js_tap_read) &&
         export_function(env, exports, "tapWrite", js_tap_write);
}
