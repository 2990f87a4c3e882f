/** A rate for each sender, and one for all of them: a token bucket each, for those that were heard of last. */
import { RateLimit } from './rate-limit.js';

export interface SenderRates {
  /** Of each one. */
  readonly perSecond: number;
  readonly burst: number;
  /** Of all together: forged senders don't get more. */
  readonly allPerSecond: number;
  readonly allBurst: number;
}

/** Remembered; a newcomer takes the place of the one that came first, and finds a full bucket. */
const MOST_SENDERS = 1024;

export class SenderLimits {
  readonly #rates: SenderRates;
  readonly #senders = new Map<number, RateLimit>();
  readonly #all: RateLimit;

  constructor(rates: SenderRates) {
    this.#rates = rates;
    this.#all = new RateLimit(rates.allPerSecond, rates.allBurst);
  }

  /** Whether something may be done now for `sender`, an address. */
  take(sender: number, nowMs: number): boolean {
    return this.takeOwn(sender, nowMs) && this.#all.take(nowMs);
  }

  /** The same by the sender's own rate alone. */
  takeOwn(sender: number, nowMs: number): boolean {
    let limit = this.#senders.get(sender);
    if (!limit) {
      if (this.#senders.size >= MOST_SENDERS) this.#senders.delete(this.#senders.keys().next().value!);
      limit = new RateLimit(this.#rates.perSecond, this.#rates.burst);
      this.#senders.set(sender, limit);
    }
    return limit.take(nowMs);
  }
}
