/*
 * AF_INET raw sockets: the underlay's side of the dataplane. Protocol 4 receives (decap),
 * IPPROTO_RAW sends with our own header (encap), protocol 1 receives ICMP errors. See raw(7),
 * recvmmsg(2), sendmmsg(2).
 */
#ifndef UFAN_RAW_SOCKET_H
#define UFAN_RAW_SOCKET_H

#include "packet.h"

struct raw_options {
  int protocol;
  uint32_t bind_address; /* host order, 0 = any */
  int send_buffer; /* bytes, 0 = the system's default; above the system's limit where we may */
  int receive_buffer;
  uint32_t mark;
  uint32_t icmp_types; /* protocol 1: bit n = receive type n; 0 = all */
};

/* The descriptor or -errno, then *syscall names the call that failed. */
int raw_open(const struct raw_options *options, const char **syscall);

/*
 * Receives whole IP packets, outer header first, one a slot
 * (receive_slots.h). The count (0 when nothing waits) or
 * -errno.
 */
int raw_receive(int fd, const struct slab *slab, struct packet *packets, size_t capacity);

/*
 * Sends IP packets that begin with `outer_len` bytes of outer header (0: none, the packet is its
 * own) to their descriptor's address. Super-packets are segmented, partial checksums completed. A
 * packet's failure is its own: error is set, the next ones go out. Waits a few milliseconds in all
 * for room. Returns how many failed.
 */
int raw_send(int fd, const struct slab *slab, struct packet *packets, size_t count,
             size_t outer_len);

/* A device and an underlay address on it. */
struct raw_ignored {
  uint32_t ifindex;
  uint32_t address; /* host order */
};

/* The most that raw_ignore() takes: as many as fit the 4096 instructions of a socket filter. */
enum { RAW_IGNORED_MAX = 800 };

/*
 * Lets the socket receive nothing that came in by one of these devices to the address there: a
 * packet socket has it. The kernel still takes the protocol for served. Replaces what was set
 * before. 0 or -errno.
 */
int raw_ignore(int fd, const struct raw_ignored *ignored, size_t count);

/* Packets lost to a full receive buffer since the socket was opened (modulo 2^32). 0 or -errno. */
int raw_drops(int fd, uint32_t *drops);

#endif
