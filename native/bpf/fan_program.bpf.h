/*
 * What the programs of a fan have in common: their maps, how a packet is looked at, and who may
 * have sent it. RFC 791 §3.1, RFC 1071.
 */
#ifndef UFAN_FAN_PROGRAM_BPF_H
#define UFAN_FAN_PROGRAM_BPF_H

/* bpf_helpers.h needs the types of linux/bpf.h before it. */
/* clang-format off */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
/* clang-format on */
#include <stdbool.h>

#include "fan_program.h"

enum {
  FAMILY_IPV4 = 2, /* AF_INET */
  ETHERNET_LEN = 14,
  IPV4_LEN = 20,
  FRAGMENT = 0x3fff, /* more fragments, and the fragment offset */
  ECN = 3,
  UDP_LEN = 8,
  TCP_LEN = 20,
  ICMP_LEN = 8,
  PROTOCOL_ICMP = 1,
  PROTOCOL_IPIP = 4,
  PROTOCOL_TCP = 6,
  PROTOCOL_UDP = 17,
  MOST_IPV4 = 65535,
};

/* Of a tc program as of a TCX one: on to the next, or drop. */
enum { NEXT = -1, DROP = 2 };

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct fan_config);
} config SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct fan_counters);
} counters SEC(".maps");

/* By underlay address, host order. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
  __uint(max_entries, FAN_PEERS);
  __type(key, __u32);
  __type(value, struct fan_peer);
} peers SEC(".maps");

/* The values mean nothing. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, FAN_FLOWS);
  __type(key, struct fan_flow);
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

/* RFC 1071: a sum of 16-bit words as 16 bits. */
static __always_inline __u32 fold(__u32 sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  return (sum & 0xffff) + (sum >> 16);
}

static __always_inline __u32 sum_of(const __u8 *bytes, int length) {
  __u32 sum = 0;
  for (int i = 0; i < length; i += 2) sum += be16(bytes + i);
  return sum;
}

/* Of a header of 20 bytes, folded: 0xffff where its checksum is right. */
static __always_inline __u32 header_sum(const __u8 *header) {
  return fold(sum_of(header, IPV4_LEN));
}

/*
 * Bytes that each segment of a super-packet begins with, its IP header `at` bytes behind the
 * network header; 0 where it is of no kind that we know.
 */
static __always_inline __u32 segment_header(struct __sk_buff *skb, __u32 at, __u32 protocol) {
  __u8 offset;
  if (protocol == PROTOCOL_UDP) return IPV4_LEN + UDP_LEN;
  if (protocol != PROTOCOL_TCP) return 0;
  if (bpf_skb_load_bytes_relative(skb, at + IPV4_LEN + 12, &offset, 1, BPF_HDR_START_NET) != 0) {
    return 0;
  }
  return IPV4_LEN + (offset >> 4) * 4;
}

/* An inner packet, whole, without options, that may be sent on behind `outer_len` bytes. */
static __always_inline bool is_plain(const __u8 *ip, __u32 packet_len, __u32 outer_len) {
  return ip[0] == 0x45 && be16(ip + 2) == packet_len && ip[8] != 0 && ip[9] != PROTOCOL_IPIP &&
         packet_len + outer_len <= MOST_IPV4 && header_sum(ip) == 0xffff;
}

static __always_inline bool is_host_of_slice(const struct fan_config *fan, __u32 address) {
  __u32 host = address & ~fan->slice_mask;
  return (address & fan->slice_mask) == fan->slice_base && host != 0 && host != ~fan->slice_mask;
}

/*
 * Whether the packet is of a flow that no trace can show; `ip` lies `at` bytes behind the network
 * header. A fragment is of none: its ports may be in another one.
 */
static __always_inline bool is_untraced(struct __sk_buff *skb, const struct fan_config *fan,
                                        const __u8 *ip, __u32 at) {
  __u8 ports[4] = {0};
  if ((be16(ip + 6) & FRAGMENT) != 0) return false;
  if ((ip[9] == PROTOCOL_TCP || ip[9] == PROTOCOL_UDP) &&
      bpf_skb_load_bytes_relative(skb, at + IPV4_LEN, ports, sizeof ports, BPF_HDR_START_NET) !=
          0) {
    return false;
  }
  const struct fan_flow flow = {
      .generation = fan->generation,
      .source = be32(ip + 12),
      .target = be32(ip + 16),
      .ports = be32(ports),
      .protocol = ip[9],
  };
  return bpf_map_lookup_elem(&flows, &flow) != 0;
}

/* The underlay host that an address of the fan's overlay stands for. */
static __always_inline __u32 underlay_host(const struct fan_config *fan, __u32 address) {
  return fan->underlay_base | (address & ~fan->overlay_mask) >> (fan->shift & 31);
}

static __always_inline bool is_own(const struct fan_config *fan, __u32 address) {
  for (int i = 0; i < FAN_OWN_ADDRESSES; i++) {
    if (fan->own[i] == address) return true;
  }
  return false;
}

/* Whether an underlay address is one that a peer may have. */
static __always_inline bool is_peer(const struct fan_config *fan, __u32 address) {
  __u32 host = address & ~fan->underlay_mask;
  return (address & fan->underlay_mask) == fan->underlay_base && host != 0 &&
         host != ~fan->underlay_mask && !is_own(fan, address);
}

/* The underlay host of an overlay address; 0 for one that is none of a peer. */
static __always_inline __u32 exit_of(const struct fan_config *fan, __u32 target) {
  if ((target & fan->overlay_mask) != fan->overlay_base) return 0;
  __u32 exit = underlay_host(fan, target);
  return is_peer(fan, exit) ? exit : 0;
}

/* Whether `source` may send from behind `sender`: it is a host address of its slice, not of ours.
 */
static __always_inline bool is_behind(const struct fan_config *fan, __u32 source, __u32 sender) {
  __u32 host = source & ~fan->slice_mask;
  return (source & fan->overlay_mask) == fan->overlay_base &&
         (source & fan->slice_mask) != fan->slice_base && underlay_host(fan, source) == sender &&
         host != 0 && host != ~fan->slice_mask;
}

/* What an inner packet is on the wire: a super-packet its segments, any other itself. */
struct shape {
  __u32 segments;
  __u32 longest; /* bytes */
  __u64 bytes;   /* of all, each segment's headers included */
};

/*
 * The shape of a packet of `packet_len` bytes, its IP header `at` bytes behind the network header.
 * False for a super-packet of no kind that we know.
 */
static __always_inline bool find_shape(struct __sk_buff *skb, __u32 at, __u32 protocol,
                                       __u32 packet_len, struct shape *shape) {
  __u32 size = skb->gso_size;
  __u32 header = size == 0 ? 0 : segment_header(skb, at, protocol);
  if (size != 0 && (header == 0 || header >= packet_len)) return false;
  shape->segments = size == 0 ? 1 : (packet_len - header + size - 1) / size;
  shape->longest = size == 0 ? packet_len : header + size;
  shape->bytes = packet_len + (__u64)(shape->segments - 1) * header;
  return true;
}

/* Remembers how long a packet was, for this unit of time and the one before it. */
static __always_inline void note_size(struct fan_peer *peer, __u32 size) {
  __u32 now = (__u32)(bpf_ktime_get_coarse_ns() >> FAN_TIME_SHIFT);
  if (peer->time != now) {
    peer->before = peer->time + 1 == now ? peer->largest : 0;
    peer->largest = 0;
    peer->time = now;
  }
  if (size > peer->largest) peer->largest = (__u16)size;
}

/*
 * Whether this route leads out by the device. `next_hop`: network order; 0 where its MAC address is
 * not known yet, or it is none of IPv4.
 */
static __always_inline bool leaves_by(struct __sk_buff *skb, struct bpf_fib_lookup *route,
                                      __u32 device, __be32 *next_hop) {
  long found = bpf_fib_lookup(skb, route, sizeof *route, 0);
  bool is_known = found == BPF_FIB_LKUP_RET_SUCCESS && route->family == FAMILY_IPV4;
  *next_hop = is_known ? route->ipv4_dst : 0;
  return (found == BPF_FIB_LKUP_RET_SUCCESS || found == BPF_FIB_LKUP_RET_NO_NEIGH) &&
         route->ifindex == device;
}

/* What is known of a peer, from now on; none where there is no room. */
static __always_inline struct fan_peer *peer_of(__u32 address) {
  struct fan_peer *peer = bpf_map_lookup_elem(&peers, &address);
  if (peer) return peer;
  const struct fan_peer new = {0};
  bpf_map_update_elem(&peers, &address, &new, BPF_NOEXIST);
  return bpf_map_lookup_elem(&peers, &address);
}

/* `outer_len`: bytes before each packet on the wire. */
static __always_inline void count(struct fan_peer *peer, const struct shape *shape,
                                  __u32 outer_len) {
  const __u32 first = 0;
  struct fan_counters *all = bpf_map_lookup_elem(&counters, &first);
  if (all) {
    all->packets += shape->segments;
    all->bytes += shape->bytes;
  }
  if (!peer) return;
  peer->counted.packets += shape->segments;
  peer->counted.bytes += shape->bytes;
  note_size(peer, shape->longest + outer_len);
}

#endif
