/* See program_loader.h; bpf(2). */
#include "program_loader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int duplicate(int fd) {
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return copy < 0 ? -errno : copy;
}

static void close_if_open(int fd) {
  if (fd >= 0) close(fd);
}

/* As enum program_map. */
static const char *const map_names[PROGRAM_MAPS] = {"config", "counters", "peers", "flows"};

static int share(struct bpf_object *object, const uint32_t *maps, const char **syscall) {
  *syscall = "bpf_map__reuse_fd";
  for (size_t i = 0; i < PROGRAM_MAPS; i++) {
    struct bpf_map *map = bpf_object__find_map_by_name(object, map_names[i]);
    if (map == NULL) return -errno;
    int error = bpf_map__reuse_fd(map, (int)maps[i]);
    if (error < 0) return error;
  }
  return 0;
}

static int load(const struct slab *file, const uint32_t *maps, struct bpf_object **object,
                const char **syscall) {
  int error = tcx_open(file, object, syscall);
  if (error < 0) return error;
  if (maps != NULL) error = share(*object, maps, syscall);
  if (error == 0) return tcx_load_opened(object, syscall);
  bpf_object__close(*object);
  return error;
}

int program_attach(const struct slab *file, int ifindex, enum tcx_side side, const uint32_t *maps,
                   struct program_handles *handles, const char **syscall) {
  struct bpf_object *object;
  int error = load(file, maps, &object, syscall);
  if (error < 0) return error;
  for (size_t i = 0; i < PROGRAM_MAPS; i++) {
    handles->maps[i] = tcx_map(object, map_names[i], syscall);
  }
  handles->program = duplicate(tcx_program(object));
  /* Last: *syscall is its own, or that of all others. */
  const char *attach;
  handles->link = tcx_attach(object, ifindex, side, &attach);
  if (handles->link < 0) *syscall = attach;
  bpf_object__close(object);
  const int fds[] = {handles->link,    handles->program, handles->maps[0],
                     handles->maps[1], handles->maps[2], handles->maps[3]};
  const size_t count = sizeof fds / sizeof *fds;
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

static void add(struct fan_counters *sum, const struct fan_counters *one) {
  sum->packets += one->packets;
  sum->bytes += one->bytes;
}

int program_count(int counters, struct fan_counters *sum) {
  const uint32_t first = 0;
  int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) return cpus;
  struct fan_counters *each = calloc((size_t)cpus, sizeof *each);
  if (each == NULL) return -ENOMEM;
  *sum = (struct fan_counters){0};
  int error = bpf_map_lookup_elem(counters, &first, each) < 0 ? -errno : 0;
  for (int i = 0; i < cpus && error == 0; i++) add(sum, &each[i]);
  free(each);
  return error;
}

/* Sums what is known of a peer over all CPUs; `each` has room for them. False where nothing is. */
static bool sum_peer(int peers, uint32_t address, struct fan_peer *each, int cpus,
                     struct fan_counters *sum) {
  *sum = (struct fan_counters){0};
  if (bpf_map_lookup_elem(peers, &address, each) < 0) return false;
  for (int i = 0; i < cpus; i++) add(sum, &each[i].counted);
  return true;
}

int program_read_peers(int peers, struct program_peer *out, size_t capacity) {
  int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) return cpus;
  struct fan_peer *each = calloc((size_t)cpus, sizeof *each);
  if (each == NULL) return -ENOMEM;
  size_t count = 0;
  uint32_t key;
  const uint32_t *last = NULL; /* NULL asks for the first key */
  while (count < capacity && bpf_map_get_next_key(peers, last, &key) == 0) {
    out[count].address = key;
    /* One that has just made room is left out. */
    if (sum_peer(peers, key, each, cpus, &out[count].counted)) count++;
    last = &key;
  }
  free(each);
  return (int)count;
}

/* Of a peer on one CPU, in this unit of time and the one before it. */
static int largest_of(const struct fan_peer *peer, uint32_t now) {
  if (peer->time == now) return peer->largest > peer->before ? peer->largest : peer->before;
  return peer->time + 1 == now ? peer->largest : 0;
}

int program_largest(int peers, uint32_t address) {
  struct timespec time;
  int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) return cpus;
  struct fan_peer *each = calloc((size_t)cpus, sizeof *each);
  if (each == NULL) return -ENOMEM;
  int largest = 0;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
  uint64_t ns = (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
  if (bpf_map_lookup_elem(peers, &address, each) == 0) {
    for (int i = 0; i < cpus; i++) {
      int here = largest_of(&each[i], (uint32_t)(ns >> FAN_TIME_SHIFT));
      if (here > largest) largest = here;
    }
  }
  free(each);
  return largest;
}

int program_test(int program, const struct slab *frame, struct slab *out) {
  LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame->bytes,
              .data_size_in = (uint32_t)frame->size, .data_out = out->bytes,
              .data_size_out = (uint32_t)out->size, .repeat = 1);
  if (bpf_prog_test_run_opts(program, &run) < 0) return -errno;
  out->size = run.data_size_out;
  return (int)run.retval;
}
