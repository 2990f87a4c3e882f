/**
 * The few statistics that short series on a shared machine bear.
 */

/** Of an odd or even number of values; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  const upper = sorted[half] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? Number.NaN) + upper) / 2;
}

/** (max − min) / median: how far the repeats lie apart. */
export function spread(values: readonly number[]): number {
  return (Math.max(...values) - Math.min(...values)) / median(values);
}

/**
 * Median of the ratios of each round: repeats take turns, so a slow spell of the machine hits both. Rounds that one of
 * the two lacks don't count; NaN when none is left.
 */
export function pairedRatio(values: readonly number[], base: readonly number[]): number {
  return median(pairs(values, base).map(([value, other]) => value / other));
}

/** As pairedRatio, of the differences. */
export function pairedDifference(values: readonly number[], base: readonly number[]): number {
  return median(pairs(values, base).map(([value, other]) => value - other));
}

function pairs(values: readonly number[], base: readonly number[]): [number, number][] {
  return values.slice(0, base.length).map((value, i) => [value, base[i]!]);
}
