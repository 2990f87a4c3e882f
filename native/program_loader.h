/* Loads and feeds the programs of a fan (encap.bpf.c, decap.bpf.c). */
#ifndef UFAN_PROGRAM_LOADER_H
#define UFAN_PROGRAM_LOADER_H

#include "bpf/fan_program.h"
#include "packet.h"
#include "tcx.h"

enum program_map { CONFIG_MAP, COUNTERS_MAP, PEERS_MAP, FLOWS_MAP, PROGRAM_MAPS };

/* Descriptors, the caller's to close; program and attachment end with `link`. */
struct program_handles {
  int link; /* a TCX link */
  int program;
  int maps[PROGRAM_MAPS]; /* by enum program_map */
};

/*
 * `file` is the built program; `maps` are those of another one that it shares, NULL: none. 0, or
 * -errno and in *syscall what failed.
 */
int program_attach(const struct slab *file, int ifindex, enum tcx_side side, const uint32_t *maps,
                   struct program_handles *handles, const char **syscall);

/* From the next packet on. 0 or -errno. */
int program_configure(int config, const struct fan_config *value);

/* From now on the flow is untraced; the one longest unused may make room. 0 or -errno. */
int program_add_flow(int flows, const struct fan_flow *flow);

/* The sum over all CPUs since the program was attached. 0 or -errno. */
int program_count(int counters, struct fan_counters *sum);

/* What was sent to a peer, or came from one, over all CPUs. */
struct program_peer {
  uint32_t address; /* host order */
  struct fan_counters counted;
};

/* At most `capacity` peers, in no order. Their count or -errno. */
int program_read_peers(int peers, struct program_peer *out, size_t capacity);

/* Bytes of the longest outer packet to a peer (host order) of late, 0 where there was none. Or
 * -errno. */
int program_largest(int peers, uint32_t address);

/*
 * Runs the program once over an Ethernet frame, as BPF_PROG_TEST_RUN does: for tests. `out` takes
 * the frame afterwards, its size becomes its length. The program's verdict or -errno.
 */
int program_test(int program, const struct slab *frame, struct slab *out);

#endif
