/**
 * Rules of the old iptables (x_tables), of which the kernel says nothing: whether they are others than when they were looked
 * at last. Before the first look they count as none, so that a host without any has no change.
 */
import { createHash } from 'node:crypto';

/** Between two looks, at least. */
const LOOK_MS = 10_000;

export class LegacyWatch {
  readonly #list: () => Promise<string>;
  #atMs = 0;
  #known = digestOf('');

  /** `list` returns all rules as text; empty where there are none. */
  constructor(list: () => Promise<string>) {
    this.#list = list;
  }

  async hasChanged(nowMs: number): Promise<boolean> {
    if (nowMs < this.#atMs) return false;
    this.#atMs = nowMs + LOOK_MS;
    const before = this.#known;
    this.#known = digestOf(await this.#list());
    return this.#known !== before;
  }
}

function digestOf(text: string): string {
  return createHash('sha1').update(text).digest('hex');
}
