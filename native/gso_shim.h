/* Loads the GSO shim (gso_shim.bpf.c) and puts it at the egress of a device. */
#ifndef UFAN_GSO_SHIM_H
#define UFAN_GSO_SHIM_H

#include "packet.h"

/*
 * `file` is the built gso_shim.bpf.o. Returns a link as of tcx_attach(), or -errno, then
 * *syscall names what failed.
 */
int gso_shim_attach(const struct slab *file, int ifindex, const char **syscall);

#endif
