/**
 * Who comes first where more is asked for than may be copied: flows that send little before those that send much, so
 * that a ping beside bulk is seen whole, and of the bulk an even sample. Each flow has a small rate of its own, within
 * which it is modest; beyond that it gets what the modest ones leave (session.ts). Where there are so many flows that
 * even their own rates are too much together, these fall, for all of them, until they are not.
 *
 * Flows share slots by their hash, in two rows: modest is who is so in either, so that a flow that meets a greedy one
 * in one row has the other.
 */
import {
  destinationBits,
  headerLen,
  isFragment,
  MIN_HEADER_LEN,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  protocol,
  read32,
  sourceBits,
} from '../../wire/ipv4.js';

/** Of a row; a power of 2. */
const SLOTS = 1024;
const PORTS_LEN = 4;
/** Of the whole rate, a flow's own at most; its burst is a quarter of a second's, but of a few packets at least. */
const LARGEST_PART = 1 / 16;
const LEAST_PER_SECOND = 1;
const LEAST_BURST = 4;
/** How often the flows' rate is thought over, and what it is multiplied with. */
const ADAPT_MS = 10;
const FALL = 1 / 2;
const RISE = 1.1;
/** Where less is left than this, of what there is at most, the flows' rate falls; where more than that, it rises. */
const SCARCE = 1 / 4;
const AMPLE = 0.45;

export class FairShare {
  readonly #mostPerSecond: number;
  #perSecond: number;
  #adaptedMs = 0;
  #nowMs = 0;
  readonly #tokens = new Float64Array(2 * SLOTS);
  readonly #refilledMs = new Float64Array(2 * SLOTS).fill(Number.NEGATIVE_INFINITY);
  /** Another one each time: who shares a slot is chance, not the sender's choice. */
  readonly #seed = (Math.random() * 2 ** 32) | 0;
  /** Slots of the flow that was looked at last. */
  #first = 0;
  #second = SLOTS;

  /** `recordsPerSecond`: of all flows together. */
  constructor(recordsPerSecond: number) {
    this.#mostPerSecond = Math.max(LEAST_PER_SECOND, recordsPerSecond * LARGEST_PART);
    this.#perSecond = this.#mostPerSecond;
  }

  /** Once a batch. `left`: of what may be copied at once, how much may still be, 0 to 1. */
  adapt(left: number, nowMs: number): void {
    this.#nowMs = nowMs;
    if (nowMs - this.#adaptedMs < ADAPT_MS) return;
    this.#adaptedMs = nowMs;
    if (left < SCARCE) this.#perSecond = Math.max(LEAST_PER_SECOND, this.#perSecond * FALL);
    else if (left > AMPLE) this.#perSecond = Math.min(this.#mostPerSecond, this.#perSecond * RISE);
  }

  /** Whether the flow of the packet whose IPv4 header is at `off` has sent little of late. */
  isModest(bytes: Uint8Array, off: number, len: number): boolean {
    const hash = flowHash(bytes, off, len, this.#seed);
    this.#first = hash & (SLOTS - 1);
    this.#second = SLOTS + ((hash >>> 16) & (SLOTS - 1));
    this.#refill(this.#first);
    this.#refill(this.#second);
    return this.#tokens[this.#first]! >= 1 || this.#tokens[this.#second]! >= 1;
  }

  /** The packet that isModest looked at last is copied. */
  charge(): void {
    for (const slot of [this.#first, this.#second]) {
      if (this.#tokens[slot]! >= 1) this.#tokens[slot]! -= 1;
    }
  }

  #refill(slot: number): void {
    const burst = Math.max(LEAST_BURST, this.#perSecond / 4);
    const gained = ((this.#nowMs - this.#refilledMs[slot]!) / 1000) * this.#perSecond;
    this.#refilledMs[slot] = this.#nowMs;
    this.#tokens[slot] = Math.min(burst, this.#tokens[slot]! + gained);
  }
}

/** Of what all packets of a flow in one direction have in common; fragments are by themselves, having no ports. */
function flowHash(bytes: Uint8Array, off: number, len: number, seed: number): number {
  if (len < MIN_HEADER_LEN) return seed;
  let hash = mix(mix(mix(seed, sourceBits(bytes, off)), destinationBits(bytes, off)), protocol(bytes, off));
  const proto = protocol(bytes, off);
  const header = headerLen(bytes, off);
  const hasPorts = (proto === PROTOCOL_TCP || proto === PROTOCOL_UDP) && !isFragment(bytes, off);
  if (hasPorts && len >= header + PORTS_LEN) hash = mix(hash, read32(bytes, off + header));
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return hash ^ (hash >>> 13);
}

function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}
