/**
 * IPv4 headers (RFC 791) in a byte array: fields by offset, the checks before they may be trusted, and a parsed
 * form for making and showing packets.
 *
 * The packet walk calls checkOuterIpv4 or checkInnerIpv4 first; after KEEP every reader is in bounds. Readers and
 * checks allocate nothing. Addresses are host-order u32; lengths are bytes; `ihlWords` is in 32-bit words.
 */
import { DROP, type DropReason, KEEP } from '../base/drop-reason.js';
import { checksum } from './checksum.js';

/** Byte offsets of the fields, RFC 791 §3.1. */
export const TOS = 1;
export const TOTAL_LENGTH = 2;
export const ID = 4;
export const FLAGS_FRAGMENT = 6;
export const TTL = 8;
export const PROTOCOL = 9;
export const CHECKSUM = 10;
export const SOURCE = 12;
export const DESTINATION = 16;

/** Bytes of a header without options, and with the most. */
export const MIN_HEADER_LEN = 20;
export const MAX_HEADER_LEN = 60;

/** Bits of the flags and fragment word. */
export const DONT_FRAGMENT = 0x4000;
export const MORE_FRAGMENTS = 0x2000;
export const FRAGMENT_OFFSET_MASK = 0x1fff;

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_IPIP = 4;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;

export function version(bytes: Uint8Array, offset: number): number {
  return bytes[offset]! >>> 4;
}
export function ihlWords(bytes: Uint8Array, offset: number): number {
  return bytes[offset]! & 15;
}
/** Header length in bytes, options included. */
export function headerLen(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! & 15) << 2;
}
export function tos(bytes: Uint8Array, offset: number): number {
  return bytes[offset + TOS]!;
}
export function totalLength(bytes: Uint8Array, offset: number): number {
  return read16(bytes, offset + TOTAL_LENGTH);
}
export function id(bytes: Uint8Array, offset: number): number {
  return read16(bytes, offset + ID);
}
export function dontFragment(bytes: Uint8Array, offset: number): boolean {
  return (bytes[offset + FLAGS_FRAGMENT]! & (DONT_FRAGMENT >> 8)) !== 0;
}
export function moreFragments(bytes: Uint8Array, offset: number): boolean {
  return (bytes[offset + FLAGS_FRAGMENT]! & (MORE_FRAGMENTS >> 8)) !== 0;
}
/** Offset of this fragment's data in the datagram, in bytes (the field counts units of 8). */
export function fragmentOffset(bytes: Uint8Array, offset: number): number {
  return (read16(bytes, offset + FLAGS_FRAGMENT) & FRAGMENT_OFFSET_MASK) << 3;
}
/** Whether the packet is one of several fragments, the first and the last included. */
export function isFragment(bytes: Uint8Array, offset: number): boolean {
  return (read16(bytes, offset + FLAGS_FRAGMENT) & (MORE_FRAGMENTS | FRAGMENT_OFFSET_MASK)) !== 0;
}
export function ttl(bytes: Uint8Array, offset: number): number {
  return bytes[offset + TTL]!;
}
export function protocol(bytes: Uint8Array, offset: number): number {
  return bytes[offset + PROTOCOL]!;
}
/** The checksum field as it stands. */
export function headerChecksum(bytes: Uint8Array, offset: number): number {
  return read16(bytes, offset + CHECKSUM);
}
/** u32, host order. */
export function source(bytes: Uint8Array, offset: number): number {
  return read32(bytes, offset + SOURCE);
}
/** u32, host order. */
export function destination(bytes: Uint8Array, offset: number): number {
  return read32(bytes, offset + DESTINATION);
}

/**
 * As source() and destination(), as the int32 of the same bits: to V8 a small integer, while a u32 from 2^31 on that
 * leaves a function which is not inlined is allocated. For the packet paths, which compare and pass on.
 */
export function sourceBits(bytes: Uint8Array, offset: number): number {
  return int32(bytes, offset + SOURCE);
}
export function destinationBits(bytes: Uint8Array, offset: number): number {
  return int32(bytes, offset + DESTINATION);
}

export function read16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}
function int32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}
export function read32(bytes: Uint8Array, at: number): number {
  return int32(bytes, at) >>> 0;
}
export function write16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}
export function write32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** Whether the header's checksum is right. The header must be in bounds. */
export function headerChecksumValid(bytes: Uint8Array, offset: number): boolean {
  return checksum(bytes, offset, headerLen(bytes, offset)) === 0;
}

/**
 * Judges an outer packet of which `available` bytes are there: KEEP, or outer-malformed. Options are allowed,
 * and bytes after the total length (Ethernet padding). A fragment is refused: only a whole datagram has an inner
 * packet to judge. The checksum is verified: packet sockets see what the kernel's IP layer has not looked at yet.
 */
export function checkOuterIpv4(bytes: Uint8Array, offset: number, available: number): DropReason {
  if (!isFramed(bytes, offset, available) || version(bytes, offset) !== 4 || isFragment(bytes, offset)) {
    return DROP['outer-malformed'];
  }
  return headerChecksumValid(bytes, offset) ? KEEP : DROP['outer-malformed'];
}

/**
 * Judges an inner packet, on either walk, of which `available` bytes are there: KEEP, or not-ipv4, inner-malformed,
 * inner-checksum, inner-ttl, nested-ipip, in that order. Its total length may be less than `available`.
 */
export function checkInnerIpv4(bytes: Uint8Array, offset: number, available: number): DropReason {
  if (available < 1) return DROP['inner-malformed'];
  if (version(bytes, offset) !== 4) return DROP['not-ipv4'];
  if (!isFramed(bytes, offset, available)) return DROP['inner-malformed'];
  if (!headerChecksumValid(bytes, offset)) return DROP['inner-checksum'];
  if (ttl(bytes, offset) === 0) return DROP['inner-ttl'];
  if (protocol(bytes, offset) === PROTOCOL_IPIP) return DROP['nested-ipip'];
  return KEEP;
}

/** Whether header and total length fit each other and what is there. */
function isFramed(bytes: Uint8Array, offset: number, available: number): boolean {
  if (available < MIN_HEADER_LEN) return false;
  const header = headerLen(bytes, offset);
  const total = totalLength(bytes, offset);
  return header >= MIN_HEADER_LEN && header <= total && total <= available;
}

/** A header in parsed form. */
export interface Ipv4Header {
  readonly tos: number;
  /** Bytes of header and payload. */
  readonly totalLength: number;
  readonly id: number;
  readonly dontFragment: boolean;
  readonly moreFragments: boolean;
  /** Bytes, a multiple of 8. */
  readonly fragmentOffset: number;
  readonly ttl: number;
  readonly protocol: number;
  /** u32, host order. */
  readonly source: number;
  /** u32, host order. */
  readonly destination: number;
  /** As on the wire: up to 40 bytes, a multiple of 4. */
  readonly options: Uint8Array;
}

/** What most headers have in common; for `{...PLAIN_HEADER, totalLength, …}`. */
export const PLAIN_HEADER: Ipv4Header = Object.freeze({
  tos: 0,
  totalLength: MIN_HEADER_LEN,
  id: 0,
  dontFragment: false,
  moreFragments: false,
  fragmentOffset: 0,
  ttl: 64,
  protocol: PROTOCOL_UDP,
  source: 0,
  destination: 0,
  options: new Uint8Array(0),
});

/** Parsed form of a header that a check has passed. Copies the options; not for the packet path. */
export function decodeIpv4(bytes: Uint8Array, offset: number): Ipv4Header {
  return {
    tos: tos(bytes, offset),
    totalLength: totalLength(bytes, offset),
    id: id(bytes, offset),
    dontFragment: dontFragment(bytes, offset),
    moreFragments: moreFragments(bytes, offset),
    fragmentOffset: fragmentOffset(bytes, offset),
    ttl: ttl(bytes, offset),
    protocol: protocol(bytes, offset),
    source: source(bytes, offset),
    destination: destination(bytes, offset),
    options: bytes.slice(offset + MIN_HEADER_LEN, offset + headerLen(bytes, offset)),
  };
}

/** Writes every byte of the header, checksum included; returns its length. The bytes must be in bounds. */
export function emitIpv4(bytes: Uint8Array, offset: number, header: Ipv4Header): number {
  const length = MIN_HEADER_LEN + header.options.length;
  const flags = (header.dontFragment ? DONT_FRAGMENT : 0) | (header.moreFragments ? MORE_FRAGMENTS : 0);
  bytes[offset] = 0x40 | (length >> 2);
  bytes[offset + TOS] = header.tos;
  write16(bytes, offset + TOTAL_LENGTH, header.totalLength);
  write16(bytes, offset + ID, header.id);
  write16(bytes, offset + FLAGS_FRAGMENT, flags | (header.fragmentOffset >> 3));
  bytes[offset + TTL] = header.ttl;
  bytes[offset + PROTOCOL] = header.protocol;
  write16(bytes, offset + CHECKSUM, 0);
  write32(bytes, offset + SOURCE, header.source);
  write32(bytes, offset + DESTINATION, header.destination);
  bytes.set(header.options, offset + MIN_HEADER_LEN);
  write16(bytes, offset + CHECKSUM, checksum(bytes, offset, length));
  return length;
}
