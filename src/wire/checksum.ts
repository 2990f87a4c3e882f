/**
 * The Internet checksum: whole (RFC 1071), incremental (RFC 1624), and the pseudo header of TCP and UDP
 * (RFC 9293 §3.1).
 *
 * Used by every header that is made or judged here. A "sum" is the one's complement sum of 16-bit words before
 * it is complemented, folded or not; a "checksum" is the complement, as the number to store big-endian. Nothing
 * here allocates. Sums stay below 2^32 for any IPv4 packet, so folding with >>> is exact.
 */

/** Sum of the big-endian words of bytes[offset, offset + length), an odd last byte padded with 0; not folded. */
export function sumWords(bytes: Uint8Array, offset: number, length: number): number {
  const evenEnd = offset + (length & ~1);
  let sum = 0;
  for (let i = offset; i < evenEnd; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!;
  return length & 1 ? sum + (bytes[evenEnd]! << 8) : sum;
}

/** Folds a sum (below 2^32) to 16 bits. */
export function foldSum(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}

/**
 * Checksum of bytes[offset, offset + length), which must lie in the array; `initial` is a sum to go on from, such
 * as pseudoHeaderSum. Over data that holds its own checksum the result is 0 when that is right (RFC 1071 §1).
 */
export function checksum(bytes: Uint8Array, offset: number, length: number, initial = 0): number {
  return ~foldSum(sumWords(bytes, offset, length) + initial) & 0xffff;
}

/** Checksum after one 16-bit word of the data changed: HC' = ~(~HC + ~m + m'), RFC 1624 §3 eqn. 3. */
export function updateChecksum(old: number, oldWord: number, newWord: number): number {
  return ~foldSum((~old & 0xffff) + (~oldWord & 0xffff) + newWord) & 0xffff;
}

/** Sum of the IPv4 pseudo header. Addresses are u32, `length` is the bytes of transport header and data. */
export function pseudoHeaderSum(
  source: number,
  destination: number,
  protocol: number,
  length: number,
): number {
  return (
    (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff) + protocol + length
  );
}
