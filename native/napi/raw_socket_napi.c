/* The functions of raw_socket.h and socketDrops: arguments only. */
#include "../raw_socket.h"
#include "arguments.h"
#include "exports.h"

/* An optional integer property; `out` keeps its value where the property is absent or undefined. */
static bool option(napi_env env, napi_value object, const char *name, int64_t max, int64_t *out) {
  napi_value value;
  napi_valuetype type;
  if (napi_get_named_property(env, object, name, &value) != napi_ok) return false;
  if (napi_typeof(env, value, &type) != napi_ok) return false;
  return type == napi_undefined || argument_integer(env, value, name, 0, max, out);
}

/* The same for a boolean. */
static bool flag(napi_env env, napi_value object, const char *name, bool *out) {
  napi_value value;
  napi_valuetype type;
  if (napi_get_named_property(env, object, name, &value) != napi_ok) return false;
  if (napi_typeof(env, value, &type) != napi_ok) return false;
  return type == napi_undefined || argument_boolean(env, value, name, out);
}

static bool raw_options(napi_env env, napi_value object, struct raw_options *out) {
  if (!argument_object(env, object, "options")) return false;
  int64_t protocol = -1;
  int64_t address = 0;
  int64_t send_buffer = 0;
  int64_t receive_buffer = 0;
  int64_t mark = 0;
  int64_t icmp_types = 0;
  bool tell_device = false;
  if (!option(env, object, "protocol", UINT8_MAX, &protocol) ||
      !option(env, object, "bindAddress", UINT32_MAX, &address) ||
      !option(env, object, "sendBufferBytes", INT32_MAX / 2, &send_buffer) ||
      !option(env, object, "receiveBufferBytes", INT32_MAX / 2, &receive_buffer) ||
      !option(env, object, "mark", UINT32_MAX, &mark) ||
      !option(env, object, "icmpTypes", UINT32_MAX, &icmp_types) ||
      !flag(env, object, "tellDevice", &tell_device)) {
    return false;
  }
  *out = (struct raw_options){
      .protocol = (int)protocol,
      .bind_address = (uint32_t)address,
      .send_buffer = (int)send_buffer,
      .receive_buffer = (int)receive_buffer,
      .mark = (uint32_t)mark,
      .icmp_types = (uint32_t)icmp_types,
      .tell_device = tell_device,
  };
  return true;
}

static napi_value js_raw_open(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  struct raw_options options;
  const char *syscall;
  if (!arguments(env, info, 1, argv) || !raw_options(env, argv[0], &options)) return NULL;
  int fd = raw_open(&options, &syscall);
  return number_or_throw(env, fd, syscall);
}

static napi_value js_raw_filter(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  int fd;
  uint32_t *program;
  size_t words;
  if (!arguments(env, info, 2, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  if (!argument_words(env, argv[1], "program", &program, &words)) return NULL;
  return nothing_or_throw(env, raw_filter(fd, program, words / RAW_FILTER_WORDS),
                          "SO_ATTACH_FILTER");
}

static napi_value js_raw_receive(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  int fd;
  struct batch batch;
  if (!arguments(env, info, 4, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  if (!argument_batch(env, argv + 1, &batch)) return NULL;
  return number(env, raw_receive(fd, &batch.slab, batch.packets, batch.count));
}

static napi_value js_raw_can_name_protocol(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  napi_value result;
  int fd;
  if (!arguments(env, info, 1, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  return napi_get_boolean(env, raw_can_name_protocol(fd), &result) == napi_ok ? result : NULL;
}

static napi_value js_raw_send(napi_env env, napi_callback_info info) {
  napi_value argv[6];
  int fd;
  struct batch batch;
  int64_t outer_len;
  struct raw_send_options options;
  if (!arguments(env, info, 6, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  if (!argument_batch(env, argv + 1, &batch)) return NULL;
  if (!argument_integer(env, argv[4], "outerLen", 0, 60, &outer_len)) return NULL;
  if (!argument_boolean(env, argv[5], "namesProtocol", &options.names_protocol)) return NULL;
  options.outer_len = (size_t)outer_len;
  return number(env, raw_send(fd, &batch.slab, batch.packets, batch.count, options));
}

static napi_value js_socket_drops(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int fd;
  uint32_t drops;
  if (!arguments(env, info, 1, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  int error = raw_drops(fd, &drops);
  return error < 0 ? throw_errno(env, error, "getsockopt") : number(env, drops);
}

bool export_raw_socket(napi_env env, napi_value exports) {
  return export_function(env, exports, "rawOpen", js_raw_open) &&
         export_function(env, exports, "rawFilter", js_raw_filter) &&
         export_function(env, exports, "rawReceive", js_raw_receive) &&
         export_function(env, exports, "rawCanNameProtocol", js_raw_can_name_protocol) &&
         export_function(env, exports, "rawSend", js_raw_send) &&
         export_function(env, exports, "socketDrops", js_socket_drops);
}
