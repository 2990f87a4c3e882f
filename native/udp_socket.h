/*
 * UDP sockets that carry VXLAN (RFC 7348): the underlay's side of the dataplane, where IP-in-IP has
 * raw sockets. Bursts leave and come in whole (UDP_SEGMENT, UDP_GRO; udp(7)). Packets here begin
 * with the `tunnel` bytes of VXLAN and link header that stand between UDP and the inner packet.
 */
#ifndef UFAN_UDP_SOCKET_H
#define UFAN_UDP_SOCKET_H

#include <net/if.h>

#include "packet.h"

/* VXLAN and Ethernet. */
enum { UDP_TUNNEL = 8 + 14 };
/* Datagrams that one message may stand for: the least limit of any kernel (UDP_MAX_SEGMENTS). */
enum { UDP_BURST = 64 };

struct udp_options {
  uint32_t address; /* local, host order */
  uint16_t port;    /* local; 0 = any that is free */
  char device[IFNAMSIZ];
  int send_buffer; /* bytes, 0 = the system's default; above the system's limit where we may */
  int receive_buffer;
  uint8_t ttl; /* of what is sent */
  bool shared; /* SO_REUSEPORT: with other sockets like it, flow by flow */
};

/* The descriptor or -errno, then *syscall names the call that failed. */
int udp_open(const struct udp_options *options, const char **syscall);

/* The port that the socket has, or -errno. */
int udp_port(int fd);

/*
 * Receives datagrams, one or a burst a slot (receive_slots.h), each datagram of a burst a
 * descriptor: at most capacity / UDP_BURST slots. `address` becomes the sender's, `reserved` its
 * port, `tag` its TTL and TOS (upper and lower byte of 16 bits). The count (0 when nothing waits)
 * or -errno.
 */
int udp_receive(int fd, const struct slab *slab, struct packet *packets, size_t capacity);

/*
 * Sends each packet as a datagram to `port` of its descriptor's address, by one of the `fds` and
 * with the TOS that `reserved` says (lower byte; the upper one, modulo `fd_count`, is the index).
 * Super-packets are segmented behind the tunnel header, partial checksums completed. Errors as
 * raw_send(). Returns how many failed.
 */
int udp_send(const int *fds, size_t fd_count, uint16_t port, const struct slab *slab,
             struct packet *packets, size_t count);

#endif
