/*
 * The kernel's part of `--io bpf`: a program at the egress of a fan's TUN that encapsulates what is
 * plain, and one at the ingress of its underlay device that decapsulates it. What is not plain they
 * leave to the daemon. This header is shared with the programs themselves (encap.bpf.c,
 * decap.bpf.c); each has maps of its own.
 */
#ifndef UFAN_FAN_PROGRAM_H
#define UFAN_FAN_PROGRAM_H

#include <linux/types.h>

enum {
  FAN_OWN_ADDRESSES = 16,
  FAN_PEERS = 4096, /* that are counted; the one longest unused makes room */
  FAN_FLOWS = 8192, /* that are known to be untraced; likewise */
  /* EtherType of what vxlan_decap.bpf.c leaves to the daemon: one for private use (IEEE 802). */
  VXLAN_ENVELOPE = 0x88b5,
  VXLAN_COOKIE_WORDS = 3,
};

/* What a program takes of what is plain. */
enum fan_takes {
  FAN_TAKES_NOTHING,
  FAN_TAKES_ALL,
  FAN_TAKES_UNTRACED, /* packets of flows in the map `flows` */
};

/* Of which packets the outer headers are the programs' own matter, past the VXLAN device. */
enum fan_direct {
  FAN_DIRECT_NONE,
  FAN_DIRECT_ALL,
  FAN_DIRECT_SINGLE, /* of no super-packets */
};

/*
 * What the program needs to know of its fan: 32-bit words, addresses and masks in host order, in
 * the order of src/io/programs/fan-program.ts. All zero: nothing is taken.
 */
struct fan_config {
  __u32 takes; /* enum fan_takes */
  /* Flows of another one are no longer known to be untraced. */
  __u32 generation;
  __u32 overlay_base;
  __u32 overlay_mask;
  __u32 slice_base;
  __u32 slice_mask;
  __u32 underlay_base;
  __u32 underlay_mask;
  /* From the overlay's bits to the underlay's: a shift to the right. */
  __u32 shift;
  __u32 address;
  __u32 device; /* index of the one to go on by: encap the underlay's, decap the TUN's */
  __u32 limit;  /* the longest packet for it: encap the outer one on every path, decap the inner */
  __u32 ttl;    /* of the outer header; above 255: the inner one's */
  __u32 dscp;   /* of the outer header; above 63: the inner one's */
  /* Bytes before the IP header: none at a TUN, but 14 in a test run of the kernel's. */
  __u32 link_header;
  /* Over VXLAN only; a tunnel's ttl and dscp are fixed there. */
  __u32 vni;
  __u32 port;
  __u32 underlay; /* index of the underlay's device; `device` of encap is the VXLAN device */
  __u32 direct;   /* enum fan_direct */
  /* In the place of both MAC addresses of an envelope: nobody else knows it, nobody can make one.
   */
  __u32 cookie[VXLAN_COOKIE_WORDS];
  /* Of the underlay those that no peer has: this host's, and of all on a link; 0 where fewer. */
  __u32 own[FAN_OWN_ADDRESSES];
};

/* A flow that no trace can show, as the daemon found for this generation; all in host order. */
struct fan_flow {
  __u32 generation;
  __u32 source;
  __u32 target;
  __u32 ports; /* source << 16 | target, of TCP and UDP; 0 for other protocols */
  __u32 protocol;
};

/* For each CPU: of all packets, and of those to, or from, each peer. */
struct fan_counters {
  __u64 packets; /* on the wire: a super-packet counts its segments */
  __u64 bytes;   /* of inner packets, each segment's headers included */
};

/* CLOCK_MONOTONIC in ns, shifted by so much, is the time of a size: units of 8.6 s. */
enum { FAN_TIME_SHIFT = 33 };

/* The same for when a peer was admitted: units of half a second. */
enum { FAN_ADMISSION_SHIFT = 29 };

/* For each CPU, of one peer: as fan_counters, and the longest outer packet of now and before. */
struct fan_peer {
  struct fan_counters counted;
  __u32 time;
  __u16 largest;
  __u16 before;
  /* Over VXLAN only: when the host's rules let a packet to, or from, it pass; how many were sent.
   */
  __u32 admitted;
  __u32 next_id;
};

#endif
