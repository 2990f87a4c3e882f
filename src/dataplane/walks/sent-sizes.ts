/**
 * How long the longest packet was that each peer was sent of late, and by which UDP ports of ours: what an ICMP error tells of a path is believed only
 * where it can be so (path-errors.ts). All workers write into the same table, as any of them may hear of what another
 * has sent; the first one ages it.
 *
 * A peer is found by the low 16 bits of its address, which name it alone in an underlay of a /16. Where two share a
 * place, either stands for both: an error about the one may then be believed that only the other could have caused.
 */

import type { PacketBatch } from '../../io/packet-batch.js';

const PEERS = 1 << 16;
const LOW_BITS = PEERS - 1;
/** In front of the sizes: where those of now begin, an index of #sizes. */
const HEAD_BYTES = 4;
const PORTS_AT = HEAD_BYTES + 2 * PEERS * Uint16Array.BYTES_PER_ELEMENT;
const UDP_PORTS = 1 << 16;
const BYTES = PORTS_AT + UDP_PORTS * Uint16Array.BYTES_PER_ELEMENT;

/** A size is remembered for at least so long, and at most twice. */
export const SENT_LATELY_MS = 10_000;

export class SentSizes {
  readonly shared: SharedArrayBuffer;
  /** Of now and of before, in turns. Bytes of the outer packet; 0: none. */
  readonly #sizes: Uint16Array;
  readonly #now: Int32Array;
  /** By port: how many sockets send from it, each at an address of its own. */
  readonly #ports: Uint16Array;

  constructor(shared = new SharedArrayBuffer(BYTES)) {
    this.shared = shared;
    this.#now = new Int32Array(shared, 0, 1);
    this.#sizes = new Uint16Array(shared, HEAD_BYTES, 2 * PEERS);
    this.#ports = new Uint16Array(shared, PORTS_AT);
  }

  /** A packet of `bytes`, outer header included, was sent to `peer` (int32). */
  note(peer: number, bytes: number): void {
    const at = this.#now[0]! + (peer & LOW_BITS);
    if (bytes > this.#sizes[at]!) this.#sizes[at] = bytes;
  }

  /**
   * Notes a batch, with `more` bytes a packet that the kernel adds: before it is sent, as an error about one of its
   * packets may come while it still is.
   */
  noteBatch(tx: PacketBatch, more: number): void {
    for (let i = 0; i < tx.count; i++) {
      const longest = tx.tag(i) > 1 ? tx.headerLen(i) + tx.gsoSize(i) : tx.length(i);
      this.note(tx.address(i), longest + more);
    }
  }

  /** One of those who share it sends by these UDP ports, and by those of `before` no more. */
  replacePorts(before: readonly number[], now: readonly number[]): void {
    for (const port of now) Atomics.add(this.#ports, port, 1);
    for (const port of before) Atomics.sub(this.#ports, port, 1);
  }

  isSentFrom(port: number): boolean {
    return this.#ports[port] !== 0;
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
