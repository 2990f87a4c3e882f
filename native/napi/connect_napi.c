/*
 * The second addon, for programs that ask one thing and end: the first is linked with libbpf, which
 * takes longer to load than they to run. src/io/connect.ts declares it to TypeScript.
 */
#include <limits.h>

#include "../unix_stream.h"
#include "arguments.h"

static napi_value js_unix_connect(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  char path[PATH_MAX];
  int64_t patience_ms;
  const char *syscall;
  if (!arguments(env, info, 2, argv)) return NULL;
  if (!argument_string(env, argv[0], "path", path, sizeof path)) return NULL;
  if (!argument_integer(env, argv[1], "patience", 1, INT32_MAX, &patience_ms)) return NULL;
  int fd = unix_stream_connect(path, (int)patience_ms, &syscall);
  return number_or_throw(env, fd, syscall);
}

NAPI_MODULE_INIT() {
  return export_function(env, exports, "unixConnect", js_unix_connect) ? exports : NULL;
}
