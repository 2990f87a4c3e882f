/**
 * How often the same thing was put back: three times within a minute, and whoever takes it away means it, so it is left
 * until it is well again by itself or an operator asks.
 */
const MOST = 3;
const WITHIN_MS = 60_000;

export class Attempts {
  /** What → when it was put back, ms. */
  readonly #times = new Map<string, number[]>();
  readonly #left = new Set<string>();

  /** Whether it is to be put back now, which then counts as done. `onLeave` is told once where it has become too often. */
  take(what: string, nowMs: number, onLeave: () => void): boolean {
    if (this.#left.has(what)) return false;
    const recent = (this.#times.get(what) ?? []).filter((time) => nowMs - time < WITHIN_MS);
    if (recent.length >= MOST) {
      this.#left.add(what);
      this.#times.delete(what);
      onLeave();
      return false;
    }
    this.#times.set(what, [...recent, nowMs]);
    return true;
  }

  /** What is not among `troubles` is well: if it was left, it is not any more. */
  settle(troubles: ReadonlySet<string>): void {
    for (const what of this.#left) if (!troubles.has(what)) this.#left.delete(what);
  }

  forget(): void {
    this.#times.clear();
    this.#left.clear();
  }
}
