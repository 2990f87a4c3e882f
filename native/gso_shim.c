/* See gso_shim.h. */
#include "gso_shim.h"

#include <bpf/libbpf.h>

#include "tcx.h"

int gso_shim_attach(const struct slab *file, int ifindex, const char **syscall) {
  struct bpf_object *object;
  int error = tcx_load(file, &object, syscall);
  if (error < 0) return error;
  int link = tcx_attach(object, ifindex, TCX_EGRESS, syscall);
  bpf_object__close(object); /* the link holds the program */
  return link;
}
