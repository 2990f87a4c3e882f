/*
 * What the two programs of a fan over VXLAN have in common: frames, and the headers before them.
 * RFC 7348 §5.
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

/* From one station to another, IPv4 in it. */
static __always_inline bool is_plain_link(const __u8 *ethernet) {
  return (ethernet[0] & GROUP_ADDRESS) == 0 && (ethernet[6] & GROUP_ADDRESS) == 0 &&
         be16(ethernet + 12) == ETHERTYPE_IPV4;
}

#endif
