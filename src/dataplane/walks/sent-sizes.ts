/**
 * How long the longest packet was that each peer was sent of late: what an ICMP error tells of a path is believed only
 * where it can be so (path-errors.ts). All workers write into the same table, as any of them may hear of what another
 * has sent; the first one ages it.
 *
 * A peer is found by the low 16 bits of its address, which name it alone in an underlay of a /16. Where two share a
 * place, either stands for both: an error about the one may then be believed that only the other could have caused.
 */

const PEERS = 1 << 16;
const LOW_BITS = PEERS - 1;
/** In front of the sizes: where those of now begin, an index of #sizes. */
const HEAD_BYTES = 4;
const BYTES = HEAD_BYTES + 2 * PEERS * Uint16Array.BYTES_PER_ELEMENT;

/** A size is remembered for at least so long, and at most twice. */
export const SENT_LATELY_MS = 10_000;

export class SentSizes {
  readonly shared: SharedArrayBuffer;
  /** Of now and of before, in turns. Bytes of the outer packet; 0: none. */
  readonly #sizes: Uint16Array;
  readonly #now: Int32Array;

  constructor(shared = new SharedArrayBuffer(BYTES)) {
    this.shared = shared;
    this.#now = new Int32Array(shared, 0, 1);
    this.#sizes = new Uint16Array(shared, HEAD_BYTES);
  }

  /** A packet of `bytes`, outer header included, was sent to `peer` (int32). */
  note(peer: number, bytes: number): void {
    const at = this.#now[0]! + (peer & LOW_BITS);
    if (bytes > this.#sizes[at]!) this.#sizes[at] = bytes;
  }

  /** Bytes of the longest outer packet that `peer` was sent of late; 0: none. */
  largest(peer: number): number {
    const at = peer & LOW_BITS;
    return Math.max(this.#sizes[at]!, this.#sizes[PEERS + at]!);
  }

  /** For one of those who share it, every SENT_LATELY_MS: what is older than that is forgotten. */
  age(): void {
    const next = this.#now[0]! ^ PEERS;
    this.#sizes.fill(0, next, next + PEERS);
    this.#now[0] = next;
  }
}
