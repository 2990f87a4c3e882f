/* See program_loader.h; bpf(2). */
#include "program_loader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static int duplicate(int fd) {
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return copy < 0 ? -errno : copy;
}

static void close_if_open(int fd) {
  if (fd >= 0) close(fd);
}

int program_attach(const struct slab *file, int ifindex, enum tcx_side side,
                   struct program_handles *handles, const char **syscall) {
  struct bpf_object *object;
  int error = tcx_load(file, &object, syscall);
  if (error < 0) return error;
  handles->config = tcx_map(object, "config", syscall);
  handles->counters = tcx_map(object, "counters", syscall);
  handles->peers = tcx_map(object, "peers", syscall);
  handles->flows = tcx_map(object, "flows", syscall);
  handles->program = duplicate(tcx_program(object));
  /* Last: *syscall is its own, or that of all others. */
  const char *attach;
  handles->link = tcx_attach(object, ifindex, side, &attach);
  if (handles->link < 0) *syscall = attach;
  bpf_object__close(object);
  int fds[] = {handles->link,  handles->config, handles->counters,
               handles->peers, handles->flows,  handles->program};
  size_t count = sizeof fds / sizeof *fds;
  for (size_t i = 0; i < count && error == 0; i++) error = fds[i] < 0 ? fds[i] : 0;
  if (error == 0) return 0;
  for (size_t i = 0; i < count; i++) close_if_open(fds[i]);
  return error;
}

int program_configure(int config, const struct fan_config *value) {
  const uint32_t first = 0;
  return bpf_map_update_elem(config, &first, value, BPF_ANY) < 0 ? -errno : 0;
}

int program_add_flow(int flows, const struct fan_flow *flow) {
  const uint32_t any = 0;
  return bpf_map_update_elem(flows, flow, &any, BPF_ANY) < 0 ? -errno : 0;
}

/* Sums one element of a per-CPU map; `each` has room for all CPUs. */
static int sum_cpus(int map, uint32_t key, struct fan_counters *each, int cpus,
                    struct fan_counters *sum) {
  *sum = (struct fan_counters){0};
  if (bpf_map_lookup_elem(map, &key, each) < 0) return -errno;
  for (int i = 0; i < cpus; i++) {
    sum->packets += each[i].packets;
    sum->bytes += each[i].bytes;
  }
  return 0;
}

int program_count(int counters, struct fan_counters *sum) {
  int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) return cpus;
  struct fan_counters *each = calloc((size_t)cpus, sizeof *each);
  if (each == NULL) return -ENOMEM;
  int error = sum_cpus(counters, 0, each, cpus, sum);
  free(each);
  return error;
}

int program_read_peers(int peers, struct program_peer *out, size_t capacity) {
  int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) return cpus;
  struct fan_counters *each = calloc((size_t)cpus, sizeof *each);
  if (each == NULL) return -ENOMEM;
  size_t count = 0;
  uint32_t key;
  const uint32_t *last = NULL; /* NULL asks for the first key */
  while (count < capacity && bpf_map_get_next_key(peers, last, &key) == 0) {
    out[count].address = key;
    /* One that has just made room is left out. */
    if (sum_cpus(peers, key, each, cpus, &out[count].counted) == 0) count++;
    last = &key;
  }
  free(each);
  return (int)count;
}

int program_test(int program, const struct slab *frame, struct slab *out) {
  LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame->bytes,
              .data_size_in = (uint32_t)frame->size, .data_out = out->bytes,
              .data_size_out = (uint32_t)out->size, .repeat = 1);
  if (bpf_prog_test_run_opts(program, &run) < 0) return -errno;
  out->size = run.data_size_out;
  return (int)run.retval;
}
