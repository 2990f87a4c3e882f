/** What was found of late, for a few seconds: a name that is asked for often is asked of another host seldom. */
import type { Outcome } from './message.js';

/** ms. A container that has just come is not missed for long. */
const FOUND_FOR = 5000;
const NOTHING_FOR = 2000;
const MOST = 1024;

export class Memory {
  readonly #entries = new Map<string, { readonly outcome: Outcome; readonly untilMs: number }>();

  get(key: string, nowMs: number): Outcome | undefined {
    const entry = this.#entries.get(key);
    return entry && entry.untilMs > nowMs ? entry.outcome : undefined;
  }

  /** Of what nobody said, nothing is kept. */
  set(key: string, outcome: Outcome, nowMs: number): void {
    this.#entries.delete(key);
    if (outcome === 'unknown') return;
    this.#entries.set(key, { outcome, untilMs: nowMs + (outcome === 'nothing' ? NOTHING_FOR : FOUND_FOR) });
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > MOST && oldest !== undefined) this.#entries.delete(oldest);
  }
}
