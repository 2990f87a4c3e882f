/*
 * The GSO shim: runs in the kernel at the egress of an underlay device and gives a super-packet
 * that packet_send() sent the one thing that a virtio_net_hdr cannot express: that its TCP or UDP
 * lies behind an outer IPv4 header (SKB_GSO_IPXIP4). Kernel and NIC then cut it as late as they
 * can.
 *
 * It takes the outer header out and puts the same 20 bytes back as an encapsulation. It decides
 * nothing, keeps nothing, and lets every packet without our mark pass untouched.
 */
#include <linux/bpf.h>

#include "gso_shim_mark.h"

#define SECTION(name) __attribute__((section(name), used))

static long (*const skb_load_bytes)(const struct __sk_buff *skb, __u32 offset, void *to,
                                    __u32 length) = (void *)BPF_FUNC_skb_load_bytes;
static long (*const skb_store_bytes)(struct __sk_buff *skb, __u32 offset, const void *from,
                                     __u32 length, __u64 flags) = (void *)BPF_FUNC_skb_store_bytes;
static long (*const skb_adjust_room)(struct __sk_buff *skb, __s32 by, __u32 mode,
                                     __u64 flags) = (void *)BPF_FUNC_skb_adjust_room;

enum { ETHERNET_LEN = 14, OUTER_LEN = 20 };

/* Of a tc program as of a TCX one: on to the next, or drop. */
enum { NEXT = -1, DROP = 2 };

SECTION("tc")
int gso_shim(struct __sk_buff *skb) {
  __u8 outer[OUTER_LEN];
  if (skb->mark != GSO_SHIM_MARK) return NEXT;
  skb->mark = 0;
  if (skb->gso_size == 0) return NEXT;
  if (skb_load_bytes(skb, ETHERNET_LEN, outer, OUTER_LEN) != 0) return NEXT;
  /* Where this is refused the packet goes on as it was: the send fails, and userspace cuts it. */
  if (skb_adjust_room(skb, -OUTER_LEN, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO) != 0) {
    return NEXT;
  }
  if (skb_adjust_room(skb, OUTER_LEN, BPF_ADJ_ROOM_MAC,
                      BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4) != 0) {
    return DROP;
  }
  return skb_store_bytes(skb, ETHERNET_LEN, outer, OUTER_LEN, 0) == 0 ? NEXT : DROP;
}

/* No helper here asks for the GPL. */
const char _license[] SECTION("license") = "MIT";
