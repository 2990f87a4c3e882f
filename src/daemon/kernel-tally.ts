/**
 * What programs in the kernel had sent on for a fan beside those of now: such as are gone, and those of the fand before us
 * while it leaves.
 */
import type { ByDirection } from '../dataplane/tables/fan-spec.js';
import type { KernelCounts } from '../dataplane/workers/client.js';
import { native } from '../io/native.js';

type Count = KernelCounts['encap'];
const NOTHING: Count = { packets: 0, bytes: 0 };

export class KernelTally {
  /** By the fan's id. */
  readonly #earlier = new Map<string, KernelCounts>();
  /** Where those of the fand before us count, by the fan's id. */
  #others: Readonly<Record<string, ByDirection>> = {};

  add(id: string, counts: KernelCounts): void {
    const { encap, decap } = this.#earlier.get(id) ?? { encap: NOTHING, decap: NOTHING };
    this.#earlier.set(id, { encap: sum(encap, counts.encap), decap: sum(decap, counts.decap) });
  }

  forget(id: string): void {
    this.#earlier.delete(id);
  }

  /** Of programs that are gone; undefined where there were none. */
  earlier(id: string): KernelCounts | undefined {
    return this.#earlier.get(id);
  }

  /** All of it. */
  read(id: string): KernelCounts[] {
    const others = this.#others[id];
    const earlier = this.#earlier.get(id);
    return [...(earlier ? [earlier] : []), ...(others ? [countsAt(others)] : [])];
  }

  /** Descriptors, for native.programCount, of the fand before us: ours to close. */
  watchOthers(others: Readonly<Record<string, ByDirection>>): void {
    this.#others = others;
  }

  /** It is gone, and its programs with it; `ids`: of the fans that there are. */
  settleOthers(ids: ReadonlySet<string>): void {
    for (const [id, fds] of Object.entries(this.#others)) {
      if (ids.has(id)) this.add(id, countsAt(fds));
      for (const fd of Object.values(fds)) if (fd >= 0) native.close(fd);
    }
    this.#others = {};
  }
}

function countsAt({ encap, decap }: ByDirection): KernelCounts {
  const countOf = (fd: number): Count => (fd < 0 ? NOTHING : native.programCount(fd));
  return { encap: countOf(encap), decap: countOf(decap) };
}

function sum(one: Count, other: Count): Count {
  return { packets: one.packets + other.packets, bytes: one.bytes + other.bytes };
}
