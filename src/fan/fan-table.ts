/**
 * FanTable: from an overlay address to the fan that serves it, longest prefix first. Once per packet each way.
 *
 * One hash probe for each prefix length that is in use, longest first, in one open-addressed table that is never
 * more than a quarter full: the cost depends on how many lengths there are, not on how many fans. Immutable:
 * a change of fans makes a new table. It is all typed arrays of int32 so that a look-up allocates nothing.
 */
import { formatPrefix, maskOf, type Prefix } from '../addr/prefix.js';
import { FanError } from '../base/error.js';

const FEWEST_SLOTS = 16;

export class FanTable {
  /** Lengths in use, longest first, and their masks. */
  readonly #lengths: Int32Array;
  readonly #masks: Int32Array;
  /** Slot: base and length of an overlay, and its index in the entries, −1 where the slot is free. */
  readonly #bases: Int32Array;
  readonly #baseLengths: Int32Array;
  readonly #indices: Int32Array;
  /** 32 − log2(slots): the hash is the top bits of a product. */
  readonly #hashShift: number;

  /** Throws FanError already-configured where two entries have the same overlay. */
  constructor(entries: readonly { readonly overlay: Prefix }[]) {
    const lengths = [...new Set(entries.map((entry) => entry.overlay.length))].sort((a, b) => b - a);
    this.#lengths = Int32Array.from(lengths);
    this.#masks = Int32Array.from(lengths, maskOf);
    const bits = Math.ceil(Math.log2(Math.max(FEWEST_SLOTS, entries.length * 4)));
    this.#hashShift = 32 - bits;
    this.#bases = new Int32Array(1 << bits);
    this.#baseLengths = new Int32Array(1 << bits);
    this.#indices = new Int32Array(1 << bits).fill(-1);
    entries.forEach(({ overlay }, index) => {
      const slot = this.#slotOf(overlay.base | 0, overlay.length);
      if (this.#indices[slot] !== -1) {
        throw new FanError('already-configured', `overlay ${formatPrefix(overlay)} is configured twice`);
      }
      this.#bases[slot] = overlay.base;
      this.#baseLengths[slot] = overlay.length;
      this.#indices[slot] = index;
    });
  }

  /** Index (in the constructor's entries) of the longest overlay that holds `address` (u32 or int32), or −1. */
  lookup(address: number): number {
    for (let i = 0; i < this.#masks.length; i++) {
      const index = this.#indices[this.#slotOf(address & this.#masks[i]!, this.#lengths[i]!)]!;
      if (index >= 0) return index;
    }
    return -1;
  }

  /** The slot of that prefix, or the free one where it would go. `base` is an int32. */
  #slotOf(base: number, length: number): number {
    const last = this.#indices.length - 1;
    // 2^32 / golden ratio: spreads bases that differ only in their top octets (Knuth, TAOCP 3, §6.4).
    let slot = Math.imul(base ^ length, 0x9e3779b1) >>> this.#hashShift;
    while (this.#indices[slot] !== -1 && (this.#bases[slot] !== base || this.#baseLengths[slot] !== length)) {
      slot = (slot + 1) & last;
    }
    return slot;
  }
}
