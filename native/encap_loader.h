/* Loads and feeds the program at the egress of a fan's TUN (encap.bpf.c). */
#ifndef UFAN_ENCAP_LOADER_H
#define UFAN_ENCAP_LOADER_H

#include "encap_program.h"
#include "packet.h"

/* Descriptors, the caller's to close; program and attachment end with `link`. */
struct encap_handles {
  int link; /* a TCX link */
  int config;
  int counters;
  int peers;
  int flows;
  int program;
};

/* `file` is the built encap.bpf.o. 0, or -errno and in *syscall what failed. */
int encap_attach(const struct slab *file, int ifindex, struct encap_handles *handles,
                 const char **syscall);

/* From the next packet on. 0 or -errno. */
int encap_configure(int config, const struct encap_config *value);

/* From now on the flow is untraced; the one longest unused may make room. 0 or -errno. */
int encap_add_flow(int flows, const struct encap_flow *flow);

/* The sum over all CPUs since the program was attached. 0 or -errno. */
int encap_count(int counters, struct encap_counters *sum);

/* What was sent to a peer, over all CPUs. */
struct encap_peer {
  uint32_t address; /* host order */
  struct encap_counters sent;
};

/* At most `capacity` peers, in no order. Their count or -errno. */
int encap_read_peers(int peers, struct encap_peer *out, size_t capacity);

/*
 * Runs the program once over an Ethernet frame, as BPF_PROG_TEST_RUN does: for tests. `out` takes
 * the frame afterwards, its size becomes its length. The program's verdict or -errno.
 */
int encap_test(int program, const struct slab *frame, struct slab *out);

#endif
