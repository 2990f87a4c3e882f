/**
 * When a worker lets packets gather. Every packet that finds the worker asleep costs a wake-up at its sender's side
 * of the kernel, and a packet that is taken alone is merged with none: under load it is cheaper to sleep a moment and
 * take many. Sparse traffic is served at once, so that a request and its reply never wait.
 */
import { BATCH } from './ports.js';

/** At 1,480 bytes about 0.5 Gbit/s; a ping-pong makes fewer. */
const BUSY_PACKETS_A_MS = 40;
/** A few tens of packets at that rate; longer gained nothing and delays what shares the worker. */
const PAUSE_US = 150;

export class Pace {
  #busy = false;
  #sinceMs = 0;
  #packets = 0;

  /** How long to sleep, in µs, after a round of the poll loop that took `packets` from the underlay. */
  pauseUs(packets: number, nowMs: number): number {
    this.#packets += packets;
    const elapsedMs = nowMs - this.#sinceMs;
    if (elapsedMs >= 1) {
      this.#busy = this.#packets > BUSY_PACKETS_A_MS * elapsedMs;
      this.#packets = 0;
      this.#sinceMs = nowMs;
    }
    // After a full batch more is waiting already.
    return this.#busy && packets < BATCH ? PAUSE_US : 0;
  }
}
