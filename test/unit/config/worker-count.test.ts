import { expect, it } from 'vitest';
import { defaultWorkers, parseWorkers } from '../../../src/config/worker-count.js';

it.each([
  [1, 1],
  [2, 1],
  [3, 1],
  [4, 2],
  [8, 4],
  [64, 4],
])('on %i CPUs there are %i workers where nobody says', (cpus, workers) => {
  expect(defaultWorkers(cpus)).toBe(workers);
});

it.each([1, 2, 16])('%i is a number of workers', (workers) => {
  expect(parseWorkers('--workers', `${workers}`)).toBe(workers);
});

it.each(['0', '17', '', 'two', '1.5', '-1', '1e1', ' 2', '0x2'])('"%s" is none', (text) => {
  expect(() => parseWorkers('UFAN_WORKERS', text)).toThrow(
    `UFAN_WORKERS: "${text}" is no number from 1 to 16`,
  );
});
