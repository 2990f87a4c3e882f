/* The functions of udp_socket.h: arguments only. */
#include "../udp_socket.h"
#include "arguments.h"
#include "exports.h"

/* udpOpen(address, port, device, bufferBytes, ttl, shared) */
static napi_value js_udp_open(napi_env env, napi_callback_info info) {
  napi_value argv[6];
  int64_t address;
  int64_t port;
  int64_t buffer;
  int64_t ttl;
  const char *syscall;
  struct udp_options options = {0};
  if (!arguments(env, info, 6, argv)) return NULL;
  if (!argument_integer(env, argv[0], "address", 0, UINT32_MAX, &address)) return NULL;
  if (!argument_integer(env, argv[1], "port", 0, UINT16_MAX, &port)) return NULL;
  if (!argument_string(env, argv[2], "device", options.device, sizeof options.device)) return NULL;
  if (!argument_integer(env, argv[3], "bufferBytes", 0, INT32_MAX / 2, &buffer)) return NULL;
  if (!argument_integer(env, argv[4], "ttl", 0, UINT8_MAX, &ttl)) return NULL;
  if (!argument_boolean(env, argv[5], "shared", &options.shared)) return NULL;
  options.address = (uint32_t)address;
  options.port = (uint16_t)port;
  options.send_buffer = options.receive_buffer = (int)buffer;
  options.ttl = (uint8_t)ttl;
  return number_or_throw(env, udp_open(&options, &syscall), syscall);
}

/* udpPort(fd) */
static napi_value js_udp_port(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int fd;
  if (!arguments(env, info, 1, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  return number_or_throw(env, udp_port(fd), "getsockname");
}

static napi_value js_udp_receive(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  int fd;
  struct batch batch;
  if (!arguments(env, info, 4, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  if (!argument_batch(env, argv + 1, &batch)) return NULL;
  return number(env, udp_receive(fd, &batch.slab, batch.packets, batch.count));
}

/* udpSend(fds, port, slab, descriptors, count) */
static napi_value js_udp_send(napi_env env, napi_callback_info info) {
  napi_value argv[5];
  int32_t *fds;
  size_t fd_count;
  int64_t port;
  struct batch batch;
  if (!arguments(env, info, 5, argv) || !argument_tokens(env, argv[0], &fds, &fd_count))
    return NULL;
  if (!argument_integer(env, argv[1], "port", 1, UINT16_MAX, &port)) return NULL;
  if (!argument_batch(env, argv + 2, &batch)) return NULL;
  return number(env,
                udp_send(fds, fd_count, (uint16_t)port, &batch.slab, batch.packets, batch.count));
}

bool export_udp_socket(napi_env env, napi_value exports) {
  return export_function(env, exports, "udpOpen", js_udp_open) &&
         export_function(env, exports, "udpPort", js_udp_port) &&
         export_function(env, exports, "udpReceive", js_udp_receive) &&
         export_function(env, exports, "udpSend", js_udp_send);
}
