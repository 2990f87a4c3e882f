import { expect, it } from 'vitest';
import { ChecksumTally } from '../../../src/daemon/checksum-tally.js';

it('drops that the fand before has counted are not counted again', () => {
  let wrong = 10;
  const next = new ChecksumTally(() => wrong);
  // Until the one before pauses, which tells 3 of earlier and these.
  wrong += 2;
  next.restore(3 + 2);
  expect(next.read(true)).toBe(5);
  wrong += 1;
  expect(next.read(true)).toBe(6);
});

it('what was dropped while none of it was ours is left out', () => {
  let wrong = 10;
  const tally = new ChecksumTally(() => wrong);
  wrong += 2;
  expect(tally.read(false)).toBe(0);
  wrong += 1;
  expect(tally.read(true)).toBe(1);
});
