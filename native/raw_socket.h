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

/* The most packets that one raw_receive() takes. */
enum { RECEIVE_BATCH = 128 };

/*
 * Slots of the slab are this far apart: 29 cache lines more than a power of two, so that the
 * headers, and even full-size packets, of neighbouring slots fall into different sets of the L1 and
 * L2 caches.
 */
enum { RECEIVE_STRIDE = HEADROOM + MAX_PACKET + 28 * CACHE_LINE };

/* Receives whole IP packets, outer header first, one a slot. The count (0 when nothing waits) or
 * -errno. */
int raw_receive(int fd, const struct slab *slab, struct packet *packets, size_t capacity);

/*
 * Sends IP packets that begin with `outer_len` bytes of outer header (0: none, the packet is its
 * own) to their descriptor's address. Super-packets are segmented, partial checksums completed. A
 * packet's failure is its own: error is set, the next ones go out. Waits a few milliseconds in all
 * for room. Returns how many failed.
 */
int raw_send(int fd, const struct slab *slab, struct packet *packets, size_t count,
             size_t outer_len);

/* Packets lost to a full receive buffer since the socket was opened (modulo 2^32). 0 or -errno. */
int raw_drops(int fd, uint32_t *drops);

#endif
