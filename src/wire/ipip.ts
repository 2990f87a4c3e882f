/**
 * IP in IP (RFC 2003): the outer header that encap writes in front of an inner packet, the cutting of an outer
 * datagram into fragments (RFC 791 §3.2), and the one byte of the inner header that decap may change.
 *
 * All of it works in place on a slab and allocates nothing. What is decided (addresses, TOS, TTL, whether to
 * fragment) is decided by the dataplane.
 */
import { updateChecksum } from './checksum.js';
import {
  CHECKSUM,
  DONT_FRAGMENT,
  headerChecksum,
  MIN_HEADER_LEN,
  MORE_FRAGMENTS,
  PROTOCOL_IPIP,
  read16,
  destination as readDestination,
  source as readSource,
  tos as readTos,
  ttl as readTtl,
  TOS,
  write16,
} from './ipv4.js';

/** Bytes that encap adds: our outer header has no options. */
export const OUTER_LEN = MIN_HEADER_LEN;

/** Smallest MTU that fragmentOuter cuts for, RFC 791 §3.2. */
export const MIN_MTU = 68;

/** Fragments start at multiples of this in the slab, as received packets do. */
const ALIGNMENT = 4;

/**
 * Writes the 20 bytes of an outer header at `offset`; the inner packet stands behind it.
 * `totalLen` counts both (up to 65,535), addresses are u32 in host order, `id` is a u16.
 */
export function writeOuter(
  bytes: Uint8Array,
  offset: number,
  totalLen: number,
  source: number,
  destination: number,
  tos: number,
  ttl: number,
  id: number,
  dontFragment: boolean,
): void {
  writeHeader(bytes, offset, totalLen, source, destination, tos, ttl, id, dontFragment ? DONT_FRAGMENT : 0);
}

/** As writeOuter, with the whole flags and fragment word. Sums the arguments instead of reading them back. */
function writeHeader(
  bytes: Uint8Array,
  offset: number,
  totalLen: number,
  source: number,
  destination: number,
  tos: number,
  ttl: number,
  id: number,
  flags: number,
): void {
  const sum =
    (0x4500 | tos) +
    totalLen +
    id +
    flags +
    ((ttl << 8) | PROTOCOL_IPIP) +
    (source >>> 16) +
    (source & 0xffff) +
    (destination >>> 16) +
    (destination & 0xffff);
  const once = (sum & 0xffff) + (sum >>> 16);
  const check = ~(once + (once >>> 16));
  bytes[offset] = 0x45;
  bytes[offset + 1] = tos;
  bytes[offset + 2] = totalLen >>> 8;
  bytes[offset + 3] = totalLen;
  bytes[offset + 4] = id >>> 8;
  bytes[offset + 5] = id;
  bytes[offset + 6] = flags >>> 8;
  bytes[offset + 7] = flags;
  bytes[offset + 8] = ttl;
  bytes[offset + 9] = PROTOCOL_IPIP;
  bytes[offset + 10] = check >>> 8;
  bytes[offset + 11] = check;
  bytes[offset + 12] = source >>> 24;
  bytes[offset + 13] = source >>> 16;
  bytes[offset + 14] = source >>> 8;
  bytes[offset + 15] = source;
  bytes[offset + 16] = destination >>> 24;
  bytes[offset + 17] = destination >>> 16;
  bytes[offset + 18] = destination >>> 8;
  bytes[offset + 19] = destination;
}

/** Payload bytes of each fragment but the last: the most that fits `mtu`, a multiple of 8. */
function fragmentPayload(mtu: number): number {
  return (mtu - OUTER_LEN) & ~7;
}

/** How many fragments fragmentOuter makes of `totalLen` bytes. `mtu` is at least MIN_MTU. */
export function fragmentCount(totalLen: number, mtu: number): number {
  return Math.ceil((totalLen - OUTER_LEN) / fragmentPayload(mtu));
}

/** Bytes from one fragment's start to the next one's. */
function fragmentStride(mtu: number, headroom: number): number {
  const bytes = headroom + OUTER_LEN + fragmentPayload(mtu);
  return (bytes + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
}

/** Bytes of slab that fragmentOuter fills at most, `headroom` in front of each fragment included. */
export function fragmentArea(totalLen: number, mtu: number, headroom: number): number {
  return fragmentCount(totalLen, mtu) * fragmentStride(mtu, headroom);
}

/**
 * Cuts the datagram at `offset` (an outer header of 20 bytes and what follows, `totalLen` in all) into fragments of
 * at most `mtu` bytes, copied to `area` (a multiple of 4) in the same slab with `headroom` (a multiple of 4) free
 * bytes before each. Header fields are copied, DF is cleared, all carry `id` (not 0). `ranges` receives offset and
 * length of each, in order. Returns the count, or 0 with nothing written where MTU, area or ranges are too small.
 * The datagram itself must lie outside the area.
 */
export function fragmentOuter(
  slab: Uint8Array,
  offset: number,
  totalLen: number,
  mtu: number,
  id: number,
  area: number,
  headroom: number,
  ranges: Uint32Array,
): number {
  if (mtu < MIN_MTU) return 0;
  const count = fragmentCount(totalLen, mtu);
  if (count * 2 > ranges.length || area + fragmentArea(totalLen, mtu, headroom) > slab.length) return 0;
  const source = readSource(slab, offset);
  const destination = readDestination(slab, offset);
  const tos = readTos(slab, offset);
  const ttl = readTtl(slab, offset);
  const step = fragmentPayload(mtu);
  const end = totalLen - OUTER_LEN;
  let target = area + headroom;
  for (let i = 0, from = 0; i < count; i++, from += step) {
    const payload = Math.min(step, end - from);
    const flags = (from >> 3) | (i < count - 1 ? MORE_FRAGMENTS : 0);
    writeHeader(slab, target, OUTER_LEN + payload, source, destination, tos, ttl, id, flags);
    const first = offset + OUTER_LEN + from;
    slab.copyWithin(target + OUTER_LEN, first, first + payload);
    ranges[i * 2] = target;
    ranges[i * 2 + 1] = OUTER_LEN + payload;
    target += fragmentStride(mtu, headroom);
  }
  return count;
}

/** Sets the TOS of the header at `offset` (decap: what decapEcn gave) and keeps its checksum right. */
export function applyTos(bytes: Uint8Array, offset: number, newTos: number): void {
  const oldWord = read16(bytes, offset);
  const newWord = (oldWord & 0xff00) | newTos;
  if (newWord === oldWord) return;
  bytes[offset + TOS] = newTos;
  write16(bytes, offset + CHECKSUM, updateChecksum(headerChecksum(bytes, offset), oldWord, newWord));
}
