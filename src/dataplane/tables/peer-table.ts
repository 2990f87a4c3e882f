/**
 * What each underlay host was sent and sent us, for those who look (`fanctl top`): no decision rests on it.
 *
 * Open addressing over flat arrays, so that a packet costs a hash and, nearly always, one comparison. The table is
 * bounded; where somebody scans the overlay it fills with hosts that aren't there, and is then begun anew.
 */

/** A power of two. */
const SLOTS = 16_384;
/** Beyond it the table is begun anew. A quarter of the slots, so that few peers share a hash. */
export const MAX_PEERS = SLOTS / 4;
// The compiler folds a constant that isn't exported; an exported one is read again.
const MOST = MAX_PEERS;
/** 2^32 over the golden ratio: spreads neighbouring addresses (Knuth, TAOCP 3, §6.4). */
const SPREAD = 0x9e3779b1;
const SHIFT = 32 - Math.log2(SLOTS);

/** Of a peer in #counts. */
const TX = 0;
const RX = 2;
const FIELDS = 4;

/** Packets as on the wire, bytes of inner packets, since the peer was first seen. */
export interface PeerCounts {
  /** The counter block of its fan. */
  block: number;
  /** Underlay address, u32. */
  address: number;
  txPackets: number;
  txBytes: number;
  rxPackets: number;
  rxBytes: number;
}

export class PeerTable {
  /** By hash: the number of a peer, from 1 on. 0 marks a free slot. */
  readonly #numbers = new Uint16Array(SLOTS);
  // By number, so that the peers there are lie side by side.
  readonly #addresses = new Int32Array(MOST + 1);
  readonly #blocks = new Uint16Array(MOST + 1);
  readonly #counts = new Float64Array((MOST + 1) * FIELDS);
  #size = 0;

  /** Counts what was sent to `address` (int32) for the fan of `block`. */
  sent(block: number, address: number, packets: number, bytes: number): void {
    this.#add(this.#numberOf(block, address) * FIELDS + TX, packets, bytes);
  }

  /** Counts what came from `address` (int32) and was accepted. */
  received(block: number, address: number, packets: number, bytes: number): void {
    this.#add(this.#numberOf(block, address) * FIELDS + RX, packets, bytes);
  }

  /** Every peer seen since the last clear(). Allocates. */
  read(): PeerCounts[] {
    const peers: PeerCounts[] = [];
    for (let peer = 1; peer <= this.#size; peer++) {
      const at = peer * FIELDS;
      peers.push({
        block: this.#blocks[peer]!,
        address: this.#addresses[peer]! >>> 0,
        txPackets: this.#counts[at + TX]!,
        txBytes: this.#counts[at + TX + 1]!,
        rxPackets: this.#counts[at + RX]!,
        rxBytes: this.#counts[at + RX + 1]!,
      });
    }
    return peers;
  }

  /** What another table had counted. */
  add(peers: readonly PeerCounts[]): void {
    for (const { block, address, txPackets, txBytes, rxPackets, rxBytes } of peers) {
      this.sent(block, address | 0, txPackets, txBytes);
      this.received(block, address | 0, rxPackets, rxBytes);
    }
  }

  clear(): void {
    this.#numbers.fill(0);
    this.#counts.fill(0);
    this.#size = 0;
  }

  #add(at: number, packets: number, bytes: number): void {
    const counts = this.#counts;
    counts[at] = counts[at]! + packets;
    counts[at + 1] = counts[at + 1]! + bytes;
  }

  #numberOf(block: number, address: number): number {
    const first = Math.imul(address ^ (block << 16), SPREAD) >>> SHIFT;
    for (let slot = first; ; slot = (slot + 1) & (SLOTS - 1)) {
      const peer = this.#numbers[slot]!;
      if (peer === 0) return this.#take(slot, block, address);
      if (this.#addresses[peer] === address && this.#blocks[peer] === block) return peer;
    }
  }

  #take(slot: number, block: number, address: number): number {
    if (this.#size === MOST) {
      this.clear();
      return this.#numberOf(block, address);
    }
    const peer = ++this.#size;
    this.#numbers[slot] = peer;
    this.#addresses[peer] = address;
    this.#blocks[peer] = block;
    return peer;
  }
}
