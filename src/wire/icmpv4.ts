/**
 * ICMP errors (RFC 792, RFC 1191, RFC 1812 §4.3): the ones that we send about inner packets, and the reading of
 * those that come back about our outer ones.
 *
 * Encap makes "destination unreachable" for a sender whose packet is too big or whose host cannot be reached.
 * What the path says of our own packets arrives quoted in an error; readIcmpError takes it apart and path-error.ts
 * says what it means. Errors are rare (those that we send are rate limited), yet only emitUnreachable allocates.
 */
import { isHostAddress } from '../addr/ipv4-address.js';
import { DROP, type DropReason, KEEP } from '../base/drop-reason.js';
import { checksum } from './checksum.js';
import {
  checkOuterIpv4,
  destination,
  emitIpv4,
  fragmentOffset,
  headerLen,
  id,
  MIN_HEADER_LEN,
  PLAIN_HEADER,
  PROTOCOL_ICMP,
  protocol,
  read16,
  source,
  totalLength,
  version,
  write16,
} from './ipv4.js';

export const ICMP_UNREACHABLE = 3;
export const ICMP_SOURCE_QUENCH = 4;
export const ICMP_REDIRECT = 5;
export const ICMP_TIME_EXCEEDED = 11;
export const ICMP_PARAMETER_PROBLEM = 12;

/** Codes of ICMP_UNREACHABLE, RFC 792 and RFC 1191 §4. */
export const HOST_UNREACHABLE = 1;
export const PROTOCOL_UNREACHABLE = 2;
export const PORT_UNREACHABLE = 3;
export const FRAGMENTATION_NEEDED = 4;

/** Bytes of an ICMP header. */
export const ICMP_HEADER_LEN = 8;
/** The longest error that we send, RFC 1812 §4.3.2.3, and what it then quotes. */
export const MAX_ERROR_LEN = 576;
const MAX_QUOTE_LEN = MAX_ERROR_LEN - MIN_HEADER_LEN - ICMP_HEADER_LEN;

/** Precedence "internetwork control", RFC 1812 §4.3.2.5. */
const ERROR_TOS = 0xc0;
const ERROR_TTL = 64;

/** The types that are errors, as a bit mask (bit n = type n). */
export const ICMP_ERROR_TYPES =
  (1 << ICMP_UNREACHABLE) |
  (1 << ICMP_SOURCE_QUENCH) |
  (1 << ICMP_REDIRECT) |
  (1 << ICMP_TIME_EXCEEDED) |
  (1 << ICMP_PARAMETER_PROBLEM);
/** Of those, the types whose sixth byte may tell the length of the quote, RFC 4884 §4. */
const TYPES_WITH_LENGTH = (1 << ICMP_UNREACHABLE) | (1 << ICMP_TIME_EXCEEDED) | (1 << ICMP_PARAMETER_PROBLEM);

export function isErrorType(type: number): boolean {
  return type < 32 && ((ICMP_ERROR_TYPES >>> type) & 1) !== 0;
}

/**
 * Whether an ICMP error may be sent about the packet of `length` bytes at `offset` (RFC 1122 §3.2.2): not about an
 * ICMP error, a fragment other than the first, nor from or to what is no single host. A directed broadcast is
 * the caller's to know.
 */
export function mayAnswerWithError(bytes: Uint8Array, offset: number, length: number): boolean {
  if (length < MIN_HEADER_LEN || headerLen(bytes, offset) > length) return false;
  if (fragmentOffset(bytes, offset) !== 0) return false;
  if (!isHostAddress(source(bytes, offset)) || !isHostAddress(destination(bytes, offset))) return false;
  if (protocol(bytes, offset) !== PROTOCOL_ICMP) return true;
  const typeAt = headerLen(bytes, offset);
  return typeAt < length && !isErrorType(bytes[offset + typeAt]!);
}

/**
 * Writes a whole packet to `target` at `at`: IPv4 header from `from` to `to` (u32), ICMP destination unreachable
 * with `code` (and `mtu` for 3/4, else 0), and as much of the offending packet as goes into 576 bytes. Returns its
 * length, at most MAX_ERROR_LEN, which must be in bounds. The offending packet may be in the same array, elsewhere.
 */
export function emitUnreachable(
  target: Uint8Array,
  at: number,
  code: number,
  mtu: number,
  from: number,
  to: number,
  offending: Uint8Array,
  offset: number,
  length: number,
): number {
  const quoteLen = Math.min(length, MAX_QUOTE_LEN);
  const icmpLen = ICMP_HEADER_LEN + quoteLen;
  const icmpAt = at + MIN_HEADER_LEN;
  emitIpv4(target, at, {
    ...PLAIN_HEADER,
    tos: ERROR_TOS,
    totalLength: MIN_HEADER_LEN + icmpLen,
    dontFragment: true,
    ttl: ERROR_TTL,
    protocol: PROTOCOL_ICMP,
    source: from,
    destination: to,
  });
  target[icmpAt] = ICMP_UNREACHABLE;
  target[icmpAt + 1] = code;
  write16(target, icmpAt + 2, 0);
  write16(target, icmpAt + 4, 0);
  write16(target, icmpAt + 6, mtu);
  const quoteAt = icmpAt + ICMP_HEADER_LEN;
  for (let i = 0; i < quoteLen; i++) target[quoteAt + i] = offending[offset + i]!;
  write16(target, icmpAt + 2, checksum(target, icmpAt, icmpLen));
  return MIN_HEADER_LEN + icmpLen;
}

/** What readIcmpError found; one record is made once and filled again and again. */
export interface IcmpError {
  type: number;
  code: number;
  /** Next-hop MTU of 3/4, 0 where it names none (routers older than RFC 1191) and for other errors. */
  mtu: number;
  /** Fields of the quoted header, the one that we sent. Addresses u32. */
  source: number;
  destination: number;
  protocol: number;
  id: number;
  /** Where the packet inside the quoted one begins, in the same array, and how many bytes of it are quoted. */
  innerOffset: number;
  innerLen: number;
}

export function createIcmpError(): IcmpError {
  return {
    type: 0,
    code: 0,
    mtu: 0,
    source: 0,
    destination: 0,
    protocol: 0,
    id: 0,
    innerOffset: 0,
    innerLen: 0,
  };
}

/**
 * Reads the ICMP error whose IPv4 header is at `offset`, of which `length` bytes are there, into `error`: KEEP, or
 * icmp-invalid (and `error` unchanged) where lengths or ICMP checksum are wrong, the type is no error, or no whole
 * IPv4 header is quoted. Whether the quote is of a packet of ours is the caller's to judge.
 */
export function readIcmpError(
  bytes: Uint8Array,
  offset: number,
  length: number,
  error: IcmpError,
): DropReason {
  const invalid = DROP['icmp-invalid'];
  if (checkOuterIpv4(bytes, offset, length) !== KEEP || protocol(bytes, offset) !== PROTOCOL_ICMP) {
    return invalid;
  }
  const icmpAt = offset + headerLen(bytes, offset);
  const icmpLen = totalLength(bytes, offset) - headerLen(bytes, offset);
  if (icmpLen < ICMP_HEADER_LEN + MIN_HEADER_LEN || checksum(bytes, icmpAt, icmpLen) !== 0) return invalid;
  const type = bytes[icmpAt]!;
  if (!isErrorType(type)) return invalid;
  const quoteAt = icmpAt + ICMP_HEADER_LEN;
  const quoteLen = quotedLength(bytes, icmpAt, icmpLen);
  const quotedHeaderLen = headerLen(bytes, quoteAt);
  const quotedTotal = totalLength(bytes, quoteAt);
  if (version(bytes, quoteAt) !== 4 || quotedHeaderLen < MIN_HEADER_LEN) return invalid;
  if (quotedHeaderLen > quoteLen || quotedHeaderLen > quotedTotal) return invalid;

  error.type = type;
  error.code = bytes[icmpAt + 1]!;
  error.mtu =
    type === ICMP_UNREACHABLE && error.code === FRAGMENTATION_NEEDED ? read16(bytes, icmpAt + 6) : 0;
  error.source = source(bytes, quoteAt);
  error.destination = destination(bytes, quoteAt);
  error.protocol = protocol(bytes, quoteAt);
  error.id = id(bytes, quoteAt);
  error.innerOffset = quoteAt + quotedHeaderLen;
  // What a fragment other than the first carries is no beginning of a packet.
  error.innerLen =
    fragmentOffset(bytes, quoteAt) === 0 ? Math.min(quoteLen, quotedTotal) - quotedHeaderLen : 0;
  return KEEP;
}

/** Bytes quoted: all that follows the ICMP header, or less where RFC 4884 extensions stand behind the quote. */
function quotedLength(bytes: Uint8Array, icmpAt: number, icmpLen: number): number {
  const there = icmpLen - ICMP_HEADER_LEN;
  const told = ((TYPES_WITH_LENGTH >>> bytes[icmpAt]!) & 1) === 0 ? 0 : bytes[icmpAt + 5]! * 4;
  return told === 0 ? there : Math.min(there, told);
}
