/* libbpf loads, and bpf(2) attaches, as libbpf before 1.3 knows no TCX (see tcx.h). */
#include "tcx.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A parameter here is called syscall as well. */
static long bpf_call(int command, union bpf_attr *attr) {
  return syscall(SYS_bpf, command, attr, sizeof *attr);
}

int tcx_open(const struct slab *file, struct bpf_object **object, const char **syscall) {
  *syscall = "bpf_object__open_mem";
  libbpf_set_print(NULL); /* what fails is said by errno, not on stderr */
  *object = bpf_object__open_mem(file->bytes, file->size, NULL);
  return *object == NULL ? -errno : 0;
}

int tcx_load(const struct slab *file, struct bpf_object **object, const char **syscall) {
  int error = tcx_open(file, object, syscall);
  return error < 0 ? error : tcx_load_opened(object, syscall);
}

int tcx_load_opened(struct bpf_object **object, const char **syscall) {
  *syscall = "BPF_PROG_LOAD";
  int error = bpf_object__load(*object);
  if (error == 0) return 0;
  bpf_object__close(*object);
  return error;
}

int tcx_program(struct bpf_object *object) {
  return bpf_program__fd(bpf_object__next_program(object, NULL));
}

int tcx_map(struct bpf_object *object, const char *name, const char **syscall) {
  *syscall = "fcntl";
  int map = bpf_object__find_map_fd_by_name(object, name);
  if (map < 0) return map;
  int copy = fcntl(map, F_DUPFD_CLOEXEC, 0);
  return copy < 0 ? -errno : copy;
}

int tcx_attach(struct bpf_object *object, int ifindex, enum tcx_side side, const char **syscall) {
  union bpf_attr attr;
  *syscall = "BPF_LINK_CREATE";
  int program = tcx_program(object);
  if (program < 0) return program;
  memset(&attr, 0, sizeof attr);
  attr.link_create.prog_fd = (uint32_t)program;
  attr.link_create.target_ifindex = (uint32_t)ifindex;
  attr.link_create.attach_type = side;
  long link = bpf_call(BPF_LINK_CREATE, &attr);
  if (link < 0) return -errno;
  fcntl((int)link, F_SETFD, FD_CLOEXEC);
  return (int)link;
}

/* The beginning of struct bpf_link_info; headers before 6.6 know nothing of TCX. */
struct tcx_link_info {
  uint32_t type;
  uint32_t id;
  uint32_t program;
  uint32_t padding;
  uint32_t ifindex;
  uint32_t attach_type;
};

int tcx_device(int link) {
  union bpf_attr attr;
  struct tcx_link_info info = {0};
  memset(&attr, 0, sizeof attr);
  attr.info.bpf_fd = (uint32_t)link;
  attr.info.info_len = sizeof info;
  attr.info.info = (uint64_t)(uintptr_t)&info;
  return bpf_call(BPF_OBJ_GET_INFO_BY_FD, &attr) < 0 ? -errno : (int)info.ifindex;
}

int tcx_pin(int link, const char *path) {
  union bpf_attr attr;
  memset(&attr, 0, sizeof attr);
  attr.pathname = (uint64_t)(uintptr_t)path;
  attr.bpf_fd = (uint32_t)link;
  return bpf_call(BPF_OBJ_PIN, &attr) < 0 ? -errno : 0;
}
