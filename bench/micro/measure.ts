/**
 * Time and allocation of a function, on a warm engine.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import Benchmark from 'benchmark';
import { median } from '../report/statistics.js';

const NS_PER_SECOND = 1e9;
/** Enough for the optimising compiler, which works in a thread of its own and may have to wait for a CPU. */
const WARM_UP_CALLS = 2000;
const WARM_UP_MS = 200;
const ALLOCATION_CALLS = 1000;
const ALLOCATION_ROUNDS = 9;

export interface Timing {
  /** Of one call. */
  ns: number;
  /** Relative margin of error, percent. */
  errorPercent: number;
}

/**
 * Time of a call, the median of samples taken for about `seconds`: a sample in which others had the CPU doesn't count.
 * Throws what the function throws.
 */
export function timeOf(call: () => unknown, seconds: number): Timing {
  const benchmark = new Benchmark(call, { maxTime: seconds, minSamples: 10 });
  benchmark.run();
  // @types/benchmark gives `error` no type.
  const error: unknown = benchmark.error;
  if (error) throw error;
  return { ns: median(benchmark.stats.sample) * NS_PER_SECOND, errorPercent: benchmark.stats.rme };
}

/** Bytes of heap that one call allocates, collected or not; buffers outside the heap are not seen. */
export function allocatedBy(call: () => unknown): number {
  warmUp(call);
  const collect = garbageCollector();
  const grown = Array.from({ length: ALLOCATION_ROUNDS }, () => {
    return heapGrowth(collect, call, ALLOCATION_CALLS) - heapGrowth(collect, () => {}, ALLOCATION_CALLS);
  });
  // A collection on the way makes a round's growth too small, a compiler at work makes it too large.
  const middle = grown.sort((a, b) => a - b)[ALLOCATION_ROUNDS >> 1]!;
  return Math.max(0, middle) / ALLOCATION_CALLS;
}

function warmUp(call: () => unknown): void {
  const end = performance.now() + WARM_UP_MS;
  do {
    for (let i = 0; i < WARM_UP_CALLS; i++) call();
  } while (performance.now() < end);
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
