/**
 * Writes pcapng (IETF opsawg-pcapng): one section, interfaces with nanosecond timestamps, packets with comments,
 * statistics. Each call gives the bytes of whole blocks, so that a reader at the end of a pipe is never behind.
 *
 * Little-endian; every block is padded to 32 bits and tells its length twice (§3.1).
 */

/** Block types, §4. */
export const SECTION_HEADER = 0x0a0d0d0a;
export const INTERFACE_DESCRIPTION = 1;
export const SIMPLE_PACKET = 3;
export const INTERFACE_STATISTICS = 5;
export const ENHANCED_PACKET = 6;
export const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
/**
 * A packet that begins with its IP header. Of the two numbers for that (the other is 101) the one that libpcap reads from
 * a second interface too; readers look at the version and show IPv6 as what it is.
 */
export const LINKTYPE_IPV4 = 228;
export const LINKTYPE_ETHERNET = 1;

/** Option codes, §3.5 and the sections of the blocks. */
export const OPT_END = 0;
export const OPT_COMMENT = 1;
export const SHB_APPLICATION = 4;
export const IF_NAME = 2;
export const IF_DESCRIPTION = 3;
export const IF_TSRESOL = 9;
export const EPB_FLAGS = 2;
export const EPB_DROPCOUNT = 4;
export const ISB_RECEIVED = 4;
export const ISB_DROPPED = 5;
export const ISB_OS_DROPPED = 7;

/** The power of ten of a timestamp's unit: ns. */
const NANOSECONDS = 9;
/** §4.3.1: lowest bits of epb_flags. */
export const INBOUND = 1;
export const OUTBOUND = 2;
const LENGTH_UNKNOWN = 0xffffffffffffffffn;

/** Code, and text, bytes, or a u64. */
type Option = readonly [code: number, value: string | Uint8Array | bigint];

export interface PcapngPacket {
  /** Index of its interface, in the order in which they were described. */
  interfaceId: number;
  /** Since 1970. */
  timeNs: bigint;
  bytes: Uint8Array;
  /** On the wire, where `bytes` was cut. */
  length: number;
  direction: number;
  comment: string;
  /** Packets of this interface that are missing before this one. */
  dropped: number;
}

export interface PcapngStatistics {
  interfaceId: number;
  timeNs: bigint;
  received: number;
  /** For want of speed here, and by the kernel. */
  dropped: number;
  osDropped: number;
  comment: string;
}

export function sectionHeader(application: string): Buffer {
  const body = Buffer.alloc(16);
  body.writeUInt32LE(BYTE_ORDER_MAGIC, 0);
  body.writeUInt16LE(1, 4);
  body.writeBigUInt64LE(LENGTH_UNKNOWN, 8);
  return block(SECTION_HEADER, body, [[SHB_APPLICATION, application]]);
}

export function interfaceDescription(
  name: string,
  description: string,
  snapLen: number,
  linkType = LINKTYPE_IPV4,
): Buffer {
  const body = Buffer.alloc(8);
  body.writeUInt16LE(linkType, 0);
  body.writeUInt32LE(snapLen, 4);
  const options: Option[] = [
    [IF_NAME, name],
    [IF_DESCRIPTION, description],
    [IF_TSRESOL, Uint8Array.of(NANOSECONDS)],
  ];
  return block(INTERFACE_DESCRIPTION, body, options);
}

export function enhancedPacket(packet: PcapngPacket): Buffer {
  const { bytes } = packet;
  const body = Buffer.alloc(20 + padded(bytes.length));
  body.writeUInt32LE(packet.interfaceId, 0);
  writeTime(body, 4, packet.timeNs);
  body.writeUInt32LE(bytes.length, 12);
  body.writeUInt32LE(packet.length, 16);
  body.set(bytes, 20);
  const flags = Buffer.alloc(4);
  flags.writeUInt32LE(packet.direction, 0);
  const options: Option[] = [[EPB_FLAGS, flags]];
  if (packet.dropped > 0) options.push([EPB_DROPCOUNT, BigInt(packet.dropped)]);
  if (packet.comment !== '') options.push([OPT_COMMENT, packet.comment]);
  return block(ENHANCED_PACKET, body, options);
}

export function interfaceStatistics(statistics: PcapngStatistics): Buffer {
  const body = Buffer.alloc(12);
  body.writeUInt32LE(statistics.interfaceId, 0);
  writeTime(body, 4, statistics.timeNs);
  const options: Option[] = [
    [ISB_RECEIVED, BigInt(statistics.received)],
    [ISB_DROPPED, BigInt(statistics.dropped)],
    [ISB_OS_DROPPED, BigInt(statistics.osDropped)],
  ];
  if (statistics.comment !== '') options.push([OPT_COMMENT, statistics.comment]);
  return block(INTERFACE_STATISTICS, body, options);
}

/** Upper and lower half, §4.3. */
function writeTime(body: Buffer, at: number, timeNs: bigint): void {
  body.writeUInt32LE(Number((timeNs >> 32n) & 0xffffffffn), at);
  body.writeUInt32LE(Number(timeNs & 0xffffffffn), at + 4);
}

function block(type: number, body: Buffer, options: readonly Option[]): Buffer {
  const tail = Buffer.concat([...options.map(option), Buffer.alloc(4)]);
  const length = 12 + body.length + tail.length;
  const frame = Buffer.alloc(8);
  frame.writeUInt32LE(type, 0);
  frame.writeUInt32LE(length, 4);
  return Buffer.concat([frame, body, tail, frame.subarray(4)]);
}

function option([code, value]: Option): Buffer {
  const bytes = valueBytes(value);
  const encoded = Buffer.alloc(4 + padded(bytes.length));
  encoded.writeUInt16LE(code, 0);
  encoded.writeUInt16LE(bytes.length, 2);
  encoded.set(bytes, 4);
  return encoded;
}

function valueBytes(value: string | Uint8Array | bigint): Uint8Array {
  if (typeof value === 'string') return Buffer.from(value, 'utf8').subarray(0, 0xffff);
  if (typeof value !== 'bigint') return value;
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

function padded(length: number): number {
  return (length + 3) & ~3;
}
