/*
 * Witness of what leaves in VXLAN: runs at the egress of the underlay's device and notes to which
 * peers the host's rules have let the VXLAN device send what vxlan_encap.bpf.c had handed to it.
 * For a while that may send others past them. It has that one's maps.
 *
 * It lets everything pass, as it is.
 */
#include <bpf/bpf_endian.h>

#include "vxlan_program.bpf.h"

SEC("tc")
int witness(struct __sk_buff *skb) {
  const __u32 first = 0;
  __u8 outer[FRAME_OUTER_LEN];
  const __u8 *udp = outer + IPV4_LEN;
  if (skb->tc_index == 0 || skb->protocol != bpf_htons(ETHERTYPE_IPV4)) return NEXT;
  const struct fan_config *fan = bpf_map_lookup_elem(&config, &first);
  if (!fan || fan->direct == FAN_DIRECT_NONE || skb->tc_index != handed_over(fan)) return NEXT;
  if (bpf_skb_load_bytes_relative(skb, 0, outer, sizeof outer, BPF_HDR_START_NET) != 0) return NEXT;
  if (outer[0] != 0x45 || (be16(outer + 6) & FRAGMENT) != 0 || outer[9] != PROTOCOL_UDP ||
      be32(outer + 12) != fan->address)
    return NEXT;
  if (be16(udp + 2) != fan->port || be32(udp + UDP_LEN + 4) != fan->vni << 8) return NEXT;
  __u32 exit = be32(outer + 16);
  admit(bpf_map_lookup_elem(&peers, &exit));
  return NEXT;
}

/* No helper here asks for the GPL; as encap.bpf.c. */
const char _license[] SEC("license") = "Dual MIT/GPL";
