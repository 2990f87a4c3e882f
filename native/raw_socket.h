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
  bool tell_device;    /* of what is received the device's index becomes the tag */
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
 * Whether the kernel takes the protocol of a packet from its message (Linux 6.4), for IPsec
 * policies and routing rules; without, they see IPPROTO_RAW. Asks the kernel, and sends nothing.
 */
bool raw_can_name_protocol(int fd);

struct raw_send_options {
  size_t outer_len;    /* bytes of outer header that packets begin with; 0: none but their own */
  bool names_protocol; /* as raw_can_name_protocol() says */
};

/*
 * Sends IP packets to their descriptor's address. Super-packets are segmented, partial checksums
 * completed. A packet's failure is its own: error is set, the next ones go out. Waits a few
 * milliseconds in all for room. Returns how many failed.
 */
int raw_send(int fd, const struct slab *slab, struct packet *packets, size_t count,
             struct raw_send_options options);

/* Words of an instruction of raw_filter(): code, jt, jf, k. */
enum { RAW_FILTER_WORDS = 4 };

/*
 * Lets the socket receive only what a program of classic BPF, `count` instructions, takes; the
 * packet begins with its outer header. The kernel takes the protocol for served all the same.
 * Replaces what was set before. 0 or -errno.
 */
int raw_filter(int fd, const uint32_t *words, size_t count);

/* Packets lost to a full receive buffer since the socket was opened (modulo 2^32). 0 or -errno. */
int raw_drops(int fd, uint32_t *drops);

#endif
