/*
 * AF_PACKET sockets with virtio_net_hdr: the underlay's side of the dataplane where super-packets
 * stay whole. Receive: frames for us before the kernel's IP layer, merged by its GRO, outer
 * fragments put together. Send: frames with Ethernet header; the GSO shim (gso_shim.bpf.c) tells
 * the kernel of the tunnel. See packet(7), Documentation/networking/packet_mmap.rst.
 */
#ifndef UFAN_PACKET_SOCKET_H
#define UFAN_PACKET_SOCKET_H

#include "packet.h"

/* Bytes of the Ethernet header before each packet; within HEADROOM. */
enum { ETHERNET_LEN = 14 };

/*
 * A socket that receives IPIP frames addressed to this host on an Ethernet device, whose outer
 * destination is `address` (host order). With others of its `group` (0: of a new one) it shares
 * them, flow by flow. The descriptor or -errno, then *syscall names the call that failed.
 */
int packet_receiver_open(int ifindex, uint32_t address, int buffer, int group,
                         const char **syscall);

/* The group of a receiver, unique in the network namespace; or -errno. */
int packet_receiver_group(int fd);

/* Bytes, as the kernel accounts for them, that were sent and are still on their way; or -errno. */
int packet_unsent(int fd);

/* A socket that only sends, with the mark that the shim looks for where `shim`. As above. */
int packet_sender_open(int ifindex, int buffer, bool shim, const char **syscall);

/*
 * Receives whole IP packets, outer header first, one a slot as raw_receive(). The flags are the
 * kernel's, or CSUM_UNKNOWN where it says nothing of the checksum; header_len of a super-packet
 * counts all its headers, or the outer one alone where the inner ones are malformed. Adds to *lost
 * the frames that the kernel could not hand over. The count (0 when nothing waits) or -errno.
 */
int packet_receive(int fd, const struct slab *slab, struct packet *packets, size_t capacity,
                   uint32_t *lost);

struct packet_send_options {
  bool cut;     /* super-packets into segments */
  bool patient; /* see send_queue_init() */
};

/*
 * Sends packets, each with ETHERNET_LEN bytes of Ethernet header in front of it; those whose error
 * is set already are left out. Super-packets go whole, or in segments; partial
 * checksums of others are completed. A packet's failure is its own: error is set, the next ones go
 * out. Waits some milliseconds in all for room. Returns how many have an error in the end.
 */
int packet_send(int fd, const struct slab *slab, struct packet *packets, size_t count,
                struct packet_send_options options);

#endif
