/**
 * A device that receives through a bad wire: packets are lost, doubled, damaged and swapped, in a way that a seed
 * repeats. For tests; it stands in front of any other device.
 */

import { PacketBatch } from '../packet-batch.js';
import type { RxDevice } from './device.js';

/** Probabilities from 0 to 1, each drawn for each packet. */
export interface Faults {
  drop?: number;
  duplicate?: number;
  /** One bit of the packet is turned over. */
  corrupt?: number;
  /** The packet is held back until the next one has passed. */
  reorder?: number;
}

/** Numbers in [0, 1) that follow from the seed (a 32-bit Weyl sequence through a multiply-xorshift mixer). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}

export class FaultInjector implements RxDevice {
  readonly #device: RxDevice;
  readonly #faults: Required<Faults>;
  readonly #random: () => number;
  /** What the device gave and we have not passed on. */
  readonly #source: PacketBatch;
  #next = 0;
  readonly #held = PacketBatch.create(1, 1 << 17);

  constructor(device: RxDevice, faults: Faults, seed: number) {
    this.#device = device;
    this.#faults = { drop: 0, duplicate: 0, corrupt: 0, reorder: 0, ...faults };
    this.#random = seededRandom(seed);
    this.#source = PacketBatch.create(64, 64 * ((1 << 16) + (1 << 12)));
  }

  get fd(): number {
    return this.#device.fd;
  }

  /** As the device's, but that `batch` may end up empty although packets came, and a call may leave some for the next. */
  receive(batch: PacketBatch): number {
    batch.count = 0;
    if (this.#next === this.#source.count) {
      this.#next = 0;
      this.#device.receive(this.#source);
    }
    while (this.#next < this.#source.count && this.#pass(batch)) this.#next++;
    return batch.count;
  }

  /** Gives the packet whose turn it is to `batch`, or to nobody; false when the batch has no room for all of it. */
  #pass(batch: PacketBatch): boolean {
    if (batch.count + 3 > batch.capacity && batch.count > 0) return false;
    const { drop, duplicate, corrupt, reorder } = this.#faults;
    if (this.#random() < drop) return true;
    if (this.#random() < corrupt) this.#turnBit();
    if (this.#held.count === 0 && this.#random() < reorder)
      return this.#held.appendCopy(this.#source, this.#next);
    if (!batch.appendCopy(this.#source, this.#next)) return false;
    if (this.#random() < duplicate) batch.appendCopy(this.#source, this.#next);
    if (this.#held.count === 1) {
      batch.appendCopy(this.#held, 0);
      this.#held.count = 0;
    }
    return true;
  }

  #turnBit(): void {
    const bit = Math.floor(this.#random() * this.#source.length(this.#next) * 8);
    const at = this.#source.offset(this.#next) + (bit >> 3);
    this.#source.slab[at] = this.#source.slab[at]! ^ (1 << (bit & 7));
  }
}
