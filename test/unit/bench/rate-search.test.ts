/** The search for the highest rate at a bounded loss, on paths made of arithmetic. */
import { describe, expect, it } from 'vitest';
import { lossOf, searchRate, type Trial } from '../../../bench/workloads/rate-search.js';

const OPTIONS = { start: 1000, step: 2, maxLoss: 0.01, precision: 1.04, maxTrials: 40 };

/** A path that carries `capacity` packets a second, behind a generator that makes at most `generator`. */
function path(capacity: number, generator = Number.POSITIVE_INFINITY) {
  return async (asked: number): Promise<Trial> => {
    const sent = Math.min(asked, generator);
    return { asked, sent, delivered: Math.min(sent, capacity) };
  };
}

describe('searchRate', () => {
  it.each([1500, 77_777, 1_234_567])(
    'finds a capacity of %d, within precision and loss',
    async (capacity) => {
      const { best, generatorLimited } = await searchRate(path(capacity), OPTIONS);
      expect(best!.delivered).toBeGreaterThan(capacity / OPTIONS.precision);
      expect(best!.delivered).toBeLessThanOrEqual(capacity);
      expect(lossOf(best!)).toBeLessThanOrEqual(OPTIONS.maxLoss);
      expect(generatorLimited).toBe(false);
    },
  );

  it('goes down from a start that is too high', async () => {
    const { best } = await searchRate(path(9000), { ...OPTIONS, start: 1_000_000 });
    expect(best!.delivered).toBeGreaterThan(9000 / OPTIONS.precision);
  });

  it('takes few trials from a start close below', async () => {
    const { best, trials } = await searchRate(path(100_000), { ...OPTIONS, start: 85_000, step: 1.2 });
    expect(best!.delivered).toBeGreaterThan(100_000 / OPTIONS.precision);
    expect(trials.length).toBeLessThanOrEqual(8);
  });

  it('says when the generator was the limit, and what it made arrive', async () => {
    const { best, generatorLimited } = await searchRate(path(1e9, 300_000), OPTIONS);
    expect(best!.delivered).toBe(300_000);
    expect(generatorLimited).toBe(true);
  });

  it('asks for more where the generator fell short only once', async () => {
    let calls = 0;
    const carry = path(200_000);
    const hiccup = async (asked: number) =>
      ++calls === 2 ? { ...(await carry(asked * 0.7)), asked } : carry(asked);
    const { best } = await searchRate(hiccup, OPTIONS);
    expect(best!.delivered).toBeGreaterThan(200_000 / OPTIONS.precision);
  });

  it('tries a failing rate once more: one hiccup is no limit', async () => {
    let calls = 0;
    const carry = path(50_000);
    const lossy = async (asked: number) => {
      const trial = await carry(asked);
      return ++calls === 3 ? { ...trial, delivered: trial.delivered * 0.9 } : trial;
    };
    const { best } = await searchRate(lossy, OPTIONS);
    expect(best!.delivered).toBeGreaterThan(50_000 / OPTIONS.precision);
  });

  it('ends without a figure where every rate loses too much', async () => {
    const broken = async (asked: number) => ({ asked, sent: asked, delivered: asked / 2 });
    const { best, trials } = await searchRate(broken, OPTIONS);
    expect(best).toBeUndefined();
    expect(trials.length).toBeLessThan(OPTIONS.maxTrials);
  });

  it('never makes more trials than allowed', async () => {
    const { trials } = await searchRate(path(1e9), { ...OPTIONS, maxTrials: 5 });
    expect(trials.length).toBe(5);
  });
});

it('nothing sent is all lost', () => {
  expect(lossOf({ asked: 1, sent: 0, delivered: 0 })).toBe(1);
});
