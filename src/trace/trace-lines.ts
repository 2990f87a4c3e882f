/**
 * What fand tells a client of a trace, a JSON object a line (control/protocol.ts: POST /v1/trace): the worker's records
 * with names for numbers and base64 for bytes. trace, capture and their tests read these.
 *
 *   fan      a fan and its devices, before its first packet
 *   started  what comes from now on is traced; `session` names the trace to who wants to end it
 *   packet   one packet and what became of it
 *   kernel   packets that the kernel dropped before or behind us: there is no packet to show
 *   lost     packets that were asked for, but not copied: they came too fast, `behind` of them while the client was
 *            behind with those before
 *   mark     no packet read before this time, ns since 1970, is still to come
 *   ended    all has been told, and nothing more comes
 */
import { type DropReasonName, dropReasonName } from '../base/drop-reason.js';
import type { TracePath, TraceRecord } from '../dataplane/tracing/protocol.js';

export interface FanLine {
  type: 'fan';
  bridge: string;
  tun: string;
  /** The underlay device, and its MTU. */
  device: string;
  underlayMtu: number;
  io: string;
  /** Present where it goes over VXLAN: by this UDP port, and the overlay's packets are frames. */
  vxlanPort?: number;
}

export interface PacketLine {
  type: 'packet';
  path: TracePath;
  /** Empty: of no fan. */
  bridge: string;
  /** When it was read, ns since 1970. */
  timeNs: string;
  /** ns from there to the verdict, and until it was sent or written. */
  judgedNs: number;
  doneNs: number;
  /** Absent: kept. */
  reason?: DropReasonName;
  errno: number;
  packets: number;
  length: number;
  /** Base64 from here, as in TraceRecord. */
  data: string;
  vnet: readonly number[];
  outer?: string;
  fragments?: readonly string[];
  tos?: number;
  /** Present where it is, or was, in VXLAN. */
  vxlan?: true;
  relayed?: boolean;
}

export interface KernelLine {
  type: 'kernel';
  reason: DropReasonName;
  bridge: string;
  packets: number;
}

export interface LostLine {
  type: 'lost';
  records: number;
  behind: number;
}

export interface MarkLine {
  type: 'mark';
  timeNs: string;
}

export type TraceLine =
  | FanLine
  | { type: 'started'; session: number }
  | PacketLine
  | KernelLine
  | LostLine
  | MarkLine
  | { type: 'ended' };

/** The line of a record of the fan on `bridge`. */
export function packetLine(record: TraceRecord, bridge: string): PacketLine {
  const { path, judgedNs, doneNs, errno, packets, length, vnet, tos, isVxlan, relayed } = record;
  const reason = dropReasonName(record.reason);
  return {
    type: 'packet',
    path,
    bridge,
    timeNs: `${record.readNs}`,
    judgedNs,
    doneNs,
    ...(reason !== undefined && { reason }),
    errno,
    packets,
    length,
    data: base64(record.data),
    vnet,
    ...(record.outer && { outer: base64(record.outer) }),
    ...(record.fragments && { fragments: record.fragments.map(base64) }),
    ...(tos !== undefined && { tos }),
    ...(isVxlan && { vxlan: true as const }),
    ...(relayed !== undefined && { relayed }),
  };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
}

export function bytesOf(text: string): Uint8Array {
  return Buffer.from(text, 'base64');
}
