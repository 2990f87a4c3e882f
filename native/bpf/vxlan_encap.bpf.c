/*
 * Encap in the kernel for a fan over VXLAN (`--io bpf`): runs at the egress of its TAP, puts the
 * outer headers in front of a plain frame and sends it on by the underlay, whole if it is a
 * super-packet.
 *
 * That passes by what the host says of UDP on its way out. So it does this only for a peer to which
 * a packet has just left by the fan's VXLAN device (vxlan_witness.bpf.c): at least one each second
 * goes that way, handed to the device with the host that it is for. So does a packet whose outer
 * checksum can't be told (fragments, protocols not known here), or that has to wait for ARP, for
 * which it must have a route.
 *
 * It drops nothing and answers nobody, as encap.bpf.c: what it doesn't take (ARP, IP options, a
 * destination with no host behind it, a source that is not ours, too big for a path, marked for
 * congestion, what a trace might show) goes on into the TAP, to the daemon. RFC 7348 §5.
 */
#include <bpf/bpf_endian.h>

#include "fan_program.bpf.h"
#include "vxlan_program.bpf.h"

enum {
  CE = 3, /* RFC 3168 §5 */
  /* Of the source, as the VXLAN device has been told. */
  FIRST_PORT = 32768,
  PORTS = 60999 - FIRST_PORT,
  /* What bpf_skb_adjust_room makes of a frame. */
  ENCAPSULATION = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 |
                  BPF_F_ADJ_ROOM_ENCAP_L4_UDP | BPF_F_ADJ_ROOM_ENCAP_L2_ETH |
                  BPF_F_ADJ_ROOM_ENCAP_L2(ETHERNET_LEN),
};

/*
 * Whether the host's routes lead to the peer by the fan's device. Where they don't, the daemon
 * sends as the kernel says, or counts what can't be sent. `next_hop` as of leaves_by().
 */
static __always_inline bool leaves_by_device(struct __sk_buff *skb, const struct fan_config *fan,
                                             __u32 exit, __u32 wire_len, __be32 *next_hop) {
  struct bpf_fib_lookup route = {
      .family = FAMILY_IPV4,
      .l4_protocol = PROTOCOL_UDP,
      .dport = bpf_htons((__u16)fan->port),
      .tot_len = (__u16)wire_len,
      .ifindex = skb->ifindex,
      .ipv4_src = bpf_htonl(fan->address),
      .ipv4_dst = bpf_htonl(exit),
  };
  return leaves_by(skb, &route, fan->underlay, next_hop);
}

/* Hands the frame to the VXLAN device, with what that must know. */
static __always_inline int send_by_device(struct __sk_buff *skb, const struct fan_config *fan,
                                          __u32 exit) {
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
  skb->tc_index = handed_over(fan);
  return bpf_redirect(fan->device, 0);
}

/* One for all packets of a flow, the same that the VXLAN device chooses: RFC 7348 §5. */
static __always_inline __u32 source_port(struct __sk_buff *skb) {
  __u32 hash = bpf_get_hash_recalc(skb);
  return FIRST_PORT + (__u32)((__u64)(hash ^ hash << 16) * PORTS >> 32);
}

/*
 * As many identifications as segments: they are not all the same, for a router may fragment, and
 * GRO merges only what follows each other. RFC 6864 §4.1
 */
static __always_inline __u32 take_ids(struct fan_peer *peer, __u32 segments) {
  if (!peer) return bpf_get_prandom_u32();
  __u32 id = peer->next_id + bpf_get_smp_processor_id() * 0x9e37;
  peer->next_id += segments;
  return id;
}

/*
 * Puts the outer headers in front and the frame on its way. A super-packet has no checksum, for a
 * program can't ask for one in each segment; RFC 7348 §5 recommends that for all.
 */
static __always_inline int send(struct __sk_buff *skb, const struct fan_config *fan,
                                const struct vxlan_outer *of, const __u8 *frame, __be32 next_hop) {
  struct bpf_redir_neigh way = {.nh_family = FAMILY_IPV4, .ipv4_nh = next_hop};
  __u8 outer[VXLAN_OUTER_LEN + IPV4_LEN];
  write_outer(fan, of, outer);
  if (skb->gso_size == 0) {
    __builtin_memcpy(outer + FRAME_OUTER_LEN, frame, ETHERNET_LEN + IPV4_LEN);
    __u32 checksum = 0xffff ^ outer_sum(outer);
    put16(outer + IPV4_LEN + 6, checksum == 0 ? 0xffff : checksum);
  } else {
    __builtin_memcpy(outer + FRAME_OUTER_LEN, frame, ETHERNET_LEN);
  }
  if (bpf_skb_adjust_room(skb, VXLAN_OUTER_LEN, BPF_ADJ_ROOM_MAC, ENCAPSULATION) != 0) return NEXT;
  if (bpf_skb_store_bytes(skb, ETHERNET_LEN, outer, VXLAN_OUTER_LEN, 0) != 0) return DROP;
  skb->mark = 0;
  return bpf_redirect_neigh(fan->underlay, &way, sizeof way, 0);
}

SEC("tc")
int encap(struct __sk_buff *skb) {
  const __u32 first = 0;
  __u8 frame[ETHERNET_LEN + IPV4_LEN];
  const __u8 *ip = frame + ETHERNET_LEN;
  const struct fan_config *fan = bpf_map_lookup_elem(&config, &first);
  if (!fan || fan->takes == FAN_TAKES_NOTHING) return NEXT;
  if (skb->protocol != bpf_htons(ETHERTYPE_IPV4) || skb->vlan_present) return NEXT;
  if (bpf_skb_load_bytes(skb, 0, frame, sizeof frame) != 0 || !is_plain_link(frame)) return NEXT;
  __u32 packet_len = skb->len - ETHERNET_LEN;
  if (!is_plain(ip, packet_len, VXLAN_OUTER_LEN)) return NEXT;
  /* Of what is marked for congestion the kernel would say outside that it can be: RFC 6040 §4.1. */
  if ((ip[1] & ECN) == CE) return NEXT;
  if (!is_host_of_slice(fan, be32(ip + 12))) return NEXT;
  if (fan->takes == FAN_TAKES_UNTRACED && !is_untraced(skb, fan, ip, 0)) return NEXT;
  __u32 exit = exit_of(fan, be32(ip + 16));
  if (exit == 0) return NEXT;

  struct shape shape;
  if (!find_shape(skb, 0, ip[9], packet_len, &shape)) return NEXT;
  __u32 wire_len = shape.longest + VXLAN_OUTER_LEN;
  if (wire_len > fan->limit) return NEXT;
  __be32 next_hop;
  if (!leaves_by_device(skb, fan, exit, wire_len, &next_hop)) return NEXT;

  struct fan_peer *peer = peer_of(exit);
  int verdict;
  if (fan->direct != FAN_DIRECT_NONE && next_hop != 0 && is_admitted(peer) &&
      (skb->gso_size != 0 || tells_sum(skb, ip, 0))) {
    const struct vxlan_outer of = {
        .source = fan->address,
        .target = exit,
        .source_port = source_port(skb),
        .vni = fan->vni,
        .frame_len = skb->len,
        .id = take_ids(peer, shape.segments),
        .tos = (__u8)(fan->dscp << 2 | (ip[1] & ECN)),
        .ttl = (__u8)fan->ttl,
    };
    verdict = send(skb, fan, &of, frame, next_hop);
  } else {
    verdict = send_by_device(skb, fan, exit);
  }
  if (verdict != NEXT && verdict != DROP) count(peer, &shape, VXLAN_OUTER_LEN);
  return verdict;
}

/* The kernel gives bpf_fib_lookup to programs that may be taken under the GPL: this file may be. */
const char _license[] SEC("license") = "Dual MIT/GPL";
