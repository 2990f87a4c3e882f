/**
 * The options of one fan, as flags of `fanctl up` and of a line in /etc/network/fan.
 */

import type { FanType } from '../fan/encapsulation.js';

/** How packets get on and off the underlay; auto is the first of bpf, packet and raw that works here. */
export const IO_MODES = ['auto', 'raw', 'packet', 'bpf'] as const;
export type IoMode = (typeof IO_MODES)[number];

export interface FanOptions {
  /** dnsmasq serves addresses on the bridge. */
  dhcp: boolean;
  /** Addresses that the host keeps on the bridge: .1 … .N. */
  hostReserve: number;
  /** First and last address that DHCP gives, counted from the slice's own; absent: all behind the reserve. */
  dhcpRange?: [first: number, last: number];
  /** Containers resolve names of those of other hosts. */
  dns: boolean;
  /** Where these have their names from, where not from a DHCP server of ours. */
  leases?: string;
  /** Name of the bridge, where the slice's own is not wanted. */
  bridge?: string;
  /** `up` ignores the line. */
  off: boolean;
  /** `up -a` brought it up. */
  auto: boolean;
  debug: boolean;
  io: IoMode;
  /** How packets travel. */
  type: FanType;
  /** Of a VXLAN fan: absent for what follows from the overlay. */
  vni?: number;
  /** Of a VXLAN fan: its UDP port; absent for the usual one. */
  port?: number;
  /** Of a VXLAN fan: containers have the whole overlay on link. */
  layer2: boolean;
  /** Outer TTL: a number, or absent to copy the inner one. */
  ttl?: number;
  /** Outer DSCP: a number 0–63, or absent to copy the inner one. */
  dscp?: number;
  /** Containers may send from addresses outside the overlay, as those that route for others do. */
  foreignSources: boolean;
  /** Each port of the bridge keeps the MAC and the IPv4 address that it used first, and nobody else has them. */
  isolate: boolean;
  /** What ICMP may say of a path, at least; absent for DEFAULT_MIN_PATH_MTU. */
  minPathMtu?: number;
  /** False: too big a packet without DF is dropped instead of sent in outer fragments. */
  fragment: boolean;
  /** False: the MSS that TCP announces through the bridge is left as it is. */
  clampMss: boolean;
  /** What goes from slice to slice is kept out of connection tracking. */
  notrack: boolean;
  /** fand puts back what somebody else took away. */
  heal: boolean;
  /** fand moves the fan to the slice of the address that the underlay's device has come to have. */
  followAddress: boolean;
}

/** RFC 791 §3.1: every host accepts so many bytes, and what carries less is hardly found. */
export const DEFAULT_MIN_PATH_MTU = 576;

export const DEFAULT_OPTIONS: Readonly<FanOptions> = {
  dhcp: false,
  hostReserve: 1,
  dns: false,
  off: false,
  auto: false,
  debug: false,
  io: 'auto',
  type: 'ipip',
  layer2: false,
  foreignSources: false,
  isolate: false,
  fragment: true,
  clampMss: true,
  notrack: false,
  heal: true,
  followAddress: false,
};
