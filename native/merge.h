/*
 * Merges runs of in-order segments of one flow into super-packets for the TUN, as a NIC with GRO
 * would: the first packet's headers are patched in scratch, the payloads stay where they are and
 * are gathered by writev. Decap, right before the write. The inverse of segment.h, and as strict as
 * wireguard-go: only what segmentation would restore bit by bit is merged (but the ID of packets
 * with DF, which means nothing: RFC 6864 §4.1).
 */
#ifndef UFAN_MERGE_H
#define UFAN_MERGE_H

#include <sys/uio.h>

#include "packet.h"
#include "vnet.h"

enum { MERGE_TCP = 1, MERGE_UDP = 2 };

enum {
  MERGE_CHUNK = 128,       /* packets looked at together */
  MERGE_MAX_SEGMENTS = 64, /* as the kernel's own limit for UDP */
  MERGE_FLOWS = 128,       /* slots of the flow table, a power of two */
  MERGE_LINK_MAX = 14,     /* Ethernet */
  MERGE_HEADER_MAX = 96,   /* that, IPv4 without options, TCP with them, and 2 to spare */
};

/* One write to the TUN: a packet as it came, or several as one. */
struct merge_unit {
  struct virtio_net_hdr vnet;
  uint8_t
      header[MERGE_HEADER_MAX]; /* of a merged packet; follows vnet so that one iovec holds both */
  uint16_t header_len;          /* without the link header */
  uint16_t first;               /* packet index; the others follow in merge_plan.next */
  uint16_t last;
  uint16_t segments;
  uint16_t gso_size; /* payload of the first packet */
  uint16_t next_id;
  uint32_t payload_len; /* of all segments */
  uint32_t next_seq;
};

_Static_assert(offsetof(struct merge_unit, header) == sizeof(struct virtio_net_hdr), "one iovec");

struct merge_plan {
  const struct slab *slab;
  struct packet *packets;
  size_t mtu;
  unsigned allowed; /* MERGE_* */
  size_t link;      /* bytes of link header before each packet: 0 or MERGE_LINK_MAX */
  uint16_t unit_count;
  struct merge_unit units[MERGE_CHUNK];
  uint16_t next[MERGE_CHUNK]; /* the packet after this one in its unit */
  uint16_t
      table[MERGE_FLOWS]; /* flow hash -> index + 1 of the unit that may still grow, 0 for none */
};

/*
 * Plans the writes for `count` <= MERGE_CHUNK packets, in the order of each unit's first packet,
 * which keeps the order inside each flow. A packet that is not in the slab gets error EINVAL and no
 * unit. `mtu` is without the `link` bytes of link header that each packet begins with.
 */
void merge_plan_build(struct merge_plan *plan, const struct slab *slab, struct packet *packets,
                      size_t count, size_t mtu, unsigned allowed, size_t link);

enum { MERGE_MAX_IOV = 1 + MERGE_MAX_SEGMENTS };

/* Gathers a unit: virtio_net_hdr first. Returns the number of iovecs, at most MERGE_MAX_IOV. */
int merge_unit_gather(const struct merge_plan *plan, const struct merge_unit *unit,
                      struct iovec *iov);

#endif
