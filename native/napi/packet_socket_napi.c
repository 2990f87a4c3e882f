/* packetReceiverOpen, packetReceiverGroup, packetSenderOpen, packetUnsent, packetReceive,
 * packetSend, gsoShimAttach: arguments only (see packet_socket.h, gso_shim.h). */
#include <errno.h>

#include "../gso_shim.h"
#include "../packet_socket.h"
#include "arguments.h"
#include "exports.h"

static bool argument_ifindex(napi_env env, napi_value value, int *out) {
  int64_t ifindex;
  if (!argument_integer(env, value, "ifindex", 1, INT32_MAX, &ifindex)) return false;
  *out = (int)ifindex;
  return true;
}

static napi_value js_receiver_open(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  int ifindex;
  int64_t address;
  int64_t buffer;
  int64_t group;
  const char *syscall;
  if (!arguments(env, info, 4, argv) || !argument_ifindex(env, argv[0], &ifindex)) return NULL;
  if (!argument_integer(env, argv[1], "address", 0, UINT32_MAX, &address)) return NULL;
  if (!argument_integer(env, argv[2], "bufferBytes", 0, INT32_MAX / 2, &buffer)) return NULL;
  if (!argument_integer(env, argv[3], "group", 0, UINT16_MAX, &group)) return NULL;
  int fd = packet_receiver_open(ifindex, (uint32_t)address, (int)buffer, (int)group, &syscall);
  return number_or_throw(env, fd, syscall);
}

static napi_value js_receiver_group(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int fd;
  if (!arguments(env, info, 1, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  return number_or_throw(env, packet_receiver_group(fd), "getsockopt");
}

static napi_value js_sender_open(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  int ifindex;
  int64_t buffer;
  bool shim;
  const char *syscall;
  if (!arguments(env, info, 3, argv) || !argument_ifindex(env, argv[0], &ifindex)) return NULL;
  if (!argument_integer(env, argv[1], "bufferBytes", 0, INT32_MAX / 2, &buffer)) return NULL;
  if (!argument_boolean(env, argv[2], "shim", &shim)) return NULL;
  int fd = packet_sender_open(ifindex, (int)buffer, shim, &syscall);
  return number_or_throw(env, fd, syscall);
}

static napi_value js_packet_unsent(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int fd;
  if (!arguments(env, info, 1, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  return number(env, packet_unsent(fd));
}

static napi_value js_packet_receive(napi_env env, napi_callback_info info) {
  napi_value argv[5];
  int fd;
  struct batch batch;
  uint32_t *lost;
  size_t words;
  if (!arguments(env, info, 5, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  if (!argument_batch(env, argv + 1, &batch)) return NULL;
  if (!argument_words(env, argv[4], "lost", &lost, &words)) return NULL;
  if (words == 0) return throw_errno(env, -EINVAL, "packetReceive");
  return number(env, packet_receive(fd, &batch.slab, batch.packets, batch.count, lost));
}

static napi_value js_packet_send(napi_env env, napi_callback_info info) {
  napi_value argv[6];
  int fd;
  struct batch batch;
  struct packet_send_options options;
  if (!arguments(env, info, 6, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  if (!argument_batch(env, argv + 1, &batch)) return NULL;
  if (!argument_boolean(env, argv[4], "cut", &options.cut)) return NULL;
  if (!argument_boolean(env, argv[5], "patient", &options.patient)) return NULL;
  return number(env, packet_send(fd, &batch.slab, batch.packets, batch.count, options));
}

static napi_value js_shim_attach(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  struct slab object;
  int ifindex;
  const char *syscall;
  if (!arguments(env, info, 2, argv)) return NULL;
  if (!argument_bytes(env, argv[0], "object", &object)) return NULL;
  if (!argument_ifindex(env, argv[1], &ifindex)) return NULL;
  int link = gso_shim_attach(&object, ifindex, &syscall);
  return number_or_throw(env, link, syscall);
}

bool export_packet_socket(napi_env env, napi_value exports) {
  return export_function(env, exports, "packetReceiverOpen", js_receiver_open) &&
         export_function(env, exports, "packetReceiverGroup", js_receiver_group) &&
         export_function(env, exports, "packetSenderOpen", js_sender_open) &&
         export_function(env, exports, "packetUnsent", js_packet_unsent) &&
         export_function(env, exports, "packetReceive", js_packet_receive) &&
         export_function(env, exports, "packetSend", js_packet_send) &&
         export_function(env, exports, "gsoShimAttach", js_shim_attach);
}
