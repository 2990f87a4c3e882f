import { describe, expect, it } from 'vitest';
import { RateLimit } from '../../../../src/base/rate-limit.js';
import { PathMtuTable } from '../../../../src/dataplane/walks/path-mtu.js';

const PEER = 0xac1e001b;
const MINUTE = 60_000;

describe('path MTU', () => {
  it('is the link MTU until something smaller is learnt', () => {
    const table = new PathMtuTable();
    expect(table.lookup(PEER, 1500, 0)).toBe(1500);
    expect(table.smallest).toBe(Number.POSITIVE_INFINITY);
    expect(table.learn(PEER, 1400, 1500, 0)).toBe(true);
    expect(table.lookup(PEER, 1500, 0)).toBe(1400);
    expect(table.smallest).toBe(1400);
  });

  it('ignores 0, less than 68, and what the link carries anyway', () => {
    const table = new PathMtuTable();
    for (const mtu of [0, 67, 1500, 9000]) expect(table.learn(PEER, mtu, 1500, 0)).toBe(false);
    expect(table.size).toBe(0);
  });

  it('does not grow by an error, and is forgotten after ten minutes', () => {
    const table = new PathMtuTable();
    table.learn(PEER, 1300, 1500, 0);
    table.learn(PEER, 1400, 1500, MINUTE);
    expect(table.lookup(PEER, 1500, 2 * MINUTE)).toBe(1300);
    expect(table.lookup(PEER, 1500, 12 * MINUTE)).toBe(1500);
    expect(table.size).toBe(0);
    expect(table.smallest).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('rate limit', () => {
  it('lets a burst through, then the rate', () => {
    const limit = new RateLimit(10, 3);
    expect([1, 1, 1, 1].map((ms) => limit.take(ms))).toEqual([true, true, true, false]);
    expect(limit.take(50)).toBe(false);
    expect(limit.take(151)).toBe(true);
  });
});
