/**
 * The header that nearly every packet has, five words and no options, judged and written a word at a time: both walks
 * try this first, and ask ipv4.ts, byte by byte, about what is not plain.
 *
 * Words and addresses are the int32 of their bits in host order, as DataView.getInt32 reads them: one instruction each,
 * and none of them is read twice. Nothing here allocates. RFC 791 §3.1, RFC 1071, RFC 2003 §3.1.
 */

/** Bytes of a plain header. */
export const PLAIN_LEN = 20;
// The compiler folds a constant that isn't exported; an exported one is read again for each packet.
const LEN = PLAIN_LEN;
/** Version 4, IHL 5. */
const VERSION_IHL = 0x45;
const PROTOCOL_IPIP = 4;
const DONT_FRAGMENT = 0x4000;
/** More fragments, and the fragment offset. */
const FRAGMENT = 0x3fff;

/**
 * One's complement sum of five words, folded once: 0xffff where the checksum among them is right, at most 0x14605.
 * `a` is a first word, with 0x45 in front: it stays whole, as the halves of the others fit above it. Of those, what is
 * taken off the sum moves the upper half down to the lower.
 */
const foldedSum = (a: number, b: number, c: number, d: number, e: number): number => {
  const high = (b >>> 16) + (c >>> 16) + (d >>> 16) + (e >>> 16);
  const sum = (a + b + c + d + e - high * 0xffff) | 0;
  return (sum & 0xffff) + (sum >>> 16);
};

/** Whether checkInnerIpv4 keeps the packet with these five words, of which `available` bytes are there: at least 20. */
export function isPlainInner(
  first: number,
  second: number,
  third: number,
  source: number,
  destination: number,
  available: number,
): boolean {
  return (
    first >>> 24 === VERSION_IHL &&
    (first & 0xffff) >= LEN &&
    (first & 0xffff) <= available &&
    foldedSum(first, second, third, source, destination) === 0xffff &&
    third >>> 24 !== 0 &&
    ((third >>> 16) & 0xff) !== PROTOCOL_IPIP
  );
}

/** The same for checkOuterIpv4. */
export function isPlainOuter(
  first: number,
  second: number,
  third: number,
  source: number,
  destination: number,
  available: number,
): boolean {
  return (
    first >>> 24 === VERSION_IHL &&
    (first & 0xffff) >= LEN &&
    (first & 0xffff) <= available &&
    foldedSum(first, second, third, source, destination) === 0xffff &&
    (second & FRAGMENT) === 0
  );
}

/** Writes an outer header with ID 0 and DF at offset `at` of `view`. `totalLen` counts the inner packet as well (u16). */
export function writePlainOuter(
  view: DataView,
  at: number,
  totalLen: number,
  source: number,
  destination: number,
  tos: number,
  ttl: number,
): void {
  const first = (VERSION_IHL << 24) | (tos << 16) | totalLen;
  const third = (ttl << 24) | (PROTOCOL_IPIP << 16);
  const sum = foldedSum(first, DONT_FRAGMENT, third, source, destination);
  view.setInt32(at, first);
  view.setInt32(at + 4, DONT_FRAGMENT);
  view.setInt32(at + 8, third | (~(sum + (sum >>> 16)) & 0xffff));
  view.setInt32(at + 12, source);
  view.setInt32(at + 16, destination);
}
