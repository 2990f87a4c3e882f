/*
 * The TUN device: first step of encap (read), last step of decap (write). Opened with IFF_VNET_HDR,
 * so that a read may be a super-packet of up to 64 kB, and a write too
 * (Documentation/networking/tuntap.rst).
 */
#ifndef UFAN_TUN_H
#define UFAN_TUN_H

#include <net/if.h>

#include "packet.h"
#include "ring.h"

struct tun {
  int fd;
  char name[IFNAMSIZ];
  unsigned offloads; /* TUN_F_* that the kernel accepted */
};

/* Of the slots that a batch is read into; a slab of n of them takes n packets at once. */
enum { TUN_STRIDE = HEADROOM + MAX_PACKET };

/* Bytes of link header that packets of a TAP begin with; those of a TUN have none. */
enum { TAP_LINK = 14 };

/*
 * Creates a TUN, or attaches to a persistent one. An empty name lets the kernel choose. Of the
 * TUN_F_* bits in `offloads`, those that this kernel does not know are left out: USO, then TSO,
 * then the checksum. `multi_queue`: as one queue of several (IFF_MULTI_QUEUE), which takes a TUN
 * made so. `tap`: of Ethernet frames. 0 or -errno, then *syscall names the call that failed.
 */
int tun_open(const char *name, unsigned offloads, bool multi_queue, bool tap, struct tun *tun,
             const char **syscall);

/* TUNSETPERSIST. 0 or -errno. */
int tun_persist(int fd, bool persist);

/*
 * Takes the queue off a multi-queue TUN: the kernel gives it nothing to read any more, but takes
 * what is written to it. 0 or -errno.
 */
int tun_detach_queue(int fd);

/*
 * Reads packets into the slab with HEADROOM free before each, as far as there is room for the
 * longest: by `ring`, where it is fit, as many as have come of late, else one after the other until
 * `capacity` or nothing waits. The count or -errno. `link`: bytes of link header before each
 * packet, 0 or TAP_LINK; here as in tun_write() offsets in descriptors are counted from its start.
 */
int tun_read(int fd, struct ring *ring, const struct slab *slab, struct packet *packets,
             size_t capacity, size_t link);

/*
 * Writes packets, several by one entry into the kernel where `ring` is fit, merging what `merge`
 * (MERGE_*) allows. Each descriptor's error is set. Returns how many failed.
 */
int tun_write(int fd, struct ring *ring, const struct slab *slab, struct packet *packets,
              size_t count, size_t mtu, unsigned merge, size_t link);

#endif
