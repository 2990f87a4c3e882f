/**
 * The packet that `fanctl probe` sends through a fan, as inner packet: UDP from a host's gateway to the network address
 * of the peer's slice, which no container can have. The peer's decap takes it out where it would drop it
 * (destination-outside-slice), so that what arrived has passed every other check, in any I/O mode and before any
 * firewall of the peer.
 *
 *   IPv4 (DF), UDP 8326 → 8326 | "UFAN" | version 1 | kind | sequence, 16 bits | nonce, 8 bytes | zeros
 */
import { PROBE_PORT } from '../base/probe-port.js';
import { checksum, pseudoHeaderSum } from './checksum.js';
import {
  destination,
  emitIpv4,
  headerLen,
  isFragment,
  MIN_HEADER_LEN,
  PLAIN_HEADER,
  PROTOCOL_UDP,
  protocol,
  read16,
  read32,
  source,
  totalLength,
  write16,
  write32,
} from './ipv4.js';
import { UDP_HEADER_LEN } from './udp.js';

/** "UFAN" */
const MAGIC = 0x5546414e;
const VERSION = 1;
const KINDS = ['probe', 'reply'] as const;
const NONCE_LEN = 8;
/** Bytes of a probe without zeros behind it. */
export const LEAST_PROBE_LEN = MIN_HEADER_LEN + UDP_HEADER_LEN + 8 + NONCE_LEN;
/** As probes have it: 16 hexadecimal digits. */
export const NONCE = /^[0-9a-f]{16}$/;

export interface Probe {
  /** A reply is never replied to. */
  readonly kind: (typeof KINDS)[number];
  /** Gateway of the sender, u32. */
  readonly source: number;
  /** Network address of the receiver's slice, u32. */
  readonly destination: number;
  /** u16 */
  readonly sequence: number;
  /** Of the whole exchange: NONCE. */
  readonly nonce: string;
  /** Bytes of the packet, IPv4 header included; at least LEAST_PROBE_LEN. */
  readonly length: number;
}

export function encodeProbe(probe: Probe): Uint8Array {
  const bytes = new Uint8Array(probe.length);
  const udpLen = probe.length - MIN_HEADER_LEN;
  emitIpv4(bytes, 0, {
    ...PLAIN_HEADER,
    totalLength: probe.length,
    dontFragment: true,
    protocol: PROTOCOL_UDP,
    source: probe.source,
    destination: probe.destination,
  });
  write16(bytes, 20, PROBE_PORT);
  write16(bytes, 22, PROBE_PORT);
  write16(bytes, 24, udpLen);
  write32(bytes, 28, MAGIC);
  bytes[32] = VERSION;
  bytes[33] = KINDS.indexOf(probe.kind);
  write16(bytes, 34, probe.sequence);
  for (let i = 0; i < NONCE_LEN; i++) {
    bytes[36 + i] = Number.parseInt(probe.nonce.slice(2 * i, 2 * i + 2), 16);
  }
  const sum = pseudoHeaderSum(probe.source, probe.destination, PROTOCOL_UDP, udpLen);
  // 0 would mean "no checksum" (RFC 768).
  write16(bytes, 26, checksum(bytes, MIN_HEADER_LEN, udpLen, sum) || 0xffff);
  return bytes;
}

/** Whether the inner packet at `offset`, which has passed checkInnerIpv4, is a probe. Allocates nothing. */
export function isProbe(bytes: Uint8Array, offset: number): boolean {
  if (protocol(bytes, offset) !== PROTOCOL_UDP || headerLen(bytes, offset) !== MIN_HEADER_LEN) return false;
  if (totalLength(bytes, offset) < LEAST_PROBE_LEN || isFragment(bytes, offset)) return false;
  return (
    read16(bytes, offset + 22) === PROBE_PORT &&
    read32(bytes, offset + 28) === MAGIC &&
    bytes[offset + 32] === VERSION &&
    bytes[offset + 33]! < KINDS.length
  );
}

/** A packet that isProbe accepts, of which its first LEAST_PROBE_LEN bytes are enough. */
export function decodeProbe(bytes: Uint8Array, offset: number): Probe {
  const nonce = Array.from(bytes.subarray(offset + 36, offset + 36 + NONCE_LEN));
  return {
    kind: KINDS[bytes[offset + 33]!]!,
    source: source(bytes, offset),
    destination: destination(bytes, offset),
    sequence: read16(bytes, offset + 34),
    nonce: nonce.map((byte) => byte.toString(16).padStart(2, '0')).join(''),
    length: totalLength(bytes, offset),
  };
}
