/** How often each underlay host is answered: a token bucket each, for the hosts that were heard of last. */
import { RateLimit } from '../../base/rate-limit.js';

const PER_SECOND = 50;
const BURST = 200;
/** Hosts remembered; a newcomer takes the place of the one that came first, and finds a full bucket. */
const MOST_HOSTS = 1024;
/** All together: forged senders don't get more. */
const ALL_PER_SECOND = 500;
const ALL_BURST = 1000;

export class SenderLimits {
  readonly #hosts = new Map<number, RateLimit>();
  readonly #all = new RateLimit(ALL_PER_SECOND, ALL_BURST);

  /** Whether `host`, an underlay address, may be answered now. */
  take(host: number): boolean {
    const nowMs = performance.now();
    let limit = this.#hosts.get(host);
    if (!limit) {
      if (this.#hosts.size >= MOST_HOSTS) this.#hosts.delete(this.#hosts.keys().next().value!);
      limit = new RateLimit(PER_SECOND, BURST);
      this.#hosts.set(host, limit);
    }
    return limit.take(nowMs) && this.#all.take(nowMs);
  }
}
