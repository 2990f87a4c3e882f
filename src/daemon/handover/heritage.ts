/**
 * What one fand passes to the next, so that no packet is lost between the two: open files, which the next one has by
 * inheritance, and what stands in the memory of the first.
 *
 *   Heritage   at the next one's start, while the first one forwards: with it all is prepared
 *   Account    when the first one has stopped reading: what it had counted and learnt by then
 *
 * Both are JSON. The next fand may be of another version: PROTOCOL is another number wherever a meaning changes, also of
 * how a descriptor was set up (io/devices), and then the next one refuses.
 */
import type { IoProbe } from '../../dataplane/io-probe/client.js';
import type { Inherited } from '../../dataplane/ports/inherited.js';
import type { Blamed } from '../../dataplane/tables/counters.js';
import type { ByDirection, IoMode, Relays } from '../../dataplane/tables/fan-spec.js';
import type { KernelCounts } from '../../dataplane/workers/client.js';
import type { WorkerState } from '../../dataplane/workers/protocol.js';

export const PROTOCOL = 2;

export interface Heritage {
  readonly protocol: number;
  readonly version: string;
  /** Threads that forward, or will with the first fan: the devices of fans are made for so many. */
  readonly workers: number;
  /** Of the run directory: who has the open file has the lock. */
  readonly lock: number;
  /** Null where nothing is forwarded. */
  readonly estate: Estate | null;
}

export interface Estate {
  readonly workers: readonly Inherited[];
  /** By id, those that are up. */
  readonly fans: Readonly<Record<string, LentFan>>;
  readonly relays: Relays;
  /** What the kernel was found to be able to; null where nobody has asked. */
  readonly probe: IoProbe | null;
}

export interface LentFan {
  readonly mode: IoMode;
  /** As FanIo.notes. */
  readonly notes: readonly string[];
  /** Where the programs of the first fand count; they do until it ends. */
  readonly kernelCounters: ByDirection;
  /** Of a fan over VXLAN (io/devices/envelopes.ts): the programs of both fands write it. */
  readonly cookie: readonly number[] | null;
}

export interface Account {
  /** When the first of the workers stopped, ns by CLOCK_MONOTONIC; null where nothing is forwarded. */
  readonly pausedNs: string | null;
  readonly host: Counted;
  /** By id. */
  readonly fans: Readonly<Record<string, CountedFan>>;
  /** Of each worker. */
  readonly states: readonly WorkerState[];
  /** Lost by receivers that were closed since. */
  readonly earlierDrops: number;
  readonly guard: GuardTotals;
}

/** The counters of a block by their names, and who is blamed. */
export interface Counted {
  readonly counts: Readonly<Record<string, number>>;
  readonly blamed: readonly Blamed[];
}

export interface CountedFan extends Counted {
  /** Which block it was, by which `states` name it. */
  readonly block: number;
  /** Of programs that are gone. */
  readonly earlier: KernelCounts | null;
}

/** Of the guard's counters, by the fan's id and their name: what the kernel said last, and what came to them in all. */
export type GuardTotals = Readonly<Record<string, Readonly<Record<string, { last: number; total: number }>>>>;

/** `heritage` with `take` of each descriptor in place of it; −1 stays. */
export function withDescriptors(heritage: Heritage, take: (fd: number) => number): Heritage {
  const taken = (fd: number): number => (fd < 0 ? fd : take(fd));
  const { estate } = heritage;
  return {
    ...heritage,
    lock: taken(heritage.lock),
    estate: estate && {
      ...estate,
      workers: estate.workers.map((worker) => workerWith(worker, taken)),
      fans: mapped(estate.fans, (fan) => {
        const { encap, decap } = fan.kernelCounters;
        return { ...fan, kernelCounters: { encap: taken(encap), decap: taken(decap) } };
      }),
    },
  };
}

function workerWith({ raw, icmp, tuns, receivers }: Inherited, taken: (fd: number) => number): Inherited {
  return {
    raw: taken(raw),
    icmp: taken(icmp),
    tuns: mapped(tuns, ({ fd, writeFd, offloads }) => {
      const read = taken(fd);
      return { fd: read, writeFd: writeFd === fd ? read : taken(writeFd), offloads };
    }),
    receivers: mapped(receivers, taken),
  };
}

function mapped<T, U>(values: Readonly<Record<string, T>>, of: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, of(value)]));
}
