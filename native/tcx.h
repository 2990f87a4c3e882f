/* Loads a BPF object of one program and puts it at the ingress or egress of a device (TCX,
 * kernel 6.6). */
#ifndef UFAN_TCX_H
#define UFAN_TCX_H

#include "packet.h"

struct bpf_object;

/* Of a device, as attach types of bpf(2). Since 6.6; older headers lack them. */
enum tcx_side { TCX_INGRESS = 46, TCX_EGRESS = 47 };

/* From the bytes of an object file. 0, or -errno and in *syscall what failed. */
int tcx_load(const struct slab *file, struct bpf_object **object, const char **syscall);

/*
 * The same in two steps, between which maps of another program can be put in the place of its own.
 * The second one closes the object where it fails.
 */
int tcx_open(const struct slab *file, struct bpf_object **object, const char **syscall);
int tcx_load_opened(struct bpf_object **object, const char **syscall);

/* The descriptor of the object's program; it ends with the object. */
int tcx_program(struct bpf_object *object);

/*
 * A descriptor of a map of the object that outlives it, the caller's to close. Or -errno, then
 * *syscall names what failed.
 */
int tcx_map(struct bpf_object *object, const char *name, const char **syscall);

/*
 * A TCX link: program and attachment end when its last descriptor is closed, also by the death of
 * the process. Or -errno, then *syscall names what failed; EINVAL where the kernel is older than
 * 6.6.
 */
int tcx_attach(struct bpf_object *object, int ifindex, enum tcx_side side, const char **syscall);

/*
 * Index of the device that a program is attached to by this link; 0 where somebody has detached it,
 * or the device is gone. Or -errno.
 */
int tcx_device(int link);

/*
 * Gives a link a name in a file system of type bpf: what it attached stays until the name is
 * removed, also after its last descriptor. 0 or -errno.
 */
int tcx_pin(int link, const char *path);

#endif
