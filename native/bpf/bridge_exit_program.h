/*
 * The short way to a container (bridge_exit.bpf.c): what the program and its loader share.
 */
#ifndef UFAN_BRIDGE_EXIT_PROGRAM_H
#define UFAN_BRIDGE_EXIT_PROGRAM_H

#include <linux/types.h>

enum { BRIDGE_EXIT_PORTS = 4096, BRIDGE_EXIT_MAC_LEN = 6 };

/* A key of the map `ports`. */
struct bridge_exit_mac {
  __u8 bytes[BRIDGE_EXIT_MAC_LEN];
  __u8 zero[2];
};

#endif
