/** ICMP echo (RFC 792) as whole packets, for probes: the request that we send, and the reply to it. */
import { checksum } from './checksum.js';
import {
  checkOuterIpv4,
  emitIpv4,
  headerLen,
  MIN_HEADER_LEN,
  PLAIN_HEADER,
  PROTOCOL_ICMP,
  protocol,
  read16,
  source,
  totalLength,
  write16,
} from './ipv4.js';

const ECHO_REQUEST = 8;
const ECHO_REPLY = 0;
const ECHO_HEADER_LEN = 8;
/** As ping(8) sends unless told. */
const PAYLOAD_LEN = 56;

export interface Echo {
  /** u32 */
  readonly source: number;
  /** u32 */
  readonly destination: number;
  /** u16, of the one who asks. */
  readonly id: number;
  /** u16 */
  readonly sequence: number;
}

/** A request with DF and 56 bytes of zeros. */
export function encodeEcho({ source, destination, id, sequence }: Echo): Uint8Array {
  const bytes = new Uint8Array(MIN_HEADER_LEN + ECHO_HEADER_LEN + PAYLOAD_LEN);
  emitIpv4(bytes, 0, {
    ...PLAIN_HEADER,
    totalLength: bytes.length,
    dontFragment: true,
    protocol: PROTOCOL_ICMP,
    source,
    destination,
  });
  bytes[MIN_HEADER_LEN] = ECHO_REQUEST;
  write16(bytes, MIN_HEADER_LEN + 4, id);
  write16(bytes, MIN_HEADER_LEN + 6, sequence);
  write16(bytes, MIN_HEADER_LEN + 2, checksum(bytes, MIN_HEADER_LEN, ECHO_HEADER_LEN + PAYLOAD_LEN));
  return bytes;
}

/** The echo reply that `bytes` are, IPv4 header first, or undefined. */
export function readEchoReply(
  bytes: Uint8Array,
): { source: number; id: number; sequence: number } | undefined {
  if (checkOuterIpv4(bytes, 0, bytes.length) !== 0 || protocol(bytes, 0) !== PROTOCOL_ICMP) return undefined;
  const at = headerLen(bytes, 0);
  const length = totalLength(bytes, 0) - at;
  if (length < ECHO_HEADER_LEN || bytes[at] !== ECHO_REPLY || checksum(bytes, at, length) !== 0)
    return undefined;
  return { source: source(bytes, 0), id: read16(bytes, at + 4), sequence: read16(bytes, at + 6) };
}
