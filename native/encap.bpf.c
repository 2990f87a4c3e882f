/*
 * Encap in the kernel (`--io bpf`): runs at the egress of a fan's TUN, does for a plain packet what
 * src/dataplane/encap-path.ts does, and sends it on by the underlay, whole if it is a super-packet.
 *
 * It drops nothing and answers nobody. Whatever is not plain (IP options, a destination with no
 * host behind it, a source that is not ours, too big for a path) goes on into the TUN, and the
 * daemon deals with it: every rule that drops stands in TypeScript only. So does, while somebody
 * traces, whatever a trace might show. RFC 2003 §3, RFC 6040.
 */
/* bpf_helpers.h needs the types of linux/bpf.h before it. */
/* clang-format off */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
/* clang-format on */
#include <stdbool.h>

#include "encap_program.h"

enum {
  ETHERNET_LEN = 14,
  OUTER_LEN = 20,
  IPV4_LEN = 20,
  FRAGMENT = 0x3fff, /* more fragments, and the fragment offset */
  UDP_LEN = 8,
  PROTOCOL_IPIP = 4,
  PROTOCOL_TCP = 6,
  PROTOCOL_UDP = 17,
  MOST_IPV4 = 65535,
  FAMILY_IPV4 = 2,
  SKIP_NEIGHBOUR = 4, /* BPF_FIB_LOOKUP_SKIP_NEIGH, which headers before 6.3 lack */
};

/* Of a tc program as of a TCX one: on to the next, or drop. */
enum { NEXT = -1, DROP = 2 };

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct encap_config);
} config SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct encap_counters);
} counters SEC(".maps");

/* By underlay address, host order. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
  __uint(max_entries, ENCAP_PEERS);
  __type(key, __u32);
  __type(value, struct encap_counters);
} peers SEC(".maps");

/* The values mean nothing. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, ENCAP_FLOWS);
  __type(key, struct encap_flow);
  __type(value, __u32);
} flows SEC(".maps");

static __always_inline __u32 be16(const __u8 *at) {
  return (__u32)at[0] << 8 | at[1];
}

static __always_inline __u32 be32(const __u8 *at) {
  return be16(at) << 16 | be16(at + 2);
}

static __always_inline void put16(__u8 *at, __u32 value) {
  at[0] = (__u8)(value >> 8);
  at[1] = (__u8)value;
}

static __always_inline void put32(__u8 *at, __u32 value) {
  put16(at, value >> 16);
  put16(at + 2, value);
}

/* RFC 1071 over a header of 20 bytes, folded: 0xffff where its checksum is right. */
static __always_inline __u32 header_sum(const __u8 *header) {
  __u32 sum = 0;
  for (int i = 0; i < IPV4_LEN; i += 2) sum += be16(header + i);
  sum = (sum & 0xffff) + (sum >> 16);
  return (sum & 0xffff) + (sum >> 16);
}

/* Bytes that each segment of a super-packet begins with; 0 where it is of no kind that we know. */
static __always_inline __u32 segment_header(struct __sk_buff *skb, __u32 protocol) {
  __u8 offset;
  if (protocol == PROTOCOL_UDP) return IPV4_LEN + UDP_LEN;
  if (protocol != PROTOCOL_TCP) return 0;
  if (bpf_skb_load_bytes_relative(skb, IPV4_LEN + 12, &offset, 1, BPF_HDR_START_NET) != 0) return 0;
  return IPV4_LEN + (offset >> 4) * 4;
}

static __always_inline bool is_plain(const __u8 *ip, __u32 packet_len) {
  return ip[0] == 0x45 && be16(ip + 2) == packet_len && ip[8] != 0 && ip[9] != PROTOCOL_IPIP &&
         packet_len + OUTER_LEN <= MOST_IPV4 && header_sum(ip) == 0xffff;
}

static __always_inline bool is_host_of_slice(const struct encap_config *fan, __u32 address) {
  __u32 host = address & ~fan->slice_mask;
  return (address & fan->slice_mask) == fan->slice_base && host != 0 && host != ~fan->slice_mask;
}

/*
 * Whether the packet is of a flow that no trace can show. A fragment is of none: its ports may be
 * in another one.
 */
static __always_inline bool is_untraced(struct __sk_buff *skb, const struct encap_config *fan,
                                        const __u8 *ip) {
  __u8 ports[4] = {0};
  if ((be16(ip + 6) & FRAGMENT) != 0) return false;
  if ((ip[9] == PROTOCOL_TCP || ip[9] == PROTOCOL_UDP) &&
      bpf_skb_load_bytes_relative(skb, IPV4_LEN, ports, sizeof ports, BPF_HDR_START_NET) != 0) {
    return false;
  }
  const struct encap_flow flow = {
      .generation = fan->generation,
      .source = be32(ip + 12),
      .target = be32(ip + 16),
      .ports = be32(ports),
      .protocol = ip[9],
  };
  return bpf_map_lookup_elem(&flows, &flow) != 0;
}

/* The underlay host of an overlay address; 0 for one that is none of a peer. */
static __always_inline __u32 exit_of(const struct encap_config *fan, __u32 target) {
  if ((target & fan->overlay_mask) != fan->overlay_base) return 0;
  __u32 host = (target & ~fan->overlay_mask) >> (fan->shift & 31);
  if (host == 0 || host == ~fan->underlay_mask) return 0;
  __u32 exit = fan->underlay_base | host;
  for (int i = 0; i < ENCAP_OWN_ADDRESSES; i++) {
    if (fan->own[i] == exit) return 0;
  }
  return exit;
}

static __always_inline void write_outer(const struct encap_config *fan, const __u8 *ip,
                                        __u32 packet_len, __u32 exit, __u8 *outer) {
  outer[0] = 0x45;
  outer[1] = fan->dscp > 63 ? ip[1] : (__u8)(fan->dscp << 2 | (ip[1] & 3));
  put16(outer + 2, packet_len + OUTER_LEN);
  put32(outer + 4, 0x4000); /* ID 0, DF */
  outer[8] = fan->ttl > 255 ? ip[8] : (__u8)fan->ttl;
  outer[9] = PROTOCOL_IPIP;
  put16(outer + 10, 0);
  put32(outer + 12, fan->address);
  put32(outer + 16, exit);
  put16(outer + 10, ~header_sum(outer));
}

static __always_inline void count(__u32 exit, __u64 packets, __u64 bytes) {
  const __u32 first = 0;
  struct encap_counters *all = bpf_map_lookup_elem(&counters, &first);
  if (all) {
    all->packets += packets;
    all->bytes += bytes;
  }
  struct encap_counters *peer = bpf_map_lookup_elem(&peers, &exit);
  if (peer) {
    peer->packets += packets;
    peer->bytes += bytes;
  } else {
    const struct encap_counters new = {packets, bytes};
    bpf_map_update_elem(&peers, &exit, &new, BPF_NOEXIST);
  }
}

/*
 * Whether the host's routes lead to the peer by the fan's device. Where they don't, the daemon
 * sends as the kernel says, or counts what can't be sent.
 */
static __always_inline bool leaves_by_device(struct __sk_buff *skb, const struct encap_config *fan,
                                             const __u8 *outer, __u32 wire_len) {
  struct bpf_fib_lookup route = {
      .family = FAMILY_IPV4,
      .l4_protocol = PROTOCOL_IPIP,
      .tot_len = (__u16)wire_len,
      .tos = outer[1],
      .ifindex = skb->ifindex,
  };
  __builtin_memcpy(&route.ipv4_src, outer + 12, 4);
  __builtin_memcpy(&route.ipv4_dst, outer + 16, 4);
  return bpf_fib_lookup(skb, &route, sizeof route, SKIP_NEIGHBOUR) == BPF_FIB_LKUP_RET_SUCCESS &&
         route.ifindex == fan->device;
}

/* Puts the outer header in front and the packet on its way. */
static __always_inline int send(struct __sk_buff *skb, const struct encap_config *fan,
                                const __u8 *outer) {
  __u32 link_header = fan->link_header;
  if (bpf_skb_adjust_room(skb, OUTER_LEN, BPF_ADJ_ROOM_MAC,
                          BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4) != 0) {
    return NEXT;
  }
  if (bpf_skb_store_bytes(skb, link_header, outer, OUTER_LEN, 0) != 0) return DROP;
  /* A TUN's packet has no room for a link header, without which redirect_neigh drops silently. */
  if (bpf_skb_change_head(skb, ETHERNET_LEN, 0) != 0) return DROP;
  /* A container's mark means nothing to the underlay's routes. */
  skb->mark = 0;
  /*
   * Not with the next hop just found: a packet that waits for ARP would then still have the route
   * to the TUN, and be sent there.
   */
  return bpf_redirect_neigh(fan->device, 0, 0, 0);
}

SEC("tc")
int encap(struct __sk_buff *skb) {
  const __u32 first = 0;
  __u8 ip[IPV4_LEN];
  __u8 outer[OUTER_LEN];
  const struct encap_config *fan = bpf_map_lookup_elem(&config, &first);
  if (!fan || fan->takes == ENCAP_TAKES_NOTHING) return NEXT;
  if (bpf_skb_load_bytes_relative(skb, 0, ip, IPV4_LEN, BPF_HDR_START_NET) != 0) return NEXT;
  __u32 packet_len = skb->len - fan->link_header;
  if (!is_plain(ip, packet_len)) return NEXT;
  if (!is_host_of_slice(fan, be32(ip + 12))) return NEXT;
  if (fan->takes == ENCAP_TAKES_UNTRACED && !is_untraced(skb, fan, ip)) return NEXT;
  __u32 exit = exit_of(fan, be32(ip + 16));
  if (exit == 0) return NEXT;

  __u32 gso_size = skb->gso_size;
  __u32 header = gso_size == 0 ? 0 : segment_header(skb, ip[9]);
  if (gso_size != 0 && (header == 0 || header >= packet_len)) return NEXT;
  __u32 wire_len = (gso_size == 0 ? packet_len : header + gso_size) + OUTER_LEN;
  if (wire_len > fan->limit) return NEXT;
  __u32 segments = gso_size == 0 ? 1 : (packet_len - header + gso_size - 1) / gso_size;

  write_outer(fan, ip, packet_len, exit, outer);
  if (!leaves_by_device(skb, fan, outer, wire_len)) return NEXT;
  int verdict = send(skb, fan, outer);
  if (verdict != NEXT && verdict != DROP) {
    count(exit, segments, packet_len + (__u64)(segments - 1) * header);
  }
  return verdict;
}

/* The kernel gives bpf_fib_lookup to programs that may be taken under the GPL: this file may be. */
const char _license[] SEC("license") = "Dual MIT/GPL";
