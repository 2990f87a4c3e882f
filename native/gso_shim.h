/* Loads the GSO shim (gso_shim.bpf.c) and puts it at the egress of a device. */
#ifndef UFAN_GSO_SHIM_H
#define UFAN_GSO_SHIM_H

#include "packet.h"

/*
 * `object` is the built gso_shim.bpf.o. Returns a TCX link: program and attachment end when its
 * last descriptor is closed, also by the death of the process. Or -errno, then *syscall names the
 * call that failed; EINVAL of BPF_LINK_CREATE where the kernel is older than 6.6.
 */
int gso_shim_attach(const struct slab *object, int ifindex, const char **syscall);

#endif
