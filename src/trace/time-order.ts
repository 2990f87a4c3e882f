/**
 * Puts what comes from several threads, and of each in batches, into the order of time. A mark says that nothing of
 * before it is still to come (trace-lines.ts): what is older leaves, the rest waits for the next one.
 */

interface Timed<Item> {
  readonly timeNs: bigint;
  readonly item: Item;
}

export class TimeOrder<Item> {
  #waiting: Timed<Item>[] = [];

  add(timeNs: bigint, item: Item): void {
    this.#waiting.push({ timeNs, item });
  }

  /** All that is older than `markNs`, in order; of the same time as it came. */
  until(markNs: bigint): Item[] {
    const ready = this.#waiting.filter(({ timeNs }) => timeNs < markNs);
    this.#waiting = this.#waiting.filter(({ timeNs }) => timeNs >= markNs);
    return inOrder(ready);
  }

  /** What is left, when nothing more comes. */
  rest(): Item[] {
    const rest = this.#waiting;
    this.#waiting = [];
    return inOrder(rest);
  }
}

function inOrder<Item>(timed: Timed<Item>[]): Item[] {
  return timed.sort((a, b) => Number(a.timeNs - b.timeNs)).map(({ item }) => item);
}
