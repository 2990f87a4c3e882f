/**
 * A traced packet as a capture shows it: on the overlay's side as it was read from the TUN or written to it, on the
 * underlay's side as it was received or sent, with the verdict in words. A packet that was dropped has one side only.
 */

import { applyTos, OUTER_LEN } from '../wire/ipip.js';
import { dontFragment, headerLen, MIN_HEADER_LEN, totalLength } from '../wire/ipv4.js';
import { ARP_LEN, DATAGRAM_LEN, ETHERNET_LEN, VXLAN_LEN, VXLAN_OUTER_LEN } from '../wire/vxlan.js';
import { INBOUND, OUTBOUND } from './pcapng-writer.js';
import { errnoName, isProbe, verdictOf, whyOf } from './stages.js';
import { bytesOf, type PacketLine } from './trace-lines.js';
import { completeChecksum, cutToWireSize, findTransport } from './wire-size.js';

export type Side = 'overlay' | 'underlay';

export interface WireForm {
  side: Side;
  /** Of the overlay of a fan over VXLAN a frame; else a packet. */
  bytes: Uint8Array;
  /** Of the packet, of which `bytes` may be the beginning. */
  length: number;
  direction: typeof INBOUND | typeof OUTBOUND;
  comment: string;
}

const NEEDS_CSUM = 1;
const CSUM_UNKNOWN = 0x80;
const MOST_IPV4 = 65_535;
/** Where the frame is in what was received as VXLAN, whose outer header has no options. */
const FRAME_AT = DATAGRAM_LEN + VXLAN_LEN;

export interface FormOptions {
  /** Cut super-packets into wire packets. */
  wireSize: boolean;
  underlayMtu: number;
}

/** In the order in which they passed us. */
export function formsOf(line: PacketLine, options: FormOptions): WireForm[] {
  const data = Uint8Array.from(bytesOf(line.data));
  const comment = commentOf(line);
  switch (line.path) {
    case 'encap':
      return encapForms(line, data, comment, options);
    case 'decap':
      return decapForms(line, data, comment, options);
    case 'path-error':
      return [{ side: 'underlay', bytes: data, length: line.length, direction: INBOUND, comment }];
    default:
      return [{ side: 'overlay', bytes: data, length: line.length, direction: OUTBOUND, comment }];
  }
}

/** "decap: dropped source-forged: the inner source does not map to the outer source" */
export function commentOf(line: PacketLine): string {
  const error = line.errno === 0 ? '' : ` (${errnoName(line.errno)})`;
  const reason = line.reason === undefined ? '' : ` ${line.reason}: ${whyOf(line.reason)}`;
  return `${line.path}: ${verdictOf(line)}${reason}${error}`;
}

function encapForms(line: PacketLine, data: Uint8Array, comment: string, options: FormOptions): WireForm[] {
  const linkLen = linkLenOf(line);
  const whole = data.length === line.length;
  if (whole) finishChecksum(data, linkLen, line.vnet);
  const inner = { side: 'overlay', bytes: data, length: line.length, direction: INBOUND, comment } as const;
  const forms: WireForm[] = cut(inner, linkLen, line, options, false);
  if (line.reason !== undefined) return forms;
  if (line.fragments) {
    const fragments = line.fragments.map(bytesOf);
    return [...forms, ...fragments.map((bytes, i) => fragmentForm(bytes, i, fragments.length, comment))];
  }
  if (line.outer === undefined) return forms;
  const header = bytesOf(line.outer);
  const bytes = new Uint8Array(header.length + data.length);
  bytes.set(header);
  bytes.set(data, header.length);
  const length = line.length + header.length;
  const outer = { side: 'underlay', bytes, length, direction: OUTBOUND, comment } as const;
  // With the outer header a super-packet may be longer than a length field can say.
  return [...forms, ...cut(outer, header.length + linkLen, line, options, length > MOST_IPV4)];
}

/** Bytes before the overlay's packet, as it was read or written. */
function linkLenOf({ vxlan }: PacketLine): number {
  return vxlan ? ETHERNET_LEN : 0;
}

function fragmentForm(bytes: Uint8Array, i: number, count: number, comment: string): WireForm {
  const length = totalLength(bytes, 0);
  const text = `${comment}, fragment ${i + 1} of ${count}`;
  return { side: 'underlay', bytes, length, direction: OUTBOUND, comment: text };
}

function decapForms(line: PacketLine, data: Uint8Array, comment: string, options: FormOptions): WireForm[] {
  const linkLen = linkLenOf(line);
  const outerLen = data.length < MIN_HEADER_LEN ? 0 : line.vxlan ? FRAME_AT : headerLen(data, 0);
  const innerAt = outerLen + linkLen;
  if (data.length === line.length) finishChecksum(data, innerAt, line.vnet);
  const outer = { side: 'underlay', bytes: data, length: line.length, direction: INBOUND, comment } as const;
  const forms = cut(outer, innerAt, line, options, false);
  const hasInner = innerAt + MIN_HEADER_LEN <= data.length;
  if (line.reason !== undefined || !hasInner || isProbe(line)) return forms;
  // ARP has no TOS, and its length is no field of it.
  const length = linkLen + (line.tos === undefined ? ARP_LEN : totalLength(data, innerAt));
  const bytes = data.slice(outerLen, outerLen + length);
  if (line.tos !== undefined) applyTos(bytes, linkLen, line.tos);
  const inner = { side: 'overlay', bytes, length, direction: OUTBOUND, comment } as const;
  return [...forms, ...cut(inner, linkLen, line, options, false)];
}

/** `vnet` counts from the start of `data`, and so do we: it need only say whether the kernel left a sum to us. */
function finishChecksum(data: Uint8Array, ipAt: number, [flags = 0]: readonly number[]): void {
  if ((flags & (NEEDS_CSUM | CSUM_UNKNOWN)) === 0) return;
  const end = Math.min(data.length, ipAt + totalLength(data, ipAt));
  completeChecksum(data, ipAt, end, (flags & NEEDS_CSUM) !== 0);
}

function cut(
  form: WireForm,
  ipAt: number,
  line: PacketLine,
  { wireSize, underlayMtu }: FormOptions,
  must: boolean,
): WireForm[] {
  if (!wireSize && !must) return [form];
  const size = segmentSize(line, form.bytes, ipAt, underlayMtu);
  const packets = size === 0 ? undefined : cutToWireSize(form.bytes, ipAt, size, form.length);
  if (packets === undefined || packets.length < 2) return [form];
  return packets.map((bytes, i) => {
    const comment = `${form.comment}, segment ${i + 1} of ${packets.length}`;
    return { ...form, bytes, length: ipAt + totalLength(bytes, ipAt), comment };
  });
}

/**
 * Payload of a wire packet; 0: it is one. What the kernel merged for a raw socket, or passed to one of UDP uncut, kept no
 * size: the largest that fits is taken, as the counters do. A datagram of IP-in-IP that came in fragments has DF clear and
 * is no merged packet.
 */
function segmentSize(line: PacketLine, bytes: Uint8Array, ipAt: number, mtu: number): number {
  const [flags = 0, gsoType = 0, gsoSize = 0] = line.vnet;
  if (gsoType !== 0) return gsoSize;
  const merged = line.path === 'decap' && (flags & CSUM_UNKNOWN) !== 0 && line.length > mtu;
  if (!merged) return 0;
  if (line.vxlan ? line.packets < 2 : ipAt > 0 && !dontFragment(bytes, 0)) return 0;
  const transport = findTransport(bytes, ipAt, bytes.length);
  const overhead = line.vxlan ? VXLAN_OUTER_LEN : OUTER_LEN;
  return transport === undefined ? 0 : Math.max(0, mtu - overhead - (transport.payloadAt - ipAt));
}
