/** The lock of a run directory: one holder, whatever happens to the file, and nothing left when it ends. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runPaths } from '../../../src/control/protocol.js';
import { Locked, RunDir } from '../../../src/control/run-dir.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ufan-run-dir-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

it('is made, locked and marked with our pid', async () => {
  const paths = runPaths(join(dir, 'a', 'b'));
  const held = await RunDir.take(paths);
  expect(readFileSync(paths.pid, 'utf8')).toBe(`${process.pid}\n`);
  expect(held.isOurs).toBe(true);
  await expect(RunDir.take(paths)).rejects.toThrow(Locked);
  await expect(RunDir.take(paths)).rejects.toThrow(`another fand (pid ${process.pid}) runs on ${paths.dir}`);
  await held.release([], true);
  expect(existsSync(paths.dir)).toBe(false);
});

it('stays where something else has its files there', async () => {
  const held = await RunDir.take(runPaths(dir));
  await (await RunDir.take(runPaths(join(dir, 'other')))).release([], false);
  await held.release([], true);
  expect(readdirSync(dir)).toEqual(['other']);
});

it('is nobody else’s by a lock file that was removed', async () => {
  const paths = runPaths(dir);
  const held = await RunDir.take(paths);
  rmSync(paths.lock);
  expect(held.isOurs).toBe(false);
  const rival = await RunDir.take(paths);
  await expect(held.retake()).rejects.toThrow(Locked);
  await rival.release([], false);
  await held.retake();
  expect(held.isOurs).toBe(true);
  await expect(RunDir.take(paths)).rejects.toThrow(Locked);
});
