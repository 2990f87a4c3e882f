/**
 * Slow references for src/wire: the checksum as one big number modulo 65,535, and reassembly of fragments byte by
 * byte. They share nothing with what they judge.
 */

/**
 * The Internet checksum: one's complement addition of 16-bit words is arithmetic modulo 2^16 − 1, and so is the
 * whole of the data read as one big-endian number. A sum of 0 only comes from data that is all zeros.
 */
export function slowChecksum(data: Uint8Array): number {
  const even = data.length % 2 === 0 ? data : Uint8Array.of(...data, 0);
  const hex = Buffer.from(even).toString('hex');
  const value = BigInt(`0x${hex || '0'}`);
  const sum = value === 0n ? 0n : value % 65535n || 65535n;
  return 65535 - Number(sum);
}

/** Payload of the datagram whose fragments are given (20-byte headers); throws where a byte is missing or doubled. */
export function reassemble(fragments: readonly Uint8Array[]): Uint8Array {
  const bytes = new Map<number, number>();
  let length = -1;
  for (const fragment of fragments) {
    const field = fragment[6]! * 256 + fragment[7]!;
    const start = (field % 8192) * 8;
    const end = start + fragment.length - 20;
    if (Math.floor(field / 8192) % 2 === 0) length = end;
    for (let at = start; at < end; at++) {
      if (bytes.has(at)) throw new Error(`byte ${at} comes twice`);
      bytes.set(at, fragment[20 + at - start]!);
    }
  }
  return Uint8Array.from({ length }, (_, at) => {
    const byte = bytes.get(at);
    if (byte === undefined) throw new Error(`byte ${at} is missing`);
    return byte;
  });
}
