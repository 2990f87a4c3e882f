/* confineAndExecute, fileGroupSet, pipeOpen, closeOnExec: arguments only (see confine.h). */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "../confine.h"
#include "arguments.h"
#include "exports.h"

enum { MOST_ARGUMENTS = 64 };
/* Exactly representable in a JavaScript number, and more than any kernel has. */
#define MOST_KEEP ((1LL << 53) - 1)

struct command {
  char words[MOST_ARGUMENTS][PATH_MAX];
  char *argv[MOST_ARGUMENTS + 1];
};

static bool argument_command(napi_env env, napi_value value, struct command *command) {
  uint32_t count;
  if (napi_get_array_length(env, value, &count) != napi_ok || count == 0 ||
      count > MOST_ARGUMENTS) {
    napi_throw_range_error(env, NULL, "argv: want a list of 1 to 64 words");
    return false;
  }
  for (uint32_t i = 0; i < count; i++) {
    napi_value word;
    if (napi_get_element(env, value, i, &word) != napi_ok) return false;
    if (!argument_string(env, word, "argv", command->words[i], PATH_MAX)) return false;
    command->argv[i] = command->words[i];
  }
  command->argv[count] = NULL;
  return true;
}

static napi_value js_confine_and_execute(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  char path[PATH_MAX];
  int64_t keep;
  int64_t inherited;
  const char *syscall;
  if (!arguments(env, info, 4, argv)) return NULL;
  if (!argument_string(env, argv[0], "path", path, sizeof path)) return NULL;
  if (!argument_integer(env, argv[2], "keep", 0, MOST_KEEP, &keep)) return NULL;
  if (!argument_integer(env, argv[3], "inherited", -1, INT_MAX, &inherited)) return NULL;
  struct command *command = malloc(sizeof *command);
  if (command == NULL) return throw_errno(env, ENOMEM, "malloc");
  int result = 0;
  if (argument_command(env, argv[1], command)) {
    result = confine_and_execute(path, command->argv, (uint64_t)keep, (int)inherited, &syscall);
  }
  free(command);
  return result < 0 ? throw_errno(env, result, syscall) : NULL;
}

static napi_value js_file_group_set(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int64_t group;
  if (!arguments(env, info, 1, argv)) return NULL;
  if (!argument_integer(env, argv[0], "group", 0, UINT32_MAX - 1, &group)) return NULL;
  int64_t before = file_group_set((uint32_t)group);
  return before < 0 ? throw_errno(env, (int)before, "setfsgid") : number(env, before);
}

static napi_value js_pipe_open(napi_env env, napi_callback_info info) {
  (void)info;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return throw_errno(env, errno, "pipe2");
  napi_value pair;
  if (napi_create_array_with_length(env, 2, &pair) != napi_ok ||
      napi_set_element(env, pair, 0, number(env, ends[0])) != napi_ok ||
      napi_set_element(env, pair, 1, number(env, ends[1])) != napi_ok) {
    close(ends[0]);
    close(ends[1]);
    return NULL;
  }
  return pair;
}

static napi_value js_close_on_exec(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int fd;
  if (!arguments(env, info, 1, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  return nothing_or_throw(env, fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0, "fcntl");
}

bool export_confine(napi_env env, napi_value exports) {
  return export_function(env, exports, "confineAndExecute", js_confine_and_execute) &&
         export_function(env, exports, "fileGroupSet", js_file_group_set) &&
         export_function(env, exports, "pipeOpen", js_pipe_open) &&
         export_function(env, exports, "closeOnExec", js_close_on_exec);
}
