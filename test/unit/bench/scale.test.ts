/** Which pairs of a large lab are tried. */
import { describe, expect, it } from 'vitest';
import { samplePairs } from '../../../bench/scale.js';

describe('samplePairs', () => {
  it.each([2, 3, 8, 32, 64])('of %d hosts are pairs of different ones, each once', (hosts) => {
    const pairs = samplePairs(hosts, 24);
    expect(pairs.length).toBe(Math.min(24, hosts * (hosts - 1)));
    for (const pair of pairs) {
      expect(pair[0]).not.toBe(pair[1]);
      for (const index of pair) expect(index).toBeGreaterThanOrEqual(1);
      for (const index of pair) expect(index).toBeLessThanOrEqual(hosts);
    }
    expect(new Set(pairs.map(String)).size).toBe(pairs.length);
  });

  it('of many hosts reach most of them', () => {
    expect(new Set(samplePairs(64, 24).flat()).size).toBeGreaterThan(30);
  });
});
