/*
 * The short way to a container: runs at the egress of a fan's bridge and sends a super-packet that
 * came in by the fan's TUN straight to the bridge's port behind which its destination is.
 *
 * Decap in the kernel can't take the mark of a tunnel off a super-packet, and a bridge claims no
 * offloads for tunnels: the kernel would cut it there, behind this program. A veth takes it whole.
 *
 * It drops nothing. Whatever is no super-packet of the fan, goes to a MAC address that it was not
 * told of (src/io/programs/bridge-exit.ts), or wouldn't fit the port, goes on through the bridge.
 * Both ways end in the port's transmit before the next packet begins, so that they keep the order.
 */
/* bpf_helpers.h needs the types of linux/bpf.h before it. */
/* clang-format off */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
/* clang-format on */
#include "bridge_exit_program.h"

/* On to the next program, then to the bridge. */
enum { NEXT = -1 };

/* Index of the fan's TUN. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
} config SEC(".maps");

/* Index of the port behind which a MAC address is. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, BRIDGE_EXIT_PORTS);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct bridge_exit_mac);
  __type(value, __u32);
} ports SEC(".maps");

SEC("tc")
int bridge_exit(struct __sk_buff *skb) {
  const __u32 first = 0;
  struct bridge_exit_mac target = {0};
  __u32 mtu = 0;
  if (skb->gso_size == 0) return NEXT;
  const __u32 *tun = bpf_map_lookup_elem(&config, &first);
  if (!tun || skb->ingress_ifindex != *tun) return NEXT;
  if (bpf_skb_load_bytes(skb, 0, target.bytes, sizeof target.bytes) != 0) return NEXT;
  const __u32 *port = bpf_map_lookup_elem(&ports, &target);
  if (!port) return NEXT;
  /* Fails also where the port is gone, to which a redirect would drop. */
  if (bpf_check_mtu(skb, *port, &mtu, 0, BPF_MTU_CHK_SEGS) != 0) return NEXT;
  return bpf_redirect(*port, 0);
}

/* No helper here asks for the GPL; as encap.bpf.c. */
const char _license[] SEC("license") = "Dual MIT/GPL";
