/*
 * Decap in the kernel (`--io bpf`): runs at the ingress of a fan's underlay device, does for a
 * plain packet what src/dataplane/walks/decap-path.ts does, and lets it come in by the TUN, whole
 * if it is a super-packet.
 *
 * It drops nothing. Whatever it doesn't take (a source that is not the sender's, congestion that
 * was marked on the way, fragments, probes) goes on to the packet socket of the daemon, which sees
 * only what is left here, for it asks for IPv4 and not for everything. So does, while somebody
 * traces, whatever a trace might show. RFC 2003 §3, RFC 6040 §4.2.
 */
#include <bpf/bpf_endian.h>

#include "fan_program.bpf.h"

enum {
  OUTER_LEN = 20,
  ETHERTYPE_IPV4 = 0x0800,
  TO_US = 0, /* PACKET_HOST */
};

/* A whole outer header from a peer of the fan to us, around what fills the rest. */
static __always_inline bool is_from_peer(const struct fan_config *fan, const __u8 *outer,
                                         __u32 packet_len) {
  return outer[0] == 0x45 && be16(outer + 2) == packet_len && (be16(outer + 6) & FRAGMENT) == 0 &&
         outer[9] == PROTOCOL_IPIP && be32(outer + 16) == fan->address &&
         is_peer(fan, be32(outer + 12)) && header_sum(outer) == 0xffff;
}

SEC("tc")
int decap(struct __sk_buff *skb) {
  const __u32 first = 0;
  __u8 outer[OUTER_LEN + IPV4_LEN];
  const __u8 *ip = outer + OUTER_LEN;
  const struct fan_config *fan = bpf_map_lookup_elem(&config, &first);
  if (!fan || fan->takes == FAN_TAKES_NOTHING) return NEXT;
  if (skb->protocol != bpf_htons(ETHERTYPE_IPV4) || skb->pkt_type != TO_US) return NEXT;
  if (skb->vlan_present) return NEXT;
  if (bpf_skb_load_bytes_relative(skb, 0, outer, sizeof outer, BPF_HDR_START_NET) != 0) return NEXT;
  __u32 packet_len = skb->len - fan->link_header;
  __u32 inner_len = packet_len - OUTER_LEN;
  if (!is_from_peer(fan, outer, packet_len) || !is_plain(ip, inner_len, OUTER_LEN)) return NEXT;
  __u32 sender = be32(outer + 12);
  if (!is_behind(fan, be32(ip + 12), sender) || !is_host_of_slice(fan, be32(ip + 16))) return NEXT;
  if (((outer[1] ^ ip[1]) & ECN) != 0) return NEXT;
  if (fan->takes == FAN_TAKES_UNTRACED && !is_untraced(skb, fan, ip, OUTER_LEN)) return NEXT;

  struct shape shape;
  if (!find_shape(skb, OUTER_LEN, ip[9], inner_len, &shape)) return NEXT;
  if (shape.longest > fan->limit) return NEXT;

  /* What the device said of the checksum, it said of the inner packet: the outer one has none. */
  if (bpf_skb_adjust_room(skb, -OUTER_LEN, BPF_ADJ_ROOM_MAC,
                          BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET) != 0) {
    return NEXT;
  }
  /* Somebody's, for the outer packet: rules for inner ones never see it, as by the daemon. */
  skb->mark = 0;
  count(peer_of(sender), &shape, OUTER_LEN);
  return bpf_redirect(fan->device, BPF_F_INGRESS);
}

/* May be taken under the GPL, as encap.bpf.c must. */
const char _license[] SEC("license") = "Dual MIT/GPL";
