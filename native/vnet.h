/*
 * What the TUN is told of a packet: its virtio_net_hdr, and for packets from a raw socket, which
 * come without one, the state of the transport checksum. Decap, right before the write. The rule
 * for an unknown checksum: valid -> DATA_VALID; the pseudo-header's sum -> NEEDS_CSUM; neither ->
 * no flag, so that a corrupted packet never gets a fresh checksum. All offsets fit the packet,
 * whatever its bytes are.
 */
#ifndef UFAN_VNET_H
#define UFAN_VNET_H

#include <linux/virtio_net.h>

#include "packet.h"
#include "transport.h"

/*
 * Fills `vnet` for the inner packet at `ip`; `t` is what transport_parse() found, or NULL. A packet
 * longer than `mtu` with a partial checksum was merged by the kernel: it gets a gso_size that fills
 * the mtu. 0, or -EINVAL when the descriptor's own offsets point outside the packet.
 */
int vnet_for(const struct packet *packet, const uint8_t *ip, const struct transport *t, size_t mtu,
             struct virtio_net_hdr *vnet);

#endif
