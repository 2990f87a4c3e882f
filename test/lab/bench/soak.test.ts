/** `npm run soak` in its shortest form: each fault once, under traffic of which nothing is lost and nothing changes. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { listLabs } from '../../../bench/lab/cleanup.js';
import { RunningCommand, run } from '../../../bench/lab/command.js';
import { REPOSITORY } from '../../../bench/lab/repository.js';
import { FAULTS } from '../../../bench/soak/faults.js';
import { early, hasFailed, late, leaks, type Row } from '../../../bench/soak/report.js';

const SOAK = join(REPOSITORY, 'dist/bench/soak/soak.js');

it('meets every fault once and loses nothing', async () => {
  const soak = new RunningCommand([process.execPath, SOAK, '0']);
  const { stdout } = await soak.finish({ timeoutMs: 110_000 });
  for (const { name } of FAULTS) {
    expect(stdout).toMatch(new RegExp(`^${name} +1 +\\d{6,} +0 +0 +\\d+ ms$`, 'm'));
  }
  expect(stdout).toMatch(/^fand of host 2: RSS .* → .*, descriptors \d+ → \d+, threads \d+ → \d+: well$/m);
  expect([...listLabs().values()]).not.toContain(soak.pid);
});

it('fails where a connection broke, a byte changed, or nothing was compared', () => {
  const good: Row = { fault: 'x', times: 1, bytes: 9, mismatched: 0, lost: 0, longestGapMs: 5 };
  expect(hasFailed([good])).toBe(false);
  for (const bad of [{ lost: 1 }, { mismatched: 1 }, { bytes: 0 }]) {
    expect(hasFailed([good, { ...good, ...bad }])).toBe(true);
  }
});

it('fails where fand holds more than before', () => {
  const before = { rssBytes: 100e6, openFiles: 40, threads: 12 };
  expect(leaks(before, { ...before, rssBytes: 104e6 })).toEqual([]);
  expect(leaks(before, { rssBytes: 106e6, openFiles: 41, threads: 11 })).toEqual([
    'RSS grew by 6.0 %',
    'descriptors differ',
    'threads differ',
  ]);
});

it('compares the first rounds with the last ones', () => {
  const uses = [200, 100, 101, 99, 150, 100, 140, 141, 90, 142].map((rssBytes) => {
    return { rssBytes, openFiles: 40, threads: 12 };
  });
  expect([early(uses).rssBytes, late(uses).rssBytes]).toEqual([100, 141]);
  expect([early(uses.slice(0, 1)).rssBytes, late(uses.slice(0, 1)).rssBytes]).toEqual([200, 200]);
});

it('says what it does not understand', async () => {
  await expect(run([process.execPath, SOAK, 'long'])).rejects.toThrow(/minutes as a number/);
});
