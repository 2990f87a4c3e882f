/**
 * Where decap gives up a packet for the network address of our slice, this takes out those that are probes of a peer's
 * `fanctl probe` (wire/probe.ts) and hands them to the main thread. They count under no counter; what passes the rate
 * limit is dropped and counted as it would be without.
 */

import { SenderLimits } from '../../base/sender-limits.js';
import { isProbe, LEAST_PROBE_LEN } from '../../wire/probe.js';
import type { FanEntry } from '../tables/forwarding-table.js';

/** Of one peer, and of all: forged senders leave the others theirs. */
const RATES = { perSecond: 100, burst: 200, allPerSecond: 2000, allBurst: 2000 };

/** `sender` is the underlay host, int32; `packet` the first LEAST_PROBE_LEN bytes of the inner packet. */
export type OnProbe = (fan: string, sender: number, packet: Uint8Array) => void;

export class ProbeTap {
  readonly #onProbe: OnProbe;
  readonly #limits = new SenderLimits(RATES);

  constructor(onProbe: OnProbe) {
    this.#onProbe = onProbe;
  }

  /** Whether the inner packet at `inner`, which every check but the last has passed, was a probe and is taken. */
  take(fan: FanEntry, bytes: Uint8Array, inner: number, sender: number, destination: number): boolean {
    if (destination !== fan.sliceBase || !isProbe(bytes, inner)) return false;
    if (!this.#limits.take(sender, performance.now())) return false;
    this.#onProbe(fan.id, sender, bytes.slice(inner, inner + LEAST_PROBE_LEN));
    return true;
  }
}
