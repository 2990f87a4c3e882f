/*
 * Cuts a super-packet into the packets that go on the wire, as a NIC with TSO/USO would: headers
 * are rebuilt per segment, the payload stays where it is. Also completes a partial checksum. Encap,
 * after the outer header was written. RFC 9293 (sequence, flags), RFC 6864 (IP ID), RFC 768.
 */
#ifndef UFAN_SEGMENT_H
#define UFAN_SEGMENT_H

#include "packet.h"

enum {
  SEGMENT_HEADER_MAX = 192
}; /* outer, inner and TCP header of 60 bytes each, rounded up to cache lines */

/* One super-packet on its way out; private to segment.c but for its size. */
struct segmenter {
  const uint8_t *packet;
  size_t outer_len;
  size_t ip_len;
  size_t l4_len;
  size_t header_len; /* all three */
  const uint8_t *payload;
  size_t payload_len;
  size_t sent;        /* payload bytes handed out */
  uint64_t outer_sum; /* sums of the headers without the fields that change */
  uint64_t ip_sum;
  uint64_t l4_sum;
  uint32_t seq;
  uint16_t id;
  uint16_t gso_size;
  bool tcp;
};

/*
 * Prepares to cut the packet at `packet` (outer_len bytes of outer header, 0 for none, then IPv4
 * with TCP or UDP) which the descriptor gives gso_type and gso_size. 0, or -EINVAL when the headers
 * are not what gso_type says.
 */
int segmenter_open(struct segmenter *s, const uint8_t *packet, const struct packet *descriptor,
                   size_t outer_len);

/*
 * The next segment: s->header_len bytes into `header` (of SEGMENT_HEADER_MAX), and where its
 * payload lies. Returns the payload's length, 0 after the last segment.
 */
size_t segmenter_next(struct segmenter *s, uint8_t *header, const uint8_t **payload);

/*
 * NEEDS_CSUM without GSO: completes the checksum in the packet and takes the flag off the
 * descriptor. 0, or -EINVAL when csum_start and csum_offset point outside the packet.
 */
int packet_complete_checksum(uint8_t *packet, struct packet *descriptor);

#endif
