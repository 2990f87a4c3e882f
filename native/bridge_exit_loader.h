/* Loads and feeds the program at the egress of a fan's bridge (bridge_exit.bpf.c). */
#ifndef UFAN_BRIDGE_EXIT_LOADER_H
#define UFAN_BRIDGE_EXIT_LOADER_H

#include "bpf/bridge_exit_program.h"
#include "packet.h"

/* Descriptors, the caller's to close; program and attachment end with `link`. */
struct bridge_exit_handles {
  int link; /* a TCX link */
  int ports;
};

/*
 * `file` is the built bridge_exit.bpf.o; `tun` the index of the device whose super-packets it
 * takes. 0, or -errno and in *syscall what failed.
 */
int bridge_exit_attach(const struct slab *file, int bridge, int tun,
                       struct bridge_exit_handles *handles, const char **syscall);

/*
 * From the next packet on those to `mac` go to the device `port`, or with 0 by the bridge. 0, also
 * where the address to forget was not known, or -errno: -E2BIG where there is no room.
 */
int bridge_exit_set_port(int ports, const uint8_t mac[BRIDGE_EXIT_MAC_LEN], int port);

#endif
