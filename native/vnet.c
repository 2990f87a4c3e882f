/* The virtio_net_hdr of a packet on its way to the TUN (see vnet.h). */
#include "vnet.h"

#include <errno.h>

#include "checksum.h"

/* As the descriptor says; the kernel judges the rest. */
static int vnet_from_descriptor(const struct packet *packet, struct virtio_net_hdr *vnet) {
  size_t checksum_end = (size_t)packet->csum_start + packet->csum_offset + 2;
  bool partial = (packet->flags & NEEDS_CSUM) != 0;
  bool gso = packet->gso_type != GSO_NONE;
  if (partial && checksum_end > packet->length) return -EINVAL;
  if (gso && packet->header_len > packet->length) return -EINVAL;
  vnet->flags = packet->flags & (NEEDS_CSUM | DATA_VALID);
  vnet->gso_type = packet->gso_type;
  vnet->gso_size = gso ? packet->gso_size : 0;
  vnet->hdr_len = gso ? packet->header_len : 0;
  vnet->csum_start = partial ? packet->csum_start : 0;
  vnet->csum_offset = partial ? packet->csum_offset : 0;
  return 0;
}

static void set_partial(const struct transport *t, struct virtio_net_hdr *vnet) {
  vnet->flags = NEEDS_CSUM;
  vnet->csum_start = t->ip_len;
  vnet->csum_offset = t->sum_at;
}

/*
 * Containers of an underlay with a larger MTU may all the same have the usual one (1500 less the
 * outer header). TCP does not mind smaller segments than those that were merged.
 */
enum { USUAL_MTU = 1480 };

/*
 * The kernel's GRO merged it, or may have, and kept no segment size: the largest that surely fits.
 * (For UDP the datagrams' borders are lost already; GRO merges UDP for forwarding only where
 * somebody turned that on.)
 */
static void set_super(const struct packet *packet, const struct transport *t, size_t mtu,
                      struct virtio_net_hdr *vnet) {
  size_t header_len = transport_header_len(t);
  if (t->protocol == PROTOCOL_TCP && mtu > USUAL_MTU) mtu = USUAL_MTU;
  if (packet->length <= mtu || mtu <= header_len) return;
  vnet->gso_type = t->protocol == PROTOCOL_TCP ? GSO_TCPV4 : GSO_UDP_L4;
  vnet->gso_size = (uint16_t)(mtu - header_len);
  vnet->hdr_len = (uint16_t)header_len;
}

int vnet_for(const struct packet *packet, const uint8_t *ip, const struct transport *t, size_t mtu,
             struct virtio_net_hdr *vnet) {
  memset(vnet, 0, sizeof *vnet);
  if ((packet->flags & CSUM_UNKNOWN) == 0) return vnet_from_descriptor(packet, vnet);
  if (t == NULL) return 0;
  const uint8_t *l4 = ip + t->ip_len;
  uint64_t pseudo = checksum_pseudo(ip, t->protocol, t->l4_total);
  uint16_t field;
  memcpy(&field, l4 + t->sum_at, sizeof field);
  if (field == 0 && t->protocol == PROTOCOL_UDP) return 0;
  bool partial = field == checksum_fold(pseudo);
  bool merged = packet->length > mtu && (packet->flags & NOT_MERGED) == 0;
  /* A valid checksum may equal the pseudo sum by chance: ask first, but of what GRO merged. */
  if (!(partial && merged) && checksum_fold(pseudo + checksum_sum(l4, t->l4_total)) == 0xffff) {
    vnet->flags = DATA_VALID;
  } else if (partial) {
    set_partial(t, vnet);
    set_super(packet, t, mtu, vnet);
  }
  return 0;
}
