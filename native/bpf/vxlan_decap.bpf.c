/*
 * Decap in the kernel for a fan over VXLAN (`--io bpf`): runs at the ingress of its VXLAN device,
 * which has taken the outer headers off and carried their ECN inward, and lets a plain frame come
 * in by the TAP, whole if it is a super-packet. The host's firewall has let the outer packet pass
 * by then: for a while those of its sender may come in by vxlan_direct_decap.bpf.c.
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
  /* The outer headers as they may have been; the VXLAN device has seen to their checksums. */
  const struct vxlan_outer of = {
      .source = key->remote_ipv4,
      .target = key->local_ipv4,
      .source_port = fan->port,
      .vni = key->tunnel_id,
      .frame_len = skb->len,
      .tos = key->tunnel_tos,
      .ttl = key->tunnel_ttl,
  };
  write_outer(fan, &of, headers + ENVELOPE_LEN);
  if (bpf_skb_change_head(skb, sizeof headers, 0) != 0) return DROP;
  if (bpf_skb_store_bytes(skb, 0, headers, sizeof headers, 0) != 0) return DROP;
  skb->mark = 0;
  return bpf_redirect(fan->device, 0);
}

/* Whether the walk would let the frame come in as it is; counts it then, and admits its sender. */
static __always_inline bool takes(struct __sk_buff *skb, const struct fan_config *fan,
                                  const struct bpf_tunnel_key *key) {
  __u8 headers[ETHERNET_LEN + IPV4_LEN];
  struct shape shape;
  __u32 sender = key->remote_ipv4;
  if (fan->takes == FAN_TAKES_NOTHING || skb->vlan_present) return false;
  if (key->tunnel_id != fan->vni || key->local_ipv4 != fan->address || !is_peer(fan, sender)) {
    return false;
  }
  if (bpf_skb_load_bytes(skb, 0, headers, sizeof headers) != 0) return false;
  __u32 packet_len = skb->len - ETHERNET_LEN;
  if (!may_come_in(skb, fan, sender, headers, packet_len, 0, &shape)) return false;
  struct fan_peer *peer = peer_of(sender);
  count(peer, &shape, VXLAN_OUTER_LEN);
  admit(peer);
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
