/** The addon in several workers of one process, and torn down again; no descriptor is left behind. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, expect, test } from 'vitest';
import { native } from '../../src/io/native.js';
import { Poller } from '../../src/io/poller.js';

const addon = join(import.meta.dirname, '../../native/build/Release/ufan.node');
const directory = mkdtempSync(join(tmpdir(), 'ufan-native-'));
afterAll(() => rmSync(directory, { recursive: true }));

/** Opens and uses what a worker does, then ends, one in two by being terminated. */
const WORKER = `
  const { parentPort, workerData } = require('node:worker_threads');
  const native = require(workerData.addon);
  const poller = native.pollerOpen();
  native.pollerAdd(poller, workerData.wakeFd, 7);
  const slab = new Uint8Array(1 << 20);
  for (let i = 0; i < 1000; i++) native.checksum(slab, i, 5000);
  const ready = new Int32Array(4);
  parentPort.postMessage('waiting');
  const count = native.pollerWait(poller, ready, 10000);
  native.close(poller);
  parentPort.postMessage([count, ready[0]]);
  if (workerData.linger) setInterval(() => {}, 1000);
`;

function openFds(): number {
  return readdirSync('/proc/self/fd').length;
}

async function runWorker(linger: boolean): Promise<unknown> {
  const wakeFd = native.eventOpen();
  const worker = new Worker(WORKER, { eval: true, workerData: { addon, wakeFd, linger } });
  const message = () => new Promise((resolve) => worker.once('message', resolve));
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  expect(await message()).toBe('waiting');
  const result = message();
  native.eventSignal(wakeFd);
  const value = await result;
  if (linger) await worker.terminate();
  await ended;
  native.close(wakeFd);
  return value;
}

test('workers load it, are woken by another thread, and leave nothing', async () => {
  await runWorker(false);
  const before = openFds();
  for (let round = 0; round < 5; round++) {
    const results = await Promise.all([0, 1, 2, 3].map((i) => runWorker(i % 2 === 0)));
    expect(results).toEqual([0, 1, 2, 3].map(() => [1, 7]));
  }
  expect(openFds()).toBe(before);
});

test('failed calls leave no descriptor', () => {
  const lock = join(directory, 'lock');
  const held = native.lockFile(lock);
  const before = openFds();
  for (let i = 0; i < 50; i++) {
    expect(() => native.lockFile(lock)).toThrow(expect.objectContaining({ errno: 11, syscall: 'flock' }));
    expect(() => native.rawOpen({ protocol: 4, bindAddress: 0x01020304 })).toThrow(
      expect.objectContaining({ syscall: 'bind', code: 'EADDRNOTAVAIL' }),
    );
    expect(() => Poller.open(1 << 30)).toThrow(expect.objectContaining({ syscall: 'epoll_ctl' }));
  }
  expect(openFds()).toBe(before);
  native.close(held);
  native.close(native.lockFile(lock));
});

test('the poller reports tokens, and a wake-up once', () => {
  const poller = Poller.open();
  const event = native.eventOpen();
  const ready = new Int32Array(8);
  poller.add(event, 5);
  expect(poller.wait(ready, 0)).toBe(0);
  native.eventSignal(event);
  expect([poller.wait(ready, 100), ready[0]]).toEqual([1, 5]);
  native.eventClear(event);
  poller.wake();
  poller.wake();
  expect([poller.wait(ready, -1), ready[0]]).toEqual([1, Poller.WAKE]);
  expect(poller.wait(ready, 0)).toBe(0);
  poller.remove(event);
  native.close(event);
  poller.close();
  poller.close();
});
