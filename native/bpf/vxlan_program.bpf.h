/*
 * What the programs of a fan over VXLAN have in common: frames, the headers before them, and which
 * frames may come in. RFC 7348 §5.
 */
#ifndef UFAN_VXLAN_PROGRAM_BPF_H
#define UFAN_VXLAN_PROGRAM_BPF_H

#include "fan_program.bpf.h"

enum {
  VXLAN_LEN = 8,
  /* Before a frame: IPv4, UDP, VXLAN. Before its IP packet, its Ethernet header as well. */
  FRAME_OUTER_LEN = IPV4_LEN + UDP_LEN + VXLAN_LEN,
  VXLAN_OUTER_LEN = FRAME_OUTER_LEN + ETHERNET_LEN,
  ETHERTYPE_IPV4 = 0x0800,
  GROUP_ADDRESS = 1, /* in the first byte of a MAC address */
};

/*
 * In tc_index of what is handed to the VXLAN device: known to the programs alone, as the cookie is.
 * Nothing else in the kernel uses that field.
 */
static __always_inline __u16 handed_over(const struct fan_config *fan) {
  return (__u16)fan->cookie[0] | 1;
}

/* The first word of a VXLAN header: the VNI is valid, all other bits are reserved. */
enum { VXLAN_FLAGS = 0x08000000 };

/* From one station to another, IPv4 in it. */
static __always_inline bool is_plain_link(const __u8 *ethernet) {
  return (ethernet[0] & GROUP_ADDRESS) == 0 && (ethernet[6] & GROUP_ADDRESS) == 0 &&
         be16(ethernet + 12) == ETHERTYPE_IPV4;
}

/* Outer headers around a frame of `frame_len` bytes. */
struct vxlan_outer {
  __u32 source;
  __u32 target;
  __u32 source_port;
  __u32 vni;
  __u32 frame_len;
  __u32 id;
  __u8 tos;
  __u8 ttl;
};

static __always_inline void write_outer(const struct fan_config *fan, const struct vxlan_outer *of,
                                        __u8 *outer) {
  __u8 *udp = outer + IPV4_LEN;
  __u8 *vxlan = udp + UDP_LEN;
  outer[0] = 0x45;
  outer[1] = of->tos;
  put16(outer + 2, of->frame_len + FRAME_OUTER_LEN);
  put32(outer + 4, of->id << 16); /* may be fragmented */
  outer[8] = of->ttl;
  outer[9] = PROTOCOL_UDP;
  put16(outer + 10, 0);
  put32(outer + 12, of->source);
  put32(outer + 16, of->target);
  put16(outer + 10, ~header_sum(outer));
  put16(udp, of->source_port);
  put16(udp + 2, fan->port);
  put16(udp + 4, of->frame_len + UDP_LEN + VXLAN_LEN);
  put16(udp + 6, 0);
  put32(vxlan, VXLAN_FLAGS);
  put32(vxlan + 4, of->vni << 8);
}

/*
 * Whether the sum of what is behind the IP header of a frame follows from that header, the checksum
 * in there being right, be it there already or left to the device; `at` as in find_shape.
 */
static __always_inline bool tells_sum(struct __sk_buff *skb, const __u8 *ip, __u32 at) {
  __u8 udp[4]; /* length and checksum */
  if ((be16(ip + 6) & FRAGMENT) != 0) return false;
  if (ip[9] == PROTOCOL_TCP) return be16(ip + 2) >= IPV4_LEN + TCP_LEN;
  if (ip[9] == PROTOCOL_ICMP) return be16(ip + 2) >= IPV4_LEN + ICMP_LEN;
  if (ip[9] != PROTOCOL_UDP) return false;
  if (bpf_skb_load_bytes_relative(skb, at + IPV4_LEN + 4, udp, sizeof udp, BPF_HDR_START_NET) !=
      0) {
    return false;
  }
  /* A shorter length than IP's leaves bytes that the checksum is not of: RFC 9868. */
  return be16(udp) == be16(ip + 2) - IPV4_LEN && be16(udp + 2) != 0;
}

/*
 * What the outer UDP checksum is of, and itself: 0xffff where it is right. `outer`: from the outer
 * IP header to the end of the inner one, which tells_sum(). RFC 768, RFC 1071.
 */
static __always_inline __u32 outer_sum(const __u8 *outer) {
  const __u8 *udp = outer + IPV4_LEN;
  const __u8 *ip = outer + VXLAN_OUTER_LEN;
  __u32 sum = sum_of(outer + 12, 8) + PROTOCOL_UDP + be16(udp + 4);
  sum += sum_of(udp, UDP_LEN + VXLAN_LEN + ETHERNET_LEN);
  /* The IP header adds nothing, as its own checksum is right; nor does ICMP. */
  if (ip[9] == PROTOCOL_ICMP) return fold(sum);
  __u32 pseudo = sum_of(ip + 12, 8) + ip[9] + be16(ip + 2) - IPV4_LEN;
  return fold(sum + (0xffff ^ fold(pseudo)));
}

/*
 * Whether the walk would let a frame of `sender` come in as it is; `headers` are its Ethernet and
 * IPv4 headers, the second one `at` bytes behind the network header.
 */
static __always_inline bool may_come_in(struct __sk_buff *skb, const struct fan_config *fan,
                                        __u32 sender, const __u8 *headers, __u32 packet_len,
                                        __u32 at, struct shape *shape) {
  const __u8 *ip = headers + ETHERNET_LEN;
  if (!is_plain_link(headers) || !is_plain(ip, packet_len, VXLAN_OUTER_LEN)) return false;
  if (!is_behind(fan, be32(ip + 12), sender) || !is_host_of_slice(fan, be32(ip + 16))) return false;
  if (fan->takes == FAN_TAKES_UNTRACED && !is_untraced(skb, fan, ip, at)) return false;
  return find_shape(skb, at, ip[9], packet_len, shape) && shape->longest <= fan->limit;
}

/* Units of FAN_ADMISSION_SHIFT. */
static __always_inline __u32 admission_time(void) {
  return (__u32)(bpf_ktime_get_coarse_ns() >> FAN_ADMISSION_SHIFT);
}

/* The host's rules (INPUT, OUTPUT) have let a packet of the peer pass just now. */
static __always_inline void admit(struct fan_peer *peer) {
  if (peer) peer->admitted = admission_time();
}

/* Whether they have done so lately, so that others may pass by them. */
static __always_inline bool is_admitted(const struct fan_peer *peer) {
  return peer && admission_time() - peer->admitted <= 1;
}

#endif
