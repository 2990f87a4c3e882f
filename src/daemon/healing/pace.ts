/**
 * When the host is examined. A change that the kernel tells of is waited for to settle, a moment only; on a host where
 * something changes all the time, examining takes no more than a small share of it; and where nothing is told, all is
 * looked at so seldom that it costs half a thousandth of a core: as much as listening does.
 */

/** Nothing more was told for so long, or this long has passed since the first. */
export const QUIET_MS = 100;
const LONGEST_MS = 500;
/** Of the time, for examinations; this much may be used at once. */
const SHARE = 0.05;
const MOST_MS = 10_000;
/** Between two thorough ones, at least, and as a multiple of what the last one took. */
const THOROUGH_MS = 300_000;
const THOROUGH_FACTOR = 2000;

export class Pace {
  #firstMs = Number.POSITIVE_INFINITY;
  #lastMs = 0;
  #budgetMs = MOST_MS;
  #refilledMs: number;
  #thoroughAtMs: number;

  constructor(nowMs: number) {
    this.#refilledMs = nowMs;
    this.#thoroughAtMs = nowMs + THOROUGH_MS;
  }

  /** Something has changed. */
  note(nowMs: number): void {
    this.#firstMs = Math.min(this.#firstMs, nowMs);
    this.#lastMs = nowMs;
  }

  /** Whether something has changed that was not looked at. */
  get isPending(): boolean {
    return this.#firstMs !== Number.POSITIVE_INFINITY;
  }

  /** What is to be done now. */
  due(nowMs: number): 'prompt' | 'thorough' | undefined {
    this.#budgetMs = Math.min(MOST_MS, this.#budgetMs + (nowMs - this.#refilledMs) * SHARE);
    this.#refilledMs = nowMs;
    if (this.#budgetMs <= 0) return undefined;
    if (nowMs >= this.#thoroughAtMs) return 'thorough';
    const isSettled = nowMs - this.#lastMs >= QUIET_MS || nowMs - this.#firstMs >= LONGEST_MS;
    return this.#firstMs <= nowMs && isSettled ? 'prompt' : undefined;
  }

  /** One begins: what is told from now on is for the next. */
  begin(): void {
    this.#firstMs = Number.POSITIVE_INFINITY;
  }

  /** It took `tookMs` of work. */
  end(kind: 'prompt' | 'thorough', tookMs: number, nowMs: number): void {
    this.#budgetMs -= tookMs;
    if (kind === 'thorough') this.#thoroughAtMs = nowMs + Math.max(THOROUGH_MS, THOROUGH_FACTOR * tookMs);
  }
}
