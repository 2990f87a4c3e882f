import { describe, expect, it } from 'vitest';
import { SenderLimits } from '../../../src/base/sender-limits.js';

const RATES = { perSecond: 50, burst: 200, allPerSecond: 500, allBurst: 1000 };

describe('sender limits', () => {
  it('give each sender a rate, and all of them one', () => {
    const limits = new SenderLimits(RATES);
    const taken = (sender: number, nowMs: number) =>
      Array.from({ length: 400 }, () => limits.take(sender, nowMs)).filter(Boolean).length;
    expect([1, 1, 2, 3, 4, 5, 6].map((sender) => taken(sender, 1))).toEqual([200, 0, 200, 200, 200, 200, 0]);
    expect([taken(1, 1001), taken(6, 1001)]).toEqual([50, 50]);
  });

  it('do not let one sender use up what is there for all', () => {
    const limits = new SenderLimits(RATES);
    for (let i = 0; i < 100_000; i++) limits.take(1, 1);
    expect(limits.take(2, 1)).toBe(true);
  });
});
