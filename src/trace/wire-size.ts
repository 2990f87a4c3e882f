/**
 * What offloads leave undone, done on a copy: partial transport checksums completed, and super-packets cut into the
 * packets that are on the wire. For captures, where speed is nothing; the packet path leaves both to native/segment.c
 * or the kernel, and tests hold the two against each other.
 */
import { checksum, foldSum, pseudoHeaderSum, sumWords } from '../wire/checksum.js';
import {
  CHECKSUM,
  destination,
  headerLen,
  ID,
  id,
  isFragment,
  MIN_HEADER_LEN,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  protocol,
  read16,
  read32,
  source,
  TOTAL_LENGTH,
  version,
  write16,
  write32,
} from '../wire/ipv4.js';
import { UDP_CHECKSUM, UDP_HEADER_LEN, UDP_LENGTH } from '../wire/udp.js';

const TCP_HEADER_LEN = 20;
const TCP_SEQUENCE = 4;
const TCP_DATA_OFFSET = 12;
const TCP_FLAGS = 13;
const TCP_CHECKSUM = 16;
const FIN_PSH = 0x09;
const CWR = 0x80;

/** The TCP or UDP packet whose IPv4 header is at `ipAt`. */
export interface Transport {
  tcp: boolean;
  /** Where its header, its checksum field, its payload begin, and where the packet ends. */
  at: number;
  checksumAt: number;
  payloadAt: number;
  end: number;
}

/** Undefined where there is no whole TCP or UDP header, or only a fragment of the datagram. `end`: of what is there. */
export function findTransport(bytes: Uint8Array, ipAt: number, end: number): Transport | undefined {
  if (end - ipAt < MIN_HEADER_LEN || version(bytes, ipAt) !== 4 || isFragment(bytes, ipAt)) return undefined;
  const at = ipAt + headerLen(bytes, ipAt);
  const tcp = protocol(bytes, ipAt) === PROTOCOL_TCP;
  if (!tcp && protocol(bytes, ipAt) !== PROTOCOL_UDP) return undefined;
  if (at < ipAt + MIN_HEADER_LEN || at + (tcp ? TCP_HEADER_LEN : UDP_HEADER_LEN) > end) return undefined;
  const payloadAt = at + (tcp ? (bytes[at + TCP_DATA_OFFSET]! >> 4) << 2 : UDP_HEADER_LEN);
  if (payloadAt > end || (tcp && payloadAt < at + TCP_HEADER_LEN)) return undefined;
  return { tcp, at, checksumAt: at + (tcp ? TCP_CHECKSUM : UDP_CHECKSUM), payloadAt, end };
}

/**
 * Completes a checksum that holds only the pseudo header's sum. `known`: the kernel said that it is partial; else it is
 * taken for so where it is exactly that sum and not right already. A wrong one is left as it is: it is evidence.
 */
export function completeChecksum(bytes: Uint8Array, ipAt: number, end: number, known: boolean): void {
  const transport = findTransport(bytes, ipAt, end);
  if (transport === undefined) return;
  const field = read16(bytes, transport.checksumAt);
  if (!known && field === 0 && !transport.tcp) return;
  const pseudo = pseudoOf(bytes, ipAt, transport);
  if (!known) {
    const isPartial = field === foldSum(pseudo);
    if (!isPartial || checksum(bytes, transport.at, end - transport.at, pseudo) === 0) return;
  }
  writeChecksum(bytes, ipAt, transport);
}

/**
 * Cuts the packet in `bytes`, whose IPv4 header with the payload of interest is at `ipAt` (an Ethernet header may stand
 * before it, or an outer one, of VXLAN too), into packets with `size` bytes of payload each. Of a packet of `length` bytes `bytes` may be the beginning:
 * each packet then has its headers and of the payload what is there. Undefined where it can't be cut.
 */
export function cutToWireSize(
  bytes: Uint8Array,
  ipAt: number,
  size: number,
  length = bytes.length,
): Uint8Array[] | undefined {
  const found = findTransport(bytes, ipAt, bytes.length);
  if (found === undefined || size < 1 || found.payloadAt >= length) return undefined;
  const transport = { ...found, end: length };
  const packets: Uint8Array[] = [];
  for (let from = transport.payloadAt; from < transport.end; from += size) {
    const to = Math.min(from + size, transport.end);
    packets.push(segment(bytes, ipAt, transport, from, to, packets.length));
  }
  return packets;
}

/** The packet with bytes [from, to) of the payload, the `index`th. */
function segment(
  bytes: Uint8Array,
  ipAt: number,
  whole: Transport,
  from: number,
  to: number,
  index: number,
): Uint8Array {
  const payload = bytes.subarray(Math.min(from, bytes.length), to);
  const length = whole.payloadAt + to - from;
  const packet = new Uint8Array(whole.payloadAt + payload.length);
  packet.set(bytes.subarray(0, whole.payloadAt));
  packet.set(payload, whole.payloadAt);
  writeOuterLengths(packet, ipAt, length);
  write16(packet, ipAt + ID, id(bytes, ipAt) + index);
  writeLength(packet, ipAt, length - ipAt);
  const { at, tcp } = whole;
  if (tcp) {
    write32(packet, at + TCP_SEQUENCE, (read32(bytes, at + TCP_SEQUENCE) + from - whole.payloadAt) >>> 0);
    // FIN and PSH belong to the last byte, CWR to the first segment only (RFC 3168 §6.1.2).
    const kept = (to === whole.end ? 0xff : ~FIN_PSH) & (index === 0 ? 0xff : ~CWR);
    packet[at + TCP_FLAGS] = packet[at + TCP_FLAGS]! & kept;
  } else write16(packet, at + UDP_LENGTH, length - at);
  if (packet.length === length) writeChecksum(packet, ipAt, { ...whole, end: length });
  return packet;
}

/** Of the headers before the one at `ipAt`: none, Ethernet's, which has no length, IPv4's, or that and UDP's. */
function writeOuterLengths(packet: Uint8Array, ipAt: number, length: number): void {
  if (ipAt < MIN_HEADER_LEN) return;
  writeLength(packet, 0, length);
  const udp = headerLen(packet, 0);
  if (protocol(packet, 0) === PROTOCOL_UDP) write16(packet, udp + UDP_LENGTH, length - udp);
}

/** Total length and checksum of the IPv4 header at `ipAt`. */
function writeLength(bytes: Uint8Array, ipAt: number, length: number): void {
  write16(bytes, ipAt + TOTAL_LENGTH, length);
  write16(bytes, ipAt + CHECKSUM, 0);
  write16(bytes, ipAt + CHECKSUM, checksum(bytes, ipAt, headerLen(bytes, ipAt)));
}

function pseudoOf(bytes: Uint8Array, ipAt: number, { at, end }: Transport): number {
  return pseudoHeaderSum(source(bytes, ipAt), destination(bytes, ipAt), protocol(bytes, ipAt), end - at);
}

/** 0 of UDP means "none", so it is sent as 0xffff (RFC 768). */
function writeChecksum(bytes: Uint8Array, ipAt: number, transport: Transport): void {
  const { at, end, checksumAt, tcp } = transport;
  write16(bytes, checksumAt, 0);
  const sum = ~foldSum(sumWords(bytes, at, end - at) + pseudoOf(bytes, ipAt, transport)) & 0xffff;
  write16(bytes, checksumAt, sum === 0 && !tcp ? 0xffff : sum);
}
