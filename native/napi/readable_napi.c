/*
 * readableWatch, readableAgain, readableEnd: calls back on the thread's own event loop when a
 * descriptor can be read, once each time that it was asked to. The only file that uses libuv, whose
 * loop Node-API hands out (napi_get_uv_event_loop); layouts are stable within libuv 1.
 */
#include <stdlib.h>
#include <uv.h>

#include "arguments.h"
#include "exports.h"

struct watch {
  uv_poll_t poll;
  napi_env env;
  napi_ref callback;
  napi_async_cleanup_hook_handle cleanup;
};

static void on_closed(uv_handle_t *handle) {
  struct watch *watch = handle->data;
  if (watch->cleanup != NULL) napi_remove_async_cleanup_hook(watch->cleanup);
  free(watch);
}

static void end(struct watch *watch) {
  if (uv_is_closing((uv_handle_t *)&watch->poll)) return;
  uv_poll_stop(&watch->poll);
  napi_delete_reference(watch->env, watch->callback);
  uv_close((uv_handle_t *)&watch->poll, on_closed);
}

static void on_teardown(napi_async_cleanup_hook_handle handle, void *data) {
  struct watch *watch = data;
  watch->cleanup = handle;
  end(watch);
}

static void on_readable(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  struct watch *watch = poll->data;
  napi_env env = watch->env;
  napi_handle_scope scope;
  napi_value global;
  napi_value callback;
  napi_value error;
  uv_poll_stop(poll);
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  if (napi_get_global(env, &global) == napi_ok &&
      napi_get_reference_value(env, watch->callback, &callback) == napi_ok &&
      napi_make_callback(env, NULL, global, callback, 0, NULL, NULL) == napi_pending_exception &&
      napi_get_and_clear_last_exception(env, &error) == napi_ok) {
    napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
}

static napi_value js_readable_watch(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  napi_value external;
  int fd;
  uv_loop_t *loop;
  napi_valuetype type;
  if (!arguments(env, info, 2, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  if (napi_typeof(env, argv[1], &type) != napi_ok || type != napi_function) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "callback must be a function");
    return NULL;
  }
  struct watch *watch = calloc(1, sizeof *watch);
  if (watch == NULL) return throw_errno(env, UV_ENOMEM, "calloc");
  int error = napi_get_uv_event_loop(env, &loop) == napi_ok ? 0 : UV_EINVAL;
  if (error == 0) error = uv_poll_init(loop, &watch->poll, fd);
  if (error < 0) {
    free(watch);
    return throw_errno(env, error, "uv_poll_init");
  }
  watch->poll.data = watch;
  watch->env = env;
  // What waits for it is a server, or nothing.
  uv_unref((uv_handle_t *)&watch->poll);
  if (napi_create_reference(env, argv[1], 1, &watch->callback) != napi_ok ||
      napi_add_async_cleanup_hook(env, on_teardown, watch, &watch->cleanup) != napi_ok ||
      napi_create_external(env, watch, NULL, NULL, &external) != napi_ok) {
    uv_close((uv_handle_t *)&watch->poll, on_closed);
    return throw_errno(env, UV_ENOMEM, "napi");
  }
  uv_poll_start(&watch->poll, UV_READABLE, on_readable);
  return external;
}

static struct watch *argument_watch(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  void *watch;
  if (!arguments(env, info, 1, argv)) return NULL;
  if (napi_get_value_external(env, argv[0], &watch) == napi_ok) return watch;
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "watch: want what readableWatch returned");
  return NULL;
}

static napi_value js_readable_again(napi_env env, napi_callback_info info) {
  struct watch *watch = argument_watch(env, info);
  if (watch != NULL && !uv_is_closing((uv_handle_t *)&watch->poll))
    uv_poll_start(&watch->poll, UV_READABLE, on_readable);
  return NULL;
}

/* Before the descriptor is closed; `watch` is good for nothing afterwards. */
static napi_value js_readable_end(napi_env env, napi_callback_info info) {
  struct watch *watch = argument_watch(env, info);
  if (watch != NULL) end(watch);
  return NULL;
}

bool export_readable(napi_env env, napi_value exports) {
  return export_function(env, exports, "readableWatch", js_readable_watch) &&
         export_function(env, exports, "readableAgain", js_readable_again) &&
         export_function(env, exports, "readableEnd", js_readable_end);
}
