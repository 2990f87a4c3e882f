import fc from 'fast-check';
import { expect, it } from 'vitest';
import { TimeOrder } from '../../../src/trace/time-order.js';

it('what several threads tell comes out in order, as soon as nothing older can come', () => {
  const threads = fc.array(fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 20 }), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(
    fc.property(threads, fc.integer({ min: 1, max: 30 }), (steps, markEvery) => {
      // Each thread's times rise; marks are at the least of what each has told.
      const order = new TimeOrder<number>();
      const told = steps.map(() => 0);
      const out: number[] = [];
      let given = 0;
      for (let turn = 0; turn < 20; turn++) {
        for (const [thread, gaps] of steps.entries()) {
          const gap = gaps[turn];
          if (gap === undefined) continue;
          told[thread]! += gap;
          order.add(BigInt(told[thread]!), told[thread]!);
          if (++given % markEvery === 0) out.push(...order.until(BigInt(Math.min(...told))));
        }
      }
      out.push(...order.rest());
      expect(out).toHaveLength(given);
      expect(out).toEqual([...out].sort((a, b) => a - b));
    }),
  );
});

it('of one time, as they came', () => {
  const order = new TimeOrder<string>();
  for (const [time, text] of [
    [5n, 'c'],
    [3n, 'a'],
    [5n, 'd'],
    [3n, 'b'],
  ] as const)
    order.add(time, text);
  expect(order.until(5n)).toEqual(['a', 'b']);
  expect(order.rest()).toEqual(['c', 'd']);
});
