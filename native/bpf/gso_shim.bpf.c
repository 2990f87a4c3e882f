/*
 * The GSO shim: runs in the kernel at the egress of an underlay device and gives a super-packet
 * that packet_send() sent the one thing that a virtio_net_hdr cannot express: that its TCP or UDP
 * lies behind an outer IPv4 header (SKB_GSO_IPXIP4). Kernel and NIC then cut it as late as they
 * can.
 *
 * It takes the outer header out and puts the same 20 bytes back as an encapsulation. It decides
 * nothing, keeps nothing, and lets every packet without our mark pass untouched.
 *
 * What goes on is a clone, which belongs to no socket. Of a super-packet that does, the kernel
 * gives the last segment alone to the socket; GRO on a veth merges no packets of different owners,
 * so that segment would overtake those before it.
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

static long (*const clone_redirect)(struct __sk_buff *skb, __u32 ifindex,
                                    __u64 flags) = (void *)BPF_FUNC_clone_redirect;
static long (*const redirect)(__u32 ifindex, __u64 flags) = (void *)BPF_FUNC_redirect;

enum { ETHERNET_LEN = 14, OUTER_LEN = 20, PROTOCOL_AT = 9, PROTOCOL_TCP = 6 };

/* Of a tc program as of a TCX one: on to the next, or drop. */
enum { NEXT = -1, DROP = 2 };

/* No device has it: what is redirected there is freed, and the send was a success. */
enum { NO_DEVICE = 0 };

/* Sends a clone, which passes here again without the mark, and lets the kernel free the original.
 */
static __attribute__((always_inline)) int disown(struct __sk_buff *skb) {
  return clone_redirect(skb, skb->ifindex, 0) == 0 ? (int)redirect(NO_DEVICE, 0) : DROP;
}

SECTION("tc")
int gso_shim(struct __sk_buff *skb) {
  __u8 outer[OUTER_LEN];
  __u8 protocol;
  if (skb->mark != GSO_SHIM_MARK) return NEXT;
  skb->mark = 0;
  if (skb->gso_size == 0) {
    /* Merged with segments of super-packets, or passed by them, by the same rule. */
    if (skb_load_bytes(skb, ETHERNET_LEN + OUTER_LEN + PROTOCOL_AT, &protocol, 1) != 0) return NEXT;
    return protocol == PROTOCOL_TCP ? disown(skb) : NEXT;
  }
  if (skb_load_bytes(skb, ETHERNET_LEN, outer, OUTER_LEN) != 0) return NEXT;
  /* Where this is refused the packet goes on as it was: the send fails, and userspace cuts it. */
  if (skb_adjust_room(skb, -OUTER_LEN, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO) != 0) {
    return NEXT;
  }
  if (skb_adjust_room(skb, OUTER_LEN, BPF_ADJ_ROOM_MAC,
                      BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4) != 0) {
    return DROP;
  }
  return skb_store_bytes(skb, ETHERNET_LEN, outer, OUTER_LEN, 0) == 0 ? disown(skb) : DROP;
}

/* No helper here asks for the GPL. */
const char _license[] SECTION("license") = "MIT";
