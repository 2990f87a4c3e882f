/*
 * Encap in the kernel (`--io bpf`): runs at the egress of a fan's TUN, does for a plain packet what
 * src/dataplane/walks/encap-path.ts does, and sends it on by the underlay, whole if it is a
 * super-packet.
 *
 * It drops nothing and answers nobody. Whatever is not plain (IP options, a destination with no
 * host behind it, a source that is not ours, too big for a path) goes on into the TUN, and the
 * daemon deals with it: every rule that drops stands in TypeScript only. So does, while somebody
 * traces, whatever a trace might show. RFC 2003 §3, RFC 6040.
 */
#include "fan_program.bpf.h"

enum {
  OUTER_LEN = 20,
};

static __always_inline void write_outer(const struct fan_config *fan, const __u8 *ip,
                                        __u32 packet_len, __u32 exit, __u8 *outer) {
  outer[0] = 0x45;
  outer[1] = fan->dscp > 63 ? ip[1] : (__u8)(fan->dscp << 2 | (ip[1] & 3));
  put16(outer + 2, packet_len + OUTER_LEN);
  put32(outer + 4, 0x4000); /* ID 0, DF */
  outer[8] = fan->ttl > 255 ? ip[8] : (__u8)fan->ttl;
  outer[9] = PROTOCOL_IPIP;
  put16(outer + 10, 0);
  put32(outer + 12, fan->address);
  put32(outer + 16, exit);
  put16(outer + 10, ~header_sum(outer));
}

/*
 * Whether the host's routes lead to the peer by the fan's device. Where they don't, the daemon
 * sends as the kernel says, or counts what can't be sent. `next_hop` as of leaves_by().
 */
static __always_inline bool leaves_by_device(struct __sk_buff *skb, const struct fan_config *fan,
                                             const __u8 *outer, __u32 wire_len, __be32 *next_hop) {
  struct bpf_fib_lookup route = {
      .family = FAMILY_IPV4,
      .l4_protocol = PROTOCOL_IPIP,
      .tot_len = (__u16)wire_len,
      .tos = outer[1],
      .ifindex = skb->ifindex,
  };
  __builtin_memcpy(&route.ipv4_src, outer + 12, 4);
  __builtin_memcpy(&route.ipv4_dst, outer + 16, 4);
  return leaves_by(skb, &route, fan->device, next_hop);
}

/* Puts the outer header in front and the packet on its way. */
static __always_inline int send(struct __sk_buff *skb, const struct fan_config *fan,
                                const __u8 *outer, __be32 next_hop) {
  struct bpf_redir_neigh way = {.nh_family = FAMILY_IPV4, .ipv4_nh = next_hop};
  __u32 link_header = fan->link_header;
  if (bpf_skb_adjust_room(skb, OUTER_LEN, BPF_ADJ_ROOM_MAC,
                          BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4) != 0) {
    return NEXT;
  }
  if (bpf_skb_store_bytes(skb, link_header, outer, OUTER_LEN, 0) != 0) return DROP;
  /* A TUN's packet has no room for a link header, without which redirect_neigh drops silently. */
  if (bpf_skb_change_head(skb, ETHERNET_LEN, 0) != 0) return DROP;
  /* A container's mark means nothing to the underlay's routes. */
  skb->mark = 0;
  /*
   * Without a next hop the kernel looks for a route of the packet's own. It needs one to wait for
   * ARP: with the one to the TUN it would be sent there.
   */
  return next_hop == 0 ? bpf_redirect_neigh(fan->device, 0, 0, 0)
                       : bpf_redirect_neigh(fan->device, &way, sizeof way, 0);
}

SEC("tc")
int encap(struct __sk_buff *skb) {
  const __u32 first = 0;
  __u8 ip[IPV4_LEN];
  __u8 outer[OUTER_LEN];
  const struct fan_config *fan = bpf_map_lookup_elem(&config, &first);
  if (!fan || fan->takes == FAN_TAKES_NOTHING) return NEXT;
  if (bpf_skb_load_bytes_relative(skb, 0, ip, IPV4_LEN, BPF_HDR_START_NET) != 0) return NEXT;
  __u32 packet_len = skb->len - fan->link_header;
  if (!is_plain(ip, packet_len, OUTER_LEN)) return NEXT;
  if (!is_host_of_slice(fan, be32(ip + 12))) return NEXT;
  if (fan->takes == FAN_TAKES_UNTRACED && !is_untraced(skb, fan, ip, 0)) return NEXT;
  __u32 exit = exit_of(fan, be32(ip + 16));
  if (exit == 0) return NEXT;

  struct shape shape;
  if (!find_shape(skb, 0, ip[9], packet_len, &shape)) return NEXT;
  __u32 wire_len = shape.longest + OUTER_LEN;
  if (wire_len > fan->limit) return NEXT;

  write_outer(fan, ip, packet_len, exit, outer);
  __be32 next_hop;
  if (!leaves_by_device(skb, fan, outer, wire_len, &next_hop)) return NEXT;
  int verdict = send(skb, fan, outer, next_hop);
  if (verdict != NEXT && verdict != DROP) count(peer_of(exit), &shape, OUTER_LEN);
  return verdict;
}

/* The kernel gives bpf_fib_lookup to programs that may be taken under the GPL: this file may be. */
const char _license[] SEC("license") = "Dual MIT/GPL";
