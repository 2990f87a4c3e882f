/* netlinkOpen, netlinkSend, netlinkReceive: arguments only (see netlink.h). */
#include "../netlink.h"
#include "arguments.h"
#include "exports.h"

static napi_value js_netlink_open(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  int64_t protocol;
  int64_t groups;
  const char *syscall;
  if (!arguments(env, info, 2, argv)) return NULL;
  if (!argument_integer(env, argv[0], "protocol", 0, UINT8_MAX, &protocol)) return NULL;
  if (!argument_integer(env, argv[1], "groups", 0, UINT32_MAX, &groups)) return NULL;
  int fd = netlink_open((int)protocol, (uint32_t)groups, &syscall);
  return number_or_throw(env, fd, syscall);
}

static napi_value js_netlink_send(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  int fd;
  struct slab bytes;
  if (!arguments(env, info, 2, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  if (!argument_bytes(env, argv[1], "bytes", &bytes)) return NULL;
  return number(env, netlink_send(fd, bytes.bytes, bytes.size));
}

static napi_value js_netlink_receive(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  int fd;
  struct slab bytes;
  if (!arguments(env, info, 2, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  if (!argument_bytes(env, argv[1], "bytes", &bytes)) return NULL;
  return number(env, netlink_receive(fd, bytes.bytes, bytes.size));
}

bool export_netlink(napi_env env, napi_value exports) {
  return export_function(env, exports, "netlinkOpen", js_netlink_open) &&
         export_function(env, exports, "netlinkSend", js_netlink_send) &&
         export_function(env, exports, "netlinkReceive", js_netlink_receive);
}
