/* bridgeExitAttach, bridgeExitSetPort: arguments only (see bridge_exit_loader.h). */
#include "../bridge_exit_loader.h"
#include "arguments.h"
#include "exports.h"

static napi_value js_attach(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  napi_value result;
  struct slab file;
  int64_t bridge;
  int64_t tun;
  struct bridge_exit_handles handles;
  const char *syscall;
  if (!arguments(env, info, 3, argv) || !argument_bytes(env, argv[0], "object", &file)) return NULL;
  if (!argument_integer(env, argv[1], "bridge", 1, INT32_MAX, &bridge)) return NULL;
  if (!argument_integer(env, argv[2], "tun", 1, INT32_MAX, &tun)) return NULL;
  int error = bridge_exit_attach(&file, (int)bridge, (int)tun, &handles, &syscall);
  if (error < 0) return throw_errno(env, error, syscall);
  if (napi_create_object(env, &result) != napi_ok) return NULL;
  bool complete =
      napi_set_named_property(env, result, "link", number(env, handles.link)) == napi_ok &&
      napi_set_named_property(env, result, "ports", number(env, handles.ports)) == napi_ok;
  return complete ? result : NULL;
}

static napi_value js_set_port(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  int fd;
  uint8_t mac[BRIDGE_EXIT_MAC_LEN];
  int64_t port;
  if (!arguments(env, info, 3, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  if (!argument_mac(env, argv[1], mac)) return NULL;
  if (!argument_integer(env, argv[2], "port", 0, INT32_MAX, &port)) return NULL;
  return number(env, bridge_exit_set_port(fd, mac, (int)port));
}

bool export_bridge_exit(napi_env env, napi_value exports) {
  return export_function(env, exports, "bridgeExitAttach", js_attach) &&
         export_function(env, exports, "bridgeExitSetPort", js_set_port);
}
