/**
 * What the main thread and a forwarding worker say to each other. The worker blocks in poll, so the main thread
 * posts a message and signals the wake eventfd; answers come back as ordinary worker messages.
 */
import type { Share } from '../../io/receive-filter.js';
import type { ForwarderState } from '../forwarder.js';
import type { Inherited } from '../ports/inherited.js';
import type { ByDirection, FanIo, FanSpec, Relays } from '../tables/fan-spec.js';
import type { TraceRecord, TraceSpec } from '../tracing/protocol.js';

/** What a worker knows beside its counters. */
export interface WorkerState extends ForwarderState {
  /** The kernel's number of its thread. */
  tid: number;
}

export interface WorkerData {
  counters: SharedArrayBuffer;
  /** Of SentSizes. */
  sentSizes: SharedArrayBuffer;
  wakeFd: number;
  /** Which worker of how many it is. */
  share: Share;
  /** Devices that another process serves until `begin`. */
  inherited?: Inherited | undefined;
}

/** `generation`: another one with each change, the same for all workers, for the flows that they give to the kernel. */
export type ToWorker =
  | { type: 'configure'; id: number; generation: number; fans: FanSpec[] }
  /** Exactly these traces from now on. */
  | { type: 'trace'; id: number; generation: number; sessions: TraceSpec[] }
  /** Exactly these relays from now on. */
  | { type: 'relays'; id: number; relays: Relays }
  | { type: 'inspect'; id: number }
  /** Asks for an answer behind all that was traced so far. */
  | { type: 'mark'; id: number }
  /** What another process needs to serve the same devices. */
  | { type: 'lend'; id: number }
  /** Serves nothing, between two batches, until `begin`. */
  | { type: 'pause'; id: number }
  | { type: 'begin'; id: number; known: ForwarderState }
  | { type: 'stop'; id: number }
  /** The process ends now, and waits for its threads: nothing is closed, and there is no answer. */
  | { type: 'leave' };

/** What a worker has opened for its fans. */
export interface Configured {
  /** By the fan's id, as is `io`. */
  tunOffloads: Record<string, number>;
  io: Record<string, FanIo>;
  /** Of fans with programs in the kernel: for native.programCount, good until the fan is configured away. */
  kernelCounters: Record<string, ByDirection>;
  /** Of every program of a fan, by what it does: for native.programDevice, as long. */
  kernelLinks: Record<string, Record<string, number>>;
  /** Likewise, for the other workers' FanSpec.kernelFlows. */
  kernelFlows: Record<string, ByDirection>;
  /** What those count for each peer, for the other workers' FanSpec.kernelPeers. */
  kernelPeers: Record<string, ByDirection>;
  receiverFds: number[];
}

export type FromWorker =
  | ({ type: 'done'; id: number } & Configured)
  | ({ type: 'inspected'; id: number } & WorkerState)
  | { type: 'lent'; id: number; inherited: Inherited }
  /** Since when it serves no device, by CLOCK_MONOTONIC, and what it knew then. */
  | { type: 'paused'; id: number; atNs: bigint; state: WorkerState }
  /** Since when it serves its devices. */
  | { type: 'began'; id: number; atNs: bigint }
  | { type: 'marked'; id: number }
  | { type: 'failed'; id: number; message: string }
  /** Packets that a trace saw; the session is that of its TraceSpec. */
  | { type: 'traced'; session: number; records: TraceRecord[] }
  /** A peer's probe (probe-tap.ts). */
  | { type: 'probe'; fan: string; sender: number; packet: Uint8Array }
  /** The TUN of this fan is gone or broken; nothing more is read from it. */
  | { type: 'lost'; fan: string; message: string };
