/**
 * The header that nearly every packet has, five words and no options, judged and written a word at a time: both walks
 * try this first, and ask ipv4.ts, byte by byte, about what is not plain.
 *
 * `words` is the slab as int32 in the machine's byte order, `at` the index of the header's first word. Nothing here
 * allocates. RFC 791 §3.1, RFC 1071, RFC 2003 §3.1.
 */

const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

const HEADER_BYTES = 20;
/** Version 4, IHL 5. */
const VERSION_IHL = 0x45;
const PROTOCOL_IPIP = 4;
const DONT_FRAGMENT = 0x4000;
/** More fragments, and the fragment offset. */
const FRAGMENT = 0x3fff;

/** A word of the slab to host order, and back. */
function swap(word: number): number {
  if (!LITTLE_ENDIAN) return word;
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}

/** One's complement sum of five words, folded: 0xffff where the checksum among them is right, in any byte order. */
function foldedSum(a: number, b: number, c: number, d: number, e: number): number {
  const low = (a & 0xffff) + (b & 0xffff) + (c & 0xffff) + (d & 0xffff) + (e & 0xffff);
  const high = (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16) + (e >>> 16);
  const sum = low + high;
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}

/** Whether `first`, the first word in host order, is that of a plain header of a packet that is all there. */
function isFramed(first: number, available: number): boolean {
  const total = first & 0xffff;
  return first >>> 24 === VERSION_IHL && total >= HEADER_BYTES && total <= available;
}

/** Whether checkInnerIpv4 keeps the packet, and its header has 20 bytes. */
export function isPlainInner(words: Int32Array, at: number, available: number): boolean {
  if (available < HEADER_BYTES) return false;
  const first = words[at]!;
  const third = words[at + 2]!;
  const ttlProtocol = swap(third) >>> 16;
  return (
    isFramed(swap(first), available) &&
    foldedSum(first, words[at + 1]!, third, words[at + 3]!, words[at + 4]!) === 0xffff &&
    ttlProtocol > 0xff &&
    (ttlProtocol & 0xff) !== PROTOCOL_IPIP
  );
}

/** Whether checkOuterIpv4 keeps the packet, and its header has 20 bytes. */
export function isPlainOuter(words: Int32Array, at: number, available: number): boolean {
  if (available < HEADER_BYTES) return false;
  const first = words[at]!;
  const second = words[at + 1]!;
  return (
    isFramed(swap(first), available) &&
    foldedSum(first, second, words[at + 2]!, words[at + 3]!, words[at + 4]!) === 0xffff &&
    (swap(second) & FRAGMENT) === 0
  );
}

/** Bytes of header and payload. */
export function plainTotalLength(words: Int32Array, at: number): number {
  return swap(words[at]!) & 0xffff;
}

/** int32. */
export function plainSource(words: Int32Array, at: number): number {
  return swap(words[at + 3]!);
}

/** int32. */
export function plainDestination(words: Int32Array, at: number): number {
  return swap(words[at + 4]!);
}

/**
 * Writes an outer header with ID 0 and DF. `totalLen` counts the inner packet as well (u16), addresses are the int32 of
 * their bits in host order.
 */
export function writePlainOuter(
  words: Int32Array,
  at: number,
  totalLen: number,
  source: number,
  destination: number,
  tos: number,
  ttl: number,
): void {
  const first = (VERSION_IHL << 24) | (tos << 16) | totalLen;
  const third = (ttl << 24) | (PROTOCOL_IPIP << 16);
  const checksum = ~foldedSum(first, DONT_FRAGMENT, third, source, destination) & 0xffff;
  words[at] = swap(first);
  words[at + 1] = swap(DONT_FRAGMENT);
  words[at + 2] = swap(third | checksum);
  words[at + 3] = swap(source);
  words[at + 4] = swap(destination);
}
