/*
 * Encap in the kernel for a fan over VXLAN (`--io bpf`): runs at the egress of its TAP, says of a
 * plain frame which host it is for, and hands it to the fan's VXLAN device, which puts the outer
 * headers in front, whole if it is a super-packet.
 *
 * It drops nothing and answers nobody, as encap.bpf.c: what it doesn't take (ARP, IP options, a
 * destination with no host behind it, a source that is not ours, too big for a path, marked for
 * congestion, what a trace might show) goes on into the TAP, to the daemon. RFC 7348 §5.
 */
#include <bpf/bpf_endian.h>

#include "fan_program.bpf.h"
#include "vxlan_program.bpf.h"

enum {
  FAMILY_IPV4 = 2,
  SKIP_NEIGHBOUR = 4, /* BPF_FIB_LOOKUP_SKIP_NEIGH, which headers before 6.3 lack */
  CE = 3,             /* RFC 3168 §5 */
};

/*
 * Whether the host's routes lead to the peer by the fan's device. Where they don't, the daemon
 * sends as the kernel says, or counts what can't be sent.
 */
static __always_inline bool leaves_by_device(struct __sk_buff *skb, const struct fan_config *fan,
                                             __u32 exit, __u32 wire_len) {
  struct bpf_fib_lookup route = {
      .family = FAMILY_IPV4,
      .l4_protocol = PROTOCOL_UDP,
      .dport = bpf_htons((__u16)fan->port),
      .tot_len = (__u16)wire_len,
      .ifindex = skb->ifindex,
      .ipv4_src = bpf_htonl(fan->address),
      .ipv4_dst = bpf_htonl(exit),
  };
  return bpf_fib_lookup(skb, &route, sizeof route, SKIP_NEIGHBOUR) == BPF_FIB_LKUP_RET_SUCCESS &&
         route.ifindex == fan->underlay;
}

/* Hands the frame to the VXLAN device, with what that must know. */
static __always_inline int send(struct __sk_buff *skb, const struct fan_config *fan, __u32 exit) {
  struct bpf_tunnel_key key = {
      .tunnel_id = fan->vni,
      .remote_ipv4 = exit,
      .local_ipv4 = fan->address,
      .tunnel_ttl = (__u8)fan->ttl,
      .tunnel_tos = (__u8)(fan->dscp << 2), /* the kernel adds the ECN: RFC 6040 §4.1 */
  };
  if (bpf_skb_set_tunnel_key(skb, &key, sizeof key, 0) != 0) return NEXT;
  /* A container's mark means nothing to the underlay's routes. */
  skb->mark = 0;
  return bpf_redirect(fan->device, 0);
}

SEC("tc")
int encap(struct __sk_buff *skb) {
  const __u32 first = 0;
  __u8 ethernet[ETHERNET_LEN];
  __u8 ip[IPV4_LEN];
  const struct fan_config *fan = bpf_map_lookup_elem(&config, &first);
  if (!fan || fan->takes == FAN_TAKES_NOTHING) return NEXT;
  if (skb->protocol != bpf_htons(ETHERTYPE_IPV4) || skb->vlan_present) return NEXT;
  if (bpf_skb_load_bytes(skb, 0, ethernet, ETHERNET_LEN) != 0 || !is_plain_link(ethernet))
    return NEXT;
  if (bpf_skb_load_bytes(skb, ETHERNET_LEN, ip, IPV4_LEN) != 0) return NEXT;
  __u32 packet_len = skb->len - ETHERNET_LEN;
  if (!is_plain(ip, packet_len, VXLAN_OUTER_LEN)) return NEXT;
  /* Of what is marked for congestion the kernel would say outside that it can be: RFC 6040 §4.1. */
  if ((ip[1] & ECN) == CE) return NEXT;
  if (!is_host_of_slice(fan, be32(ip + 12))) return NEXT;
  if (fan->takes == FAN_TAKES_UNTRACED && !is_untraced(skb, fan, ip, 0)) return NEXT;
  __u32 exit = exit_of(fan, be32(ip + 16));
  if (exit == 0) return NEXT;

  __u32 gso_size = skb->gso_size;
  __u32 header = gso_size == 0 ? 0 : segment_header(skb, 0, ip[9]);
  if (gso_size != 0 && (header == 0 || header >= packet_len)) return NEXT;
  __u32 wire_len = (gso_size == 0 ? packet_len : header + gso_size) + VXLAN_OUTER_LEN;
  if (wire_len > fan->limit) return NEXT;
  __u32 segments = segments_of(packet_len, header, gso_size);

  if (!leaves_by_device(skb, fan, exit, wire_len)) return NEXT;
  int verdict = send(skb, fan, exit);
  if (verdict != NEXT) {
    count(exit, segments, packet_len + (__u64)(segments - 1) * header, wire_len);
  }
  return verdict;
}

/* The kernel gives bpf_fib_lookup to programs that may be taken under the GPL: this file may be. */
const char _license[] SEC("license") = "Dual MIT/GPL";
