/** Numbers for people. */
import { describe, expect, it } from 'vitest';
import { drawSparkline, formatDuration, formatQuantity } from '../../../../src/cli/output/quantities.js';

describe('a quantity', () => {
  it.each([
    [0, '0'],
    [1, '1'],
    [0.04, '0.0'],
    [3.14, '3.1'],
    [42.4, '42'],
    [999.4, '999'],
    [999.6, '1.00k'],
    [1500, '1.50k'],
    [12_345, '12.3k'],
    [99_960, '100k'],
    [123_456, '123k'],
    [999_600, '1.00M'],
    [9_870_000_000, '9.87G'],
    [5e15, '5000T'],
  ])('%d is %s', (value, text) => {
    expect(formatQuantity(value)).toBe(text);
  });
});

describe('a duration', () => {
  it.each([
    [0, '00:00:00'],
    [59.9, '00:00:59'],
    [86_399, '23:59:59'],
    [3 * 86_400 + 4 * 3600 + 5 * 60 + 6, '3d 04:05:06'],
  ])('%d s is %s', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });
});

describe('a sparkline', () => {
  it.each([
    [[0, 1, 50, 100], 4, ' ..#'],
    [[0, 1, 50, 100], 2, '.#'],
    [[0, 0], 4, '    '],
    [[7], 3, '  #'],
    [[], 3, '   '],
    [[1, 2], 0, ''],
    [[1, 2], -5, ''],
  ])('of %j in %d characters', (values, width, text) => {
    expect(drawSparkline(values, width, ' .#')).toBe(text);
  });
});
