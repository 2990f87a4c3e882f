/* programAttach, programPin, programConfigure, programDevice, programAddFlow, programCount,
 * programPeers, programLargest, programTest: arguments only (see program_loader.h). */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "../program_loader.h"
#include "../tcx.h"
#include "arguments.h"
#include "exports.h"

static bool set_number(napi_env env, napi_value object, const char *name, double value) {
  return napi_set_named_property(env, object, name, number(env, value)) == napi_ok;
}

static napi_value js_attach(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  napi_value result;
  struct slab file;
  int64_t ifindex;
  bool egress;
  uint32_t *maps;
  size_t shared;
  struct program_handles handles;
  const char *syscall;
  if (!arguments(env, info, 4, argv) || !argument_bytes(env, argv[0], "object", &file)) return NULL;
  if (!argument_integer(env, argv[1], "ifindex", 1, INT32_MAX, &ifindex)) return NULL;
  if (!argument_boolean(env, argv[2], "egress", &egress)) return NULL;
  if (!argument_words(env, argv[3], "maps", &maps, &shared)) return NULL;
  if (shared != 0 && shared != PROGRAM_MAPS) return throw_errno(env, EINVAL, "bpf_map__reuse_fd");
  enum tcx_side side = egress ? TCX_EGRESS : TCX_INGRESS;
  int error =
      program_attach(&file, (int)ifindex, side, shared == 0 ? NULL : maps, &handles, &syscall);
  if (error < 0) return throw_errno(env, error, syscall);
  if (napi_create_object(env, &result) != napi_ok) return NULL;
  bool complete = set_number(env, result, "link", handles.link) &&
                  set_number(env, result, "config", handles.maps[CONFIG_MAP]) &&
                  set_number(env, result, "counters", handles.maps[COUNTERS_MAP]) &&
                  set_number(env, result, "peers", handles.maps[PEERS_MAP]) &&
                  set_number(env, result, "flows", handles.maps[FLOWS_MAP]) &&
                  set_number(env, result, "program", handles.program);
  return complete ? result : NULL;
}

static napi_value js_pin(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  int fd;
  char path[PATH_MAX];
  if (!arguments(env, info, 2, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  if (!argument_string(env, argv[1], "path", path, sizeof path)) return NULL;
  return nothing_or_throw(env, tcx_pin(fd, path), "BPF_OBJ_PIN");
}

/* A map's file descriptor, and a struct of the program's. */
static bool fd_and_struct(napi_env env, napi_callback_info info, int *fd, void *out, size_t size) {
  napi_value argv[2];
  return arguments(env, info, 2, argv) && argument_fd(env, argv[0], fd) &&
         argument_struct(env, argv[1], "words", out, size);
}

static napi_value js_configure(napi_env env, napi_callback_info info) {
  int fd;
  struct fan_config config;
  if (!fd_and_struct(env, info, &fd, &config, sizeof config)) return NULL;
  return nothing_or_throw(env, program_configure(fd, &config), "BPF_MAP_UPDATE_ELEM");
}

static napi_value js_add_flow(napi_env env, napi_callback_info info) {
  int fd;
  struct fan_flow flow;
  if (!fd_and_struct(env, info, &fd, &flow, sizeof flow)) return NULL;
  return number(env, program_add_flow(fd, &flow));
}

static napi_value js_device(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int link;
  if (!arguments(env, info, 1, argv) || !argument_fd(env, argv[0], &link)) return NULL;
  return number(env, tcx_device(link));
}

static napi_value js_count(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  napi_value result;
  int fd;
  struct fan_counters sum;
  if (!arguments(env, info, 1, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  int error = program_count(fd, &sum);
  if (error < 0) return throw_errno(env, error, "BPF_MAP_LOOKUP_ELEM");
  if (napi_create_object(env, &result) != napi_ok) return NULL;
  bool complete = set_number(env, result, "packets", (double)sum.packets) &&
                  set_number(env, result, "bytes", (double)sum.bytes);
  return complete ? result : NULL;
}

enum { PEER_NUMBERS = 3 };

/* A Float64Array of address, packets, bytes for each. */
static napi_value peer_numbers(napi_env env, const struct program_peer *peers, size_t count) {
  double *numbers;
  napi_value buffer;
  napi_value result;
  size_t length = count * PEER_NUMBERS;
  if (napi_create_arraybuffer(env, length * sizeof *numbers, (void **)&numbers, &buffer) !=
      napi_ok) {
    return NULL;
  }
  for (size_t i = 0; i < count; i++) {
    numbers[i * PEER_NUMBERS] = peers[i].address;
    numbers[i * PEER_NUMBERS + 1] = (double)peers[i].counted.packets;
    numbers[i * PEER_NUMBERS + 2] = (double)peers[i].counted.bytes;
  }
  bool made =
      napi_create_typedarray(env, napi_float64_array, length, buffer, 0, &result) == napi_ok;
  return made ? result : NULL;
}

static napi_value js_peers(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int fd;
  if (!arguments(env, info, 1, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  struct program_peer *peers = calloc(FAN_PEERS, sizeof *peers);
  if (peers == NULL) return throw_errno(env, ENOMEM, "calloc");
  int count = program_read_peers(fd, peers, FAN_PEERS);
  napi_value result = count < 0 ? throw_errno(env, count, "BPF_MAP_GET_NEXT_KEY")
                                : peer_numbers(env, peers, (size_t)count);
  free(peers);
  return result;
}

static napi_value js_largest(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  int fd;
  int64_t address;
  if (!arguments(env, info, 2, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  if (!argument_integer(env, argv[1], "address", 0, UINT32_MAX, &address)) return NULL;
  return number(env, program_largest(fd, (uint32_t)address));
}

static napi_value js_test(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  napi_value result;
  int fd;
  struct slab frame;
  struct slab out;
  if (!arguments(env, info, 3, argv) || !argument_fd(env, argv[0], &fd)) return NULL;
  if (!argument_bytes(env, argv[1], "frame", &frame)) return NULL;
  if (!argument_bytes(env, argv[2], "out", &out)) return NULL;
  int verdict = program_test(fd, &frame, &out);
  /* A verdict of -1 is "go on"; an error of bpf(2) is never EPERM for who could load the program.
   */
  if (verdict < -1) return throw_errno(env, verdict, "BPF_PROG_TEST_RUN");
  if (napi_create_object(env, &result) != napi_ok) return NULL;
  bool complete = set_number(env, result, "verdict", verdict) &&
                  set_number(env, result, "length", (double)out.size);
  return complete ? result : NULL;
}

bool export_program(napi_env env, napi_value exports) {
  return export_function(env, exports, "programAttach", js_attach) &&
         export_function(env, exports, "programPin", js_pin) &&
         export_function(env, exports, "programConfigure", js_configure) &&
         export_function(env, exports, "programDevice", js_device) &&
         export_function(env, exports, "programAddFlow", js_add_flow) &&
         export_function(env, exports, "programCount", js_count) &&
         export_function(env, exports, "programPeers", js_peers) &&
         export_function(env, exports, "programLargest", js_largest) &&
         export_function(env, exports, "programTest", js_test);
}
