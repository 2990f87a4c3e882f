/**
 * The counters of all workers: each has a copy of every block to itself, as an addition that two make at a time would
 * count once (counters.ts). Here they are summed for those who read.
 */
import type { DropReason } from '../../base/drop-reason.js';
import { type Blamed, COUNTER, COUNTER_NAMES, Counters, MAX_FANS } from '../tables/counters.js';

export class WorkerCounters {
  /** One a worker, in their order. */
  readonly copies: readonly Counters[];

  constructor(workers: number) {
    this.copies = Array.from({ length: workers }, () => new Counters());
  }

  /** Sets a counter that the kernel keeps for us, which no worker adds to. */
  setDrop(block: number, reason: DropReason, packets: number): void {
    this.copies[0]!.setDrop(block, reason, packets);
  }

  /** Every counter of a block by its name, zeros included. */
  read(block: number): Record<string, number> {
    const each = this.copies.map((copy) => copy.read(block));
    return Object.fromEntries(
      COUNTER_NAMES.map((name) => [name, each.reduce((sum, counters) => sum + counters[name]!, 0)]),
    );
  }

  /** The last sender for each reason that has had one, as Counters.blamed. */
  blamed(block: number): Blamed[] {
    const last = new Map<string, Blamed>();
    for (const blamed of this.copies.flatMap((copy) => copy.blamed(block))) {
      const known = last.get(blamed.reason);
      if (known === undefined || known.atMs < blamed.atMs) last.set(blamed.reason, blamed);
    }
    return [...last.values()];
  }

  /** Packets that a worker took in on either side, for any fan or none. */
  packets(worker: number): number {
    const copy = this.copies[worker]!;
    let sum = 0;
    for (let block = 0; block <= MAX_FANS; block++) {
      sum += copy.get(block, COUNTER['encap-rx-packets']) + copy.get(block, COUNTER['decap-rx-packets']);
    }
    return sum;
  }

  /** What others had counted, before any worker counts. */
  restore(block: number, counts: Readonly<Record<string, number>>, blamed: readonly Blamed[]): void {
    this.copies[0]!.restore(block, counts, blamed);
  }

  clear(block: number): void {
    for (const copy of this.copies) copy.clear(block);
  }
}
