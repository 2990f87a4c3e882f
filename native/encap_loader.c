/* See encap_loader.h; bpf(2). */
#include "encap_loader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "tcx.h"

static int duplicate(int fd) {
  if (fd < 0) return -ENOENT;
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return copy < 0 ? -errno : copy;
}

static void close_if_open(int fd) {
  if (fd >= 0) close(fd);
}

int encap_attach(const struct slab *file, int ifindex, struct encap_handles *handles,
                 const char **syscall) {
  struct bpf_object *object;
  int error = tcx_load(file, &object, syscall);
  if (error < 0) return error;
  handles->link = tcx_attach_egress(object, ifindex, syscall);
  if (handles->link >= 0) *syscall = "fcntl";
  handles->config = duplicate(bpf_object__find_map_fd_by_name(object, "config"));
  handles->counters = duplicate(bpf_object__find_map_fd_by_name(object, "counters"));
  handles->program = duplicate(tcx_program(object));
  bpf_object__close(object);
  int fds[] = {handles->link, handles->config, handles->counters, handles->program};
  for (size_t i = 0; i < 4 && error == 0; i++) error = fds[i] < 0 ? fds[i] : 0;
  if (error == 0) return 0;
  for (size_t i = 0; i < 4; i++) close_if_open(fds[i]);
  return error;
}

int encap_configure(int config, const struct encap_config *value) {
  const uint32_t first = 0;
  return bpf_map_update_elem(config, &first, value, BPF_ANY) < 0 ? -errno : 0;
}

int encap_count(int counters, struct encap_counters *sum) {
  const uint32_t first = 0;
  int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) return cpus;
  struct encap_counters *each = calloc((size_t)cpus, sizeof *each);
  if (each == NULL) return -ENOMEM;
  int error = bpf_map_lookup_elem(counters, &first, each) < 0 ? -errno : 0;
  *sum = (struct encap_counters){0};
  for (int i = 0; i < cpus && error == 0; i++) {
    sum->packets += each[i].packets;
    sum->bytes += each[i].bytes;
  }
  free(each);
  return error;
}

int encap_test(int program, const struct slab *frame, struct slab *out) {
  LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame->bytes,
              .data_size_in = (uint32_t)frame->size, .data_out = out->bytes,
              .data_size_out = (uint32_t)out->size, .repeat = 1);
  if (bpf_prog_test_run_opts(program, &run) < 0) return -errno;
  out->size = run.data_size_out;
  return (int)run.retval;
}
