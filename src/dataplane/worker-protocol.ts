/**
 * What the main thread and a forwarding worker say to each other. The worker blocks in poll, so the main thread
 * posts a message and signals the wake eventfd; answers come back as ordinary worker messages.
 */
import type { FanMapping } from '../fan/mapping.js';
import type { Share } from '../io/receive-filter.js';
import type { PathMtuEntry } from './path-mtu.js';
import type { PeerCounts } from './peer-table.js';
import type { TraceRecord, TraceSpec } from './trace-protocol.js';

/** raw: AF_INET sockets. packet: AF_PACKET, super-packets whole. bpf: packet, and plain packets by programs in the kernel. */
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
  /** The ways on and off the underlay to try, in this order; the first that works here is taken. */
  io: readonly IoMode[];
  /** Why faster ways are not among them. */
  ioNotes: readonly string[];
  /** Why decap is not to be tried in the kernel; undefined where it is. */
  decapRefused: string | undefined;
  /** MTU of the underlay device: the outer packet's limit. */
  underlayMtu: number;
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
}

/** The relay at an underlay device, its index by the device's name (host/relays.ts). */
export type Relays = Readonly<Record<string, number>>;

/** What a worker knows beside its counters. */
export interface WorkerState {
  /** The kernel's number of its thread. */
  tid: number;
  peers: PeerCounts[];
  pathMtus: PathMtuEntry[];
}

export interface WorkerData {
  counters: SharedArrayBuffer;
  wakeFd: number;
  /** Which worker of how many it is. */
  share: Share;
}

/** `generation`: another one with each change, the same for all workers, for the flows that they give to the kernel. */
export type ToWorker =
  | { type: 'configure'; id: number; generation: number; fans: FanSpec[] }
  /** Exactly these traces from now on. */
  | { type: 'trace'; id: number; generation: number; sessions: TraceSpec[] }
  /** Exactly these relays from now on. */
  | { type: 'relays'; id: number; relays: Relays }
  | { type: 'inspect'; id: number }
  | { type: 'stop'; id: number };

/** What a worker has opened for its fans. */
export interface Configured {
  /** By the fan's id, as is `io`. */
  tunOffloads: Record<string, number>;
  io: Record<string, FanIo>;
  /** Of fans with programs in the kernel: for native.programCount, good until the fan is configured away. */
  kernelCounters: Record<string, ByDirection>;
  /** Likewise, for the other workers' FanSpec.kernelFlows. */
  kernelFlows: Record<string, ByDirection>;
  receiverFds: number[];
}

export type FromWorker =
  | ({ type: 'done'; id: number } & Configured)
  | ({ type: 'inspected'; id: number } & WorkerState)
  | { type: 'failed'; id: number; message: string }
  /** Packets that a trace saw; the session is that of its TraceSpec. */
  | { type: 'traced'; session: number; records: TraceRecord[] }
  /** A peer's probe (probe-tap.ts). */
  | { type: 'probe'; fan: string; sender: number; packet: Uint8Array }
  /** The TUN of this fan is gone or broken; nothing more is read from it. */
  | { type: 'lost'; fan: string; message: string };
