/** Median, spread and what compares two series round by round. */
import { describe, expect, it } from 'vitest';
import { median, pairedDifference, pairedRatio, spread } from '../../../bench/report/statistics.js';

describe('median', () => {
  it.each([
    [[3, 1, 2], 2],
    [[4, 1, 3, 2], 2.5],
    [[7], 7],
  ])('of %j is %d', (values, middle) => {
    expect(median(values)).toBe(middle);
  });

  it('of nothing is no number', () => {
    expect(median([])).toBeNaN();
  });
});

it('spread is the range over the median', () => {
  expect(spread([8, 10, 12])).toBeCloseTo(0.4);
});

describe('pairs of rounds', () => {
  it('give the median of each round, not of each series: a slow round hits both', () => {
    expect(pairedRatio([5, 1, 5], [10, 2, 5])).toBe(0.5);
    expect(pairedDifference([30, 90, 31], [20, 80, 20])).toBe(10);
  });

  it('leave out rounds that one of them lacks', () => {
    expect(pairedRatio([1, 2, 3], [2])).toBe(0.5);
    expect(pairedDifference([5], [1, 2, 3])).toBe(4);
    expect(pairedRatio([1], [])).toBeNaN();
  });
});
