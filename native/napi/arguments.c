/* JavaScript arguments to C and back (see arguments.h). */
#include "arguments.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

static bool refuse_type(napi_env env, const char *name, const char *expected) {
  char message[96];
  snprintf(message, sizeof message, "%s must be %s", name, expected);
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
  return false;
}

static bool refuse_range(napi_env env, const char *name, const char *problem) {
  char message[96];
  snprintf(message, sizeof message, "%s %s", name, problem);
  napi_throw_range_error(env, "ERR_OUT_OF_RANGE", message);
  return false;
}

bool arguments(napi_env env, napi_callback_info info, size_t count, napi_value *argv) {
  size_t given = count;
  if (napi_get_cb_info(env, info, &given, argv, NULL, NULL) == napi_ok && given >= count)
    return true;
  napi_throw_type_error(env, "ERR_MISSING_ARGS", "too few arguments");
  return false;
}

bool argument_integer(napi_env env, napi_value value, const char *name, int64_t min, int64_t max,
                      int64_t *out) {
  double number;
  if (napi_get_value_double(env, value, &number) != napi_ok)
    return refuse_type(env, name, "a number");
  if (!(number >= (double)min && number <= (double)max) || trunc(number) != number) {
    return refuse_range(env, name, "is not an integer in its range");
  }
  *out = (int64_t)number;
  return true;
}

bool argument_fd(napi_env env, napi_value value, int *out) {
  int64_t fd;
  if (!argument_integer(env, value, "fd", 0, INT32_MAX, &fd)) return false;
  *out = (int)fd;
  return true;
}

bool argument_boolean(napi_env env, napi_value value, const char *name, bool *out) {
  return napi_get_value_bool(env, value, out) == napi_ok || refuse_type(env, name, "a boolean");
}

bool argument_string(napi_env env, napi_value value, const char *name, char *out, size_t size) {
  size_t length;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) {
    return refuse_type(env, name, "a string");
  }
  if (length >= size) return refuse_range(env, name, "is too long");
  napi_get_value_string_utf8(env, value, out, size, &length);
  return strlen(out) == length || refuse_range(env, name, "holds a NUL");
}

bool argument_object(napi_env env, napi_value value, const char *name) {
  napi_valuetype type;
  return (napi_typeof(env, value, &type) == napi_ok && type == napi_object) ||
         refuse_type(env, name, "an object");
}

static bool argument_array(napi_env env, napi_value value, const char *name,
                           napi_typedarray_type wanted, const char *expected, void **data,
                           size_t *length) {
  bool is_array;
  napi_typedarray_type type;
  if (napi_is_typedarray(env, value, &is_array) != napi_ok || !is_array ||
      napi_get_typedarray_info(env, value, &type, length, data, NULL, NULL) != napi_ok ||
      type != wanted) {
    return refuse_type(env, name, expected);
  }
  if (*data == NULL) *length = 0;
  return true;
}

bool argument_bytes(napi_env env, napi_value value, const char *name, struct slab *out) {
  void *data;
  if (!argument_array(env, value, name, napi_uint8_array, "a Uint8Array", &data, &out->size))
    return false;
  out->bytes = data;
  return out->size <= UINT32_MAX || refuse_range(env, name, "is longer than 4 GiB");
}

bool argument_words(napi_env env, napi_value value, const char *name, uint32_t **out,
                    size_t *count) {
  void *data;
  if (!argument_array(env, value, name, napi_uint32_array, "a Uint32Array", &data, count))
    return false;
  *out = data;
  return true;
}

bool argument_struct(napi_env env, napi_value value, const char *name, void *out, size_t size) {
  uint32_t *words;
  size_t count;
  if (!argument_words(env, value, name, &words, &count)) return false;
  if (count != size / sizeof *words) return refuse_range(env, name, "are not those of the struct");
  memcpy(out, words, size);
  return true;
}

bool argument_mac(napi_env env, napi_value value, uint8_t out[6]) {
  struct slab mac;
  if (!argument_bytes(env, value, "mac", &mac)) return false;
  if (mac.size != 6) return refuse_range(env, "mac", "is not of 6 bytes");
  memcpy(out, mac.bytes, mac.size);
  return true;
}

bool argument_packets(napi_env env, napi_value value, size_t count, struct packet **out) {
  uint32_t *data;
  size_t words;
  if (!argument_words(env, value, "descriptors", &data, &words)) return false;
  *out = (struct packet *)data;
  return words / (sizeof(struct packet) / sizeof(uint32_t)) >= count ||
         refuse_range(env, "descriptors", "are fewer than the count");
}

bool argument_tokens(napi_env env, napi_value value, int32_t **out, size_t *capacity) {
  void *data;
  if (!argument_array(env, value, "ready", napi_int32_array, "an Int32Array", &data, capacity))
    return false;
  *out = data;
  return *capacity > 0 || refuse_range(env, "ready", "is empty");
}

bool argument_batch(napi_env env, const napi_value *argv, struct batch *out) {
  int64_t count;
  if (!argument_bytes(env, argv[0], "slab", &out->slab)) return false;
  if (!argument_integer(env, argv[2], "count", 0, UINT16_MAX, &count)) return false;
  out->count = (size_t)count;
  return argument_packets(env, argv[1], out->count, &out->packets);
}

static void set_property(napi_env env, napi_value object, const char *name, napi_value value) {
  if (value != NULL) napi_set_named_property(env, object, name, value);
}

napi_value throw_errno(napi_env env, int error, const char *syscall) {
  napi_value code;
  napi_value message;
  napi_value object;
  napi_value name = NULL;
  int number_of = error < 0 ? -error : error;
  const char *label = strerrorname_np(number_of);
  const char *description = strerrordesc_np(number_of);
  char text[160];
  snprintf(text, sizeof text, "%s: %s", syscall, description ? description : "unknown error");
  napi_create_string_utf8(env, label ? label : "EUNKNOWN", NAPI_AUTO_LENGTH, &code);
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message);
  napi_create_string_utf8(env, syscall, NAPI_AUTO_LENGTH, &name);
  if (napi_create_error(env, code, message, &object) != napi_ok) return NULL;
  set_property(env, object, "errno", number(env, number_of));
  set_property(env, object, "syscall", name);
  napi_throw(env, object);
  return NULL;
}

napi_value number_or_throw(napi_env env, int result, const char *syscall) {
  return result < 0 ? throw_errno(env, result, syscall) : number(env, result);
}

napi_value nothing_or_throw(napi_env env, int result, const char *syscall) {
  return result < 0 ? throw_errno(env, result, syscall) : NULL;
}

napi_value number(napi_env env, double value) {
  napi_value result;
  return napi_create_double(env, value, &result) == napi_ok ? result : NULL;
}

napi_value range_array(napi_env env, const struct range *ranges, size_t count) {
  void *data;
  napi_value buffer;
  napi_value array;
  if (napi_create_arraybuffer(env, count * sizeof *ranges, &data, &buffer) != napi_ok) return NULL;
  if (count > 0) memcpy(data, ranges, count * sizeof *ranges);
  if (napi_create_typedarray(env, napi_uint32_array, count * 2, buffer, 0, &array) != napi_ok)
    return NULL;
  return array;
}

bool export_function(napi_env env, napi_value exports, const char *name, napi_callback function) {
  napi_value value;
  return napi_create_function(env, name, NAPI_AUTO_LENGTH, function, NULL, &value) == napi_ok &&
         napi_set_named_property(env, exports, name, value) == napi_ok;
}
