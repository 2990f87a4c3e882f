/*
 * Decap in the kernel for a fan over VXLAN (`--io bpf`), the short way: runs at the ingress of the
 * underlay's device and takes the outer headers off itself, as decap.bpf.c, where vxlan_decap.bpf.c
 * would have let the frame come in. It has that one's maps.
 *
 * It passes by what the host's firewall says of UDP, and so takes only packets of a peer of which
 * one has just passed there and by the VXLAN device: at least one each second goes that way.
 *
 * It drops nothing. What it doesn't take goes on to the VXLAN device: also a checksum that nobody
 * has looked at; and super-packets on which the mark of the tunnel would stay where it does harm:
 * for ports of a layer-2 fan that are no veths, or of UDP, which it would have cut wrongly.
 */
#include <bpf/bpf_endian.h>

#include "vxlan_program.bpf.h"

enum { TO_US = 0 }; /* PACKET_HOST */

/* Whole outer headers of our VNI from a peer of the fan to us. */
static __always_inline bool is_from_peer(const struct fan_config *fan, const __u8 *outer,
                                         __u32 outer_len) {
  const __u8 *udp = outer + IPV4_LEN;
  const __u8 *vxlan = udp + UDP_LEN;
  return outer[0] == 0x45 && be16(outer + 2) == outer_len && (be16(outer + 6) & FRAGMENT) == 0 &&
         outer[9] == PROTOCOL_UDP && be32(outer + 16) == fan->address &&
         be16(udp + 2) == fan->port && be16(udp + 4) == outer_len - IPV4_LEN &&
         be32(vxlan) == VXLAN_FLAGS && be32(vxlan + 4) == fan->vni << 8 &&
         is_peer(fan, be32(outer + 12)) && header_sum(outer) == 0xffff;
}

/*
 * Whether the outer checksum is right, or there is none: by what the device said, or by the headers
 * as far as it is theirs; the rest the container's kernel will look at.
 */
static __always_inline bool is_sound(struct __sk_buff *skb, const __u8 *outer) {
  if (be16(outer + IPV4_LEN + 6) == 0) return true;
  if (bpf_csum_level(skb, BPF_CSUM_LEVEL_QUERY) >= 0) return true;
  return skb->gso_size == 0 && tells_sum(skb, outer + VXLAN_OUTER_LEN, VXLAN_OUTER_LEN) &&
         outer_sum(outer) == 0xffff;
}

SEC("tc")
int direct_decap(struct __sk_buff *skb) {
  const __u32 first = 0;
  __u8 outer[VXLAN_OUTER_LEN + IPV4_LEN];
  const __u8 *frame = outer + FRAME_OUTER_LEN;
  struct shape shape;
  const struct fan_config *fan = bpf_map_lookup_elem(&config, &first);
  if (!fan || fan->direct == FAN_DIRECT_NONE || fan->takes == FAN_TAKES_NOTHING) return NEXT;
  if (skb->protocol != bpf_htons(ETHERTYPE_IPV4) || skb->pkt_type != TO_US) return NEXT;
  if (skb->vlan_present) return NEXT;
  if (bpf_skb_load_bytes_relative(skb, 0, outer, sizeof outer, BPF_HDR_START_NET) != 0) return NEXT;
  __u32 outer_len = skb->len - ETHERNET_LEN;
  __u32 packet_len = outer_len - VXLAN_OUTER_LEN;
  if (!is_from_peer(fan, outer, outer_len)) return NEXT;
  __u32 sender = be32(outer + 12);
  struct fan_peer *peer = bpf_map_lookup_elem(&peers, &sender);
  if (!is_admitted(peer)) return NEXT;
  const __u8 *ip = frame + ETHERNET_LEN;
  if (((outer[1] ^ ip[1]) & ECN) != 0) return NEXT;
  if (skb->gso_size != 0 && (fan->direct == FAN_DIRECT_SINGLE || ip[9] == PROTOCOL_UDP))
    return NEXT;
  if (!may_come_in(skb, fan, sender, frame, packet_len, VXLAN_OUTER_LEN, &shape)) return NEXT;
  if (!is_sound(skb, outer)) return NEXT;

  if (bpf_skb_adjust_room(skb, -VXLAN_OUTER_LEN, BPF_ADJ_ROOM_MAC,
                          BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET) != 0) {
    return NEXT;
  }
  /* What the device said of checksums begins with the outer one, even where that is 0. */
  bpf_csum_level(skb, BPF_CSUM_LEVEL_DEC);
  if (bpf_skb_store_bytes(skb, 0, frame, ETHERNET_LEN, 0) != 0) return DROP;
  skb->mark = 0;
  count(peer, &shape, VXLAN_OUTER_LEN);
  return bpf_redirect(fan->device, BPF_F_INGRESS);
}

/* May be taken under the GPL, as encap.bpf.c must. */
const char _license[] SEC("license") = "Dual MIT/GPL";
