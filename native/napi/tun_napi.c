/* ringOpen, ringClose, tunOpen, tunPersist, tunDetachQueue, tunRead, tunWrite, and tap… for a TAP:
 * arguments only (see ring.h, tun.h). */
#include "../merge.h"
#include "../ring.h"
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

static void finalize_ring(napi_env env, void *ring, void *hint) {
  (void)env;
  (void)hint;
  ring_free(ring);
}

static napi_value js_ring_open(napi_env env, napi_callback_info info) {
  (void)info;
  struct ring *ring;
  const char *syscall;
  napi_value external;
  int error = ring_open(&ring, &syscall);
  if (error < 0) return throw_errno(env, error, syscall);
  if (napi_create_external(env, ring, finalize_ring, NULL, &external) == napi_ok) return external;
  ring_free(ring);
  return NULL;
}

static bool argument_ring(napi_env env, napi_value value, struct ring **ring) {
  void *data = NULL;
  napi_valuetype type;
  *ring = NULL;
  if (napi_typeof(env, value, &type) != napi_ok) return false;
  if (type == napi_null) return true;
  if (napi_get_value_external(env, value, &data) != napi_ok) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "ring: want null or what ringOpen returned");
    return false;
  }
  *ring = data;
  return true;
}

static napi_value js_ring_close(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  struct ring *ring;
  if (!arguments(env, info, 1, argv) || !argument_ring(env, argv[0], &ring)) return NULL;
  if (ring != NULL) ring_close(ring);
  return NULL;
}

static napi_value read_device(napi_env env, napi_callback_info info, size_t link) {
  napi_value argv[5];
  int fd;
  struct ring *ring;
  struct batch batch;
  if (!arguments(env, info, 5, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  if (!argument_ring(env, argv[1], &ring)) return NULL;
  if (!argument_batch(env, argv + 2, &batch)) return NULL;
  return number(env, tun_read(fd, ring, &batch.slab, batch.packets, batch.count, link));
}

static napi_value js_tun_read(napi_env env, napi_callback_info info) {
  return read_device(env, info, 0);
}

static napi_value js_tap_read(napi_env env, napi_callback_info info) {
  return read_device(env, info, TAP_LINK);
}

static napi_value write_device(napi_env env, napi_callback_info info, size_t link) {
  napi_value argv[7];
  int fd;
  struct ring *ring;
  struct batch batch;
  int64_t mtu;
  int64_t merge;
  if (!arguments(env, info, 7, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  if (!argument_ring(env, argv[1], &ring)) return NULL;
  if (!argument_batch(env, argv + 2, &batch)) return NULL;
  if (!argument_integer(env, argv[5], "mtu", 68, UINT16_MAX, &mtu)) return NULL;
  if (!argument_integer(env, argv[6], "merge", 0, MERGE_TCP | MERGE_UDP, &merge)) return NULL;
  return number(env, tun_write(fd, ring, &batch.slab, batch.packets, batch.count, (size_t)mtu,
                               (unsigned)merge, link));
}

static napi_value js_tun_write(napi_env env, napi_callback_info info) {
  return write_device(env, info, 0);
}

static napi_value js_tap_write(napi_env env, napi_callback_info info) {
  return write_device(env, info, TAP_LINK);
}

bool export_tun(napi_env env, napi_value exports) {
  return export_function(env, exports, "ringOpen", js_ring_open) &&
         export_function(env, exports, "ringClose", js_ring_close) &&
         export_function(env, exports, "tunOpen", js_tun_open) &&
         export_function(env, exports, "tunPersist", js_tun_persist) &&
         export_function(env, exports, "tunDetachQueue", js_tun_detach_queue) &&
         export_function(env, exports, "tunRead", js_tun_read) &&
         export_function(env, exports, "tunWrite", js_tun_write) &&
         export_function(env, exports, "tapOpen", js_tap_open) &&
         export_function(env, exports, "tapRead", js_tap_read) &&
         export_function(env, exports, "tapWrite", js_tap_write);
}
