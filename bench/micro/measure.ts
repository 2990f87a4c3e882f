/**
 * Time and allocation of a function, on a warm engine.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import Benchmark from 'benchmark';

const NS_PER_SECOND = 1e9;
/** Enough for the optimising compiler. */
const WARM_UP_CALLS = 2000;
const ALLOCATION_CALLS = 1000;
const ALLOCATION_ROUNDS = 9;

export interface Timing {
  /** Of one call. */
  ns: number;
  /** Relative margin of error, percent. */
  errorPercent: number;
}

/** Mean time of a call, sampled for about `seconds`. Throws what the function throws. */
export function timeOf(call: () => unknown, seconds: number): Timing {
  const benchmark = new Benchmark(call, { maxTime: seconds, minSamples: 10 });
  benchmark.run();
  // @types/benchmark gives `error` no type.
  const error: unknown = benchmark.error;
  if (error) throw error;
  return { ns: benchmark.stats.mean * NS_PER_SECOND, errorPercent: benchmark.stats.rme };
}

/** Bytes of heap that one call allocates, collected or not; buffers outside the heap are not seen. */
export function allocatedBy(call: () => unknown): number {
  for (let i = 0; i < WARM_UP_CALLS; i++) call();
  const collect = garbageCollector();
  const grown = Array.from({ length: ALLOCATION_ROUNDS }, () => {
    return heapGrowth(collect, call, ALLOCATION_CALLS) - heapGrowth(collect, () => {}, ALLOCATION_CALLS);
  });
  // A collection on the way makes a round's growth too small, a compiler at work makes it too large.
  const middle = grown.sort((a, b) => a - b)[ALLOCATION_ROUNDS >> 1]!;
  return Math.max(0, middle) / ALLOCATION_CALLS;
}

function heapGrowth(collect: () => void, call: () => unknown, calls: number): number {
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < calls; i++) call();
  return process.memoryUsage().heapUsed - before;
}

/** The engine's own, without a flag on the command line. */
function garbageCollector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}
