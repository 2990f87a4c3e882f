/* The shim's loader (see gso_shim.h): libbpf loads, and bpf(2) attaches, as libbpf before 1.3 knows
 * no TCX. */
#include "gso_shim.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Since 6.6; older headers lack it. */
enum { TCX_EGRESS = 47 };

static int attach(int program, int ifindex) {
  union bpf_attr attr;
  memset(&attr, 0, sizeof attr);
  attr.link_create.prog_fd = (uint32_t)program;
  attr.link_create.target_ifindex = (uint32_t)ifindex;
  attr.link_create.attach_type = TCX_EGRESS;
  long link = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof attr);
  if (link < 0) return -errno;
  fcntl((int)link, F_SETFD, FD_CLOEXEC);
  return (int)link;
}

static int load_and_attach(struct bpf_object *object, int ifindex, const char **syscall) {
  *syscall = "BPF_PROG_LOAD";
  int error = bpf_object__load(object);
  if (error < 0) return error;
  struct bpf_program *program = bpf_object__next_program(object, NULL);
  if (program == NULL) return -ENOEXEC;
  *syscall = "BPF_LINK_CREATE";
  return attach(bpf_program__fd(program), ifindex);
}

int gso_shim_attach(const struct slab *object, int ifindex, const char **syscall) {
  *syscall = "bpf_object__open_mem";
  libbpf_set_print(NULL); /* what fails is said by errno, not on stderr */
  struct bpf_object *opened = bpf_object__open_mem(object->bytes, object->size, NULL);
  if (opened == NULL) return -errno;
  int link = load_and_attach(opened, ifindex, syscall);
  bpf_object__close(opened); /* the link holds the program */
  return link;
}
