/* pollerOpen … eventClear, close, lockFile, notify: arguments only (see poller.h, lock.h,
 * notify.h). */
#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "../lock.h"
#include "../notify.h"
#include "../poller.h"
#include "arguments.h"
#include "exports.h"

static napi_value js_poller_open(napi_env env, napi_callback_info info) {
  (void)info;
  return number_or_throw(env, poller_open(), "epoll_create1");
}

static napi_value js_poller_add(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  int poller;
  int fd;
  int64_t token;
  if (!arguments(env, info, 3, argv) || !argument_fd(env, argv[0], &poller)) return NULL;
  if (!argument_fd(env, argv[1], &fd)) return NULL;
  if (!argument_integer(env, argv[2], "token", 0, INT32_MAX, &token)) return NULL;
  return nothing_or_throw(env, poller_add(poller, fd, (uint32_t)token), "epoll_ctl");
}

static napi_value js_poller_remove(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  int poller;
  int fd;
  if (!arguments(env, info, 2, argv) || !argument_fd(env, argv[0], &poller)) return NULL;
  if (!argument_fd(env, argv[1], &fd)) return NULL;
  return nothing_or_throw(env, poller_remove(poller, fd), "epoll_ctl");
}

static napi_value js_poller_wait(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  int poller;
  int32_t *ready;
  size_t capacity;
  int64_t timeout_ms;
  if (!arguments(env, info, 3, argv) || !argument_fd(env, argv[0], &poller)) return NULL;
  if (!argument_tokens(env, argv[1], &ready, &capacity)) return NULL;
  if (!argument_integer(env, argv[2], "timeoutMs", -1, INT32_MAX, &timeout_ms)) return NULL;
  return number(env, poller_wait(poller, ready, capacity, (int)timeout_ms));
}

static napi_value js_poller_pause(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int64_t us;
  if (!arguments(env, info, 1, argv)) return NULL;
  if (!argument_integer(env, argv[0], "us", 0, 999999, &us)) return NULL;
  poller_pause((unsigned)us);
  return NULL;
}

static napi_value js_event_open(napi_env env, napi_callback_info info) {
  (void)info;
  return number_or_throw(env, event_open(), "eventfd");
}

static napi_value js_event_signal(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int fd;
  if (!arguments(env, info, 1, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  return nothing_or_throw(env, event_signal(fd), "write");
}

static napi_value js_event_clear(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int fd;
  if (!arguments(env, info, 1, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  return nothing_or_throw(env, event_clear(fd), "read");
}

static napi_value js_close(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int fd;
  if (!arguments(env, info, 1, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  /* Not retried on EINTR: Linux has released the descriptor by then (close(2)). */
  return close(fd) < 0 && errno != EINTR ? throw_errno(env, errno, "close") : NULL;
}

static napi_value js_lock_file(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  char path[PATH_MAX];
  const char *syscall;
  if (!arguments(env, info, 1, argv)) return NULL;
  if (!argument_string(env, argv[0], "path", path, sizeof path)) return NULL;
  int fd = lock_file(path, &syscall);
  return number_or_throw(env, fd, syscall);
}

static napi_value js_notify(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  char path[PATH_MAX];
  char text[512];
  const char *syscall;
  if (!arguments(env, info, 2, argv)) return NULL;
  if (!argument_string(env, argv[0], "path", path, sizeof path)) return NULL;
  if (!argument_string(env, argv[1], "text", text, sizeof text)) return NULL;
  int error = notify_manager(path, text, &syscall);
  return nothing_or_throw(env, error, syscall);
}

bool export_poller(napi_env env, napi_value exports) {
  return export_function(env, exports, "pollerOpen", js_poller_open) &&
         export_function(env, exports, "pollerAdd", js_poller_add) &&
         export_function(env, exports, "pollerRemove", js_poller_remove) &&
         export_function(env, exports, "pollerWait", js_poller_wait) &&
         export_function(env, exports, "pollerPause", js_poller_pause) &&
         export_function(env, exports, "eventOpen", js_event_open) &&
         export_function(env, exports, "eventSignal", js_event_signal) &&
         export_function(env, exports, "eventClear", js_event_clear) &&
         export_function(env, exports, "close", js_close) &&
         export_function(env, exports, "lockFile", js_lock_file) &&
         export_function(env, exports, "notify", js_notify);
}
