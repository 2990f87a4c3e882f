/**
 * A fan as the dataplane knows it: what the main thread says of it (FanSpec), and what the way on and off the underlay
 * came to (FanIo).
 */
import type { VxlanTerms } from '../../fan/encapsulation.js';
import type { FanMapping } from '../../fan/mapping.js';

/**
 * raw: AF_INET sockets. packet: AF_PACKET, super-packets whole. bpf: packet, and plain packets by programs in the kernel.
 * Of a fan over VXLAN: raw: UDP sockets. bpf: programs, and what they leave in envelopes. packet: the same in a worker
 * that has not the programs.
 */
export type IoMode = 'raw' | 'packet' | 'bpf';

/** A fan as the worker forwards for it. */
export interface FanSpec {
  /** Stable while the fan is up. */
  id: string;
  mapping: FanMapping;
  /** The TUN device, which exists already. */
  tun: string;
  bridge: string;
  underlayDevice: string;
  /** Set where its packets travel in VXLAN, and `tun` is a TAP. */
  vxlan: VxlanTerms | undefined;
  /** The kernel's VXLAN device for it; undefined where it has none. */
  kernelVxlan: KernelVxlan | undefined;
  /** The ways on and off the underlay to try, in this order; the first that works here is taken. */
  io: readonly IoMode[];
  /** Why faster ways are not among them. */
  ioNotes: readonly string[];
  /** Why decap is not to be tried in the kernel; undefined where it is. */
  decapRefused: string | undefined;
  /** MTU of the underlay device: the outer packet's limit. */
  underlayMtu: number;
  /** What ICMP says of a path is believed down to this MTU, outer header included. */
  minPathMtu: number;
  /** Where its programs in the kernel are named, so that they outlive this process; undefined where they can't. */
  pins: string | undefined;
  /** Block of its counters. */
  counterBlock: number;
  /** Outer TTL, or −1 to copy the inner one. */
  ttl: number;
  /** Outer DSCP (0–63), or −1 to copy the inner one. */
  dscp: number;
  /** Too big a packet without DF leaves in outer fragments; else it is dropped. */
  fragment: boolean;
  /** The group of packet receivers to join, by which workers share what comes in; 0: none yet. */
  receiverGroup: number;
  /** Flows of the programs that another worker has for this fan (FanProgram.flowsFd); −1: none. */
  kernelFlows: ByDirection;
  /** What the encap program that another worker has was counting for each peer (FanProgram.peersFd); −1: none. */
  kernelPeers: number;
}

export interface KernelVxlan {
  device: string;
  /** COOKIE_WORDS, known to the fan's programs and to the workers alone. */
  cookie: readonly number[];
}

/** A descriptor of each of a fan's programs in the kernel; −1 where there is none. */
export interface ByDirection {
  encap: number;
  decap: number;
}

/** What a fan's io came to. */
export interface FanIo {
  mode: IoMode;
  /** Faster ways that were passed over, each with the reason. */
  notes: readonly string[];
  /** As FanSpec.receiverGroup; 0 in raw mode. */
  receiverGroup: number;
  /** Super-packets are cut by us: a relay at the fan's underlay device is of use. */
  cuts: boolean;
  /** Where decap in the kernel is attached, by index; undefined where the daemon does it. */
  decapAt: { underlay: number; bridge: number } | undefined;
  /** Index of the kernel's VXLAN device that it goes by; undefined where by none. */
  vxlanIndex: number | undefined;
  /** Index of the underlay's device, whose frames it knows; undefined where the kernel alone routes. */
  underlayIndex: number | undefined;
}

/** The relay at an underlay device, its index by the device's name (host/relays.ts). */
export type Relays = Readonly<Record<string, number>>;
