/*
 * Decap in the kernel for a fan over VXLAN (`--io bpf`): runs at the ingress of its VXLAN device,
 * which has taken the outer headers off and carried their ECN inward, and lets a plain frame come
 * in by the TAP, whole if it is a super-packet.
 *
 * It drops nothing. Whatever it doesn't take (ARP, a source that is not the sender's, fragments,
 * probes, what a trace might show) it gives to the daemon: it puts the outer headers back, and in
 * front of them an Ethernet header that is an envelope (struct vxlan_envelope), and leaves it in
 * the TAP's queue, where the daemon reads. RFC 7348 §4.1.
 */
#include <bpf/bpf_endian.h>

#include "vxlan_program.bpf.h"

enum {
  ENVELOPE_LEN = ETHERNET_LEN,
  ETHERTYPE_VLAN = 0x8100,
};

/* The outer headers as they may have been; the VXLAN device has seen to their checksums. */
static __always_inline void write_outer(const struct fan_config *fan,
                                        const struct bpf_tunnel_key *key, __u32 frame_len,
                                        __u8 *outer) {
  __u8 *udp = outer + IPV4_LEN;
  __u8 *vxlan = udp + UDP_LEN;
  outer[0] = 0x45;
  outer[1] = key->tunnel_tos;
  put16(outer + 2, frame_len + FRAME_OUTER_LEN);
  put32(outer + 4, 0);
  outer[8] = key->tunnel_ttl;
  outer[9] = PROTOCOL_UDP;
  put16(outer + 10, 0);
  put32(outer + 12, key->remote_ipv4);
  put32(outer + 16, key->local_ipv4);
  put16(outer + 10, ~header_sum(outer));
  put16(udp, fan->port);
  put16(udp + 2, fan->port);
  put16(udp + 4, frame_len + UDP_LEN + VXLAN_LEN);
  put16(udp + 6, 0);
  put32(vxlan, 0x08000000);
  put32(vxlan + 4, key->tunnel_id << 8);
}

/*
 * The kernel has taken a VLAN tag out of the frame: puts it back, that the daemon may see it. In
 * its place comes one of ours, which will be in the envelope.
 */
static __always_inline bool put_tag_back(struct __sk_buff *skb) {
  return !skb->vlan_present || bpf_skb_vlan_push(skb, bpf_htons(ETHERTYPE_VLAN), 0) == 0;
}

/* To the daemon. */
static __always_inline int hand_over(struct __sk_buff *skb, const struct fan_config *fan,
                                     const struct bpf_tunnel_key *key) {
  __u8 headers[ENVELOPE_LEN + FRAME_OUTER_LEN];
  if (!put_tag_back(skb)) return DROP;
  for (int i = 0; i < VXLAN_COOKIE_WORDS; i++) put32(headers + i * 4, fan->cookie[i]);
  put16(headers + 12, VXLAN_ENVELOPE);
  write_outer(fan, key, skb->len, headers + ENVELOPE_LEN);
  if (bpf_skb_change_head(skb, sizeof headers, 0) != 0) return DROP;
  if (bpf_skb_store_bytes(skb, 0, headers, sizeof headers, 0) != 0) return DROP;
  skb->mark = 0;
  return bpf_redirect(fan->device, 0);
}

/* Whether the walk would let the frame come in as it is; counts it then. */
static __always_inline bool takes(struct __sk_buff *skb, const struct fan_config *fan,
                                  const struct bpf_tunnel_key *key) {
  __u8 headers[ETHERNET_LEN + IPV4_LEN];
  const __u8 *ip = headers + ETHERNET_LEN;
  __u32 sender = key->remote_ipv4;
  if (fan->takes == FAN_TAKES_NOTHING || skb->vlan_present) return false;
  if (key->tunnel_id != fan->vni || key->local_ipv4 != fan->address || !is_peer(fan, sender)) {
    return false;
  }
  if (bpf_skb_load_bytes(skb, 0, headers, sizeof headers) != 0) return false;
  if (!is_plain_link(headers)) return false;
  __u32 packet_len = skb->len - ETHERNET_LEN;
  if (!is_plain(ip, packet_len, VXLAN_OUTER_LEN)) return false;
  if (!is_behind(fan, be32(ip + 12), sender) || !is_host_of_slice(fan, be32(ip + 16))) return false;
  if (fan->takes == FAN_TAKES_UNTRACED && !is_untraced(skb, fan, ip, 0)) return false;

  __u32 gso_size = skb->gso_size;
  __u32 header = gso_size == 0 ? 0 : segment_header(skb, 0, ip[9]);
  if (gso_size != 0 && (header == 0 || header >= packet_len)) return false;
  __u32 longest = gso_size == 0 ? packet_len : header + gso_size;
  if (longest > fan->limit) return false;
  __u32 segments = segments_of(packet_len, header, gso_size);
  count(sender, segments, packet_len + (__u64)(segments - 1) * header, longest + VXLAN_OUTER_LEN);
  return true;
}

SEC("tc")
int decap(struct __sk_buff *skb) {
  const __u32 first = 0;
  struct bpf_tunnel_key key = {0};
  const struct fan_config *fan = bpf_map_lookup_elem(&config, &first);
  if (!fan || fan->device == 0) return NEXT;
  if (bpf_skb_get_tunnel_key(skb, &key, sizeof key, 0) != 0) return NEXT;
  if (!takes(skb, fan, &key)) return hand_over(skb, fan, &key);
  /* Somebody's, for the outer packet: rules for inner ones never see it, as by the daemon. */
  skb->mark = 0;
  return bpf_redirect(fan->device, BPF_F_INGRESS);
}

/* May be taken under the GPL, as encap.bpf.c must. */
const char _license[] SEC("license") = "Dual MIT/GPL";
