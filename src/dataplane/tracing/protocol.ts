/**
 * What a worker tells of the packets it traces, and what it is asked to trace. The records go to the main thread as
 * they are (worker-protocol.ts); the daemon passes them on to the client that asked (daemon/tracing.ts).
 */
import type { DropReason } from '../../base/drop-reason.js';

/** One client's wish. */
export interface TraceSpec {
  /** Its number, which comes back with the records. */
  session: number;
  /** As PacketFilter takes it; empty: every packet. A packet matches by its inner or its outer form. */
  program: readonly number[];
  /** Fan id; without it all fans, and what belongs to none. */
  fan?: string;
  /** Only packets that end in a drop. */
  dropsOnly: boolean;
  /** Bytes of each packet that are copied at most, and of each super-packet. */
  snapLen: number;
  burstSnapLen: number;
  recordsPerSecond: number;
  bytesPerSecond: number;
  /** Realtime minus monotonic clock, ns. */
  epochNs: bigint;
  /** Zeros at first, see CELL and REFILLED; all workers have the same. */
  shared: SharedArrayBuffer;
}

/**
 * Int32 cells of TraceSpec.shared: records, and bytes of them, on their way to the client, which the main thread counts
 * down when they have left; those that were lost, all and because too many were on their way; and what may still be
 * copied.
 */
export const CELL = { waiting: 0, waitingBytes: 1, lost: 2, behind: 3, records: 4, bytes: 5 } as const;
/** BigInt64 cells of it: until when, on the monotonic clock in ns, `records` and `bytes` were refilled. */
export const REFILLED = { records: 3, bytes: 4 } as const;
/** Bytes of it. */
export const CELL_BYTES = 40;

/**
 * The walk that a packet was on: out of the TUN, into it, an ICMP error about a packet of ours, or an ICMP error that
 * we write to a container.
 */
export type TracePath = 'encap' | 'decap' | 'path-error' | 'reply';

export interface TraceRecord {
  path: TracePath;
  /** The fan's id; undefined where it was for none. */
  fan: string | undefined;
  /** When its batch was read, ns since 1970; the others are ns after that. */
  readNs: bigint;
  /** All of the batch judged, and sent or written. */
  judgedNs: number;
  doneNs: number;
  /** 0: kept. */
  reason: DropReason;
  /** Why the kernel refused it; 0: it did not. */
  errno: number;
  /** Wire packets that it stands for. */
  packets: number;
  /** Bytes of the packet; `data` has the first of them. */
  length: number;
  /**
   * encap: the inner packet as read. decap, path-error: the outer one as received. reply: the error as written. Of a fan
   * over VXLAN what is read or written is a frame.
   */
  data: Uint8Array;
  /** virtio_net_hdr: flags, gsoType, gsoSize, headerLen, csumStart, csumOffset, counted from the start of `data`. */
  vnet: readonly number[];
  /** encap, kept: the outer header that stands before `data` on the underlay. */
  outer?: Uint8Array;
  /** encap, kept and too big: the outer fragments that were sent instead, as much of each as the snap length lets. */
  fragments?: readonly Uint8Array[];
  /** decap, kept: TOS of the inner packet as it was written (RFC 6040); ARP has none. */
  tos?: number;
  /** Whether it is, or was, in VXLAN. */
  isVxlan: boolean;
  /** path-error: an answer goes to a container. reply: it was held back, and `data` is what it would have been about. */
  relayed?: boolean;
}

/** Bytes of packets that the record holds. */
export function heldBytes({ data, fragments = [] }: TraceRecord): number {
  return fragments.reduce((sum, fragment) => sum + fragment.length, data.length);
}
