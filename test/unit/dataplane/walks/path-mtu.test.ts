import { describe, expect, it, vi } from 'vitest';
import { RateLimit } from '../../../../src/base/rate-limit.js';
import { PathMtuTable } from '../../../../src/dataplane/walks/path-mtu.js';
import { SentSizes } from '../../../../src/dataplane/walks/sent-sizes.js';

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

  it('ignores what the link carries anyway', () => {
    const table = new PathMtuTable();
    for (const mtu of [1500, 9000]) expect(table.learn(PEER, mtu, 1500, 0)).toBe(false);
    expect(table.size).toBe(0);
  });

  it('does not grow by an error, nor live longer by one, and is forgotten after ten minutes', () => {
    const table = new PathMtuTable();
    table.learn(PEER, 1300, 1500, 0);
    expect(table.learn(PEER, 1400, 1500, MINUTE)).toBe(true);
    expect(table.learn(PEER, 1300, 1500, 9 * MINUTE)).toBe(true);
    expect(table.lookup(PEER, 1500, 2 * MINUTE)).toBe(1300);
    expect(table.lookup(PEER, 1500, 10 * MINUTE)).toBe(1500);
  });

  it('the smallest ends by itself, with nobody sending', () => {
    const table = new PathMtuTable();
    table.learn(PEER, 1300, 1500, 0);
    table.learn(PEER + 1, 1400, 1500, MINUTE);
    table.learn(PEER + 2, 1350, 1500, 2 * MINUTE);
    table.learn(PEER, 1200, 1500, 3 * MINUTE);
    expect(table.smallest).toBe(1200);
    table.expire(11 * MINUTE);
    expect([table.size, table.smallest]).toEqual([2, 1200]);
    table.expire(13 * MINUTE);
    expect([table.size, table.smallest]).toEqual([0, Number.POSITIVE_INFINITY]);
  });

  it('is bounded: whoever was learnt first makes room', () => {
    const table = new PathMtuTable();
    for (let i = 0; i < 70_000; i++) table.learn(PEER + i, 1300, 1500, i);
    expect(table.size).toBe(65_535);
    expect([table.lookup(PEER, 1500, 70_000), table.lookup(PEER + 69_999, 1500, 70_000)]).toEqual([
      1500, 1300,
    ]);
  });

  it('65,534 peers learn anew without looking at each other', () => {
    const table = new PathMtuTable();
    const learn = (nowMs: number) => {
      for (let i = 0; i < 65_534; i++) table.learn(PEER + i, 600 + (i % 800), 1500, nowMs);
    };
    learn(0);
    const steps = vi.spyOn(Object.getPrototypeOf(new Map().entries()) as { next(): unknown }, 'next');
    learn(11 * MINUTE);
    for (let i = 0; i < 65_534; i++) table.lookup(PEER + i, 1500, 22 * MINUTE);
    table.expire(22 * MINUTE);
    const { length } = steps.mock.calls;
    steps.mockRestore();
    expect(table.size).toBe(0);
    expect(length).toBeLessThan(4 * 65_534);
  });
});

describe('ports sent from', () => {
  it('are known to all who share them, until nobody sends from them', () => {
    const sizes = new SentSizes();
    const others = new SentSizes(sizes.shared);
    const known = () => [1, 40_000, 65_535].filter((port) => sizes.isSentFrom(port));
    others.replacePorts([], [40_000, 65_535]);
    sizes.replacePorts([], [40_000]);
    expect(known()).toEqual([40_000, 65_535]);
    others.replacePorts([40_000, 65_535], [65_535]);
    expect(known()).toEqual([40_000, 65_535]);
    sizes.replacePorts([40_000], []);
    expect(known()).toEqual([65_535]);
  });

  it('are no sizes', () => {
    const sizes = new SentSizes();
    sizes.replacePorts([], [0, 65_535]);
    sizes.age();
    sizes.age();
    expect([sizes.largest(0), sizes.largest(-1), sizes.isSentFrom(65_535)]).toEqual([0, 0, true]);
  });
});

describe('sizes sent', () => {
  it('are known for one time and the next', () => {
    const sizes = new SentSizes();
    const others = new SentSizes(sizes.shared);
    sizes.note(PEER | 0, 1500);
    sizes.note(PEER | 0, 100);
    expect(others.largest(PEER | 0)).toBe(1500);
    others.age();
    sizes.note(PEER | 0, 200);
    expect(sizes.largest(PEER | 0)).toBe(1500);
    others.age();
    expect([sizes.largest(PEER | 0), sizes.largest((PEER + 1) | 0)]).toEqual([200, 0]);
    others.age();
    expect(sizes.largest(PEER | 0)).toBe(0);
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
