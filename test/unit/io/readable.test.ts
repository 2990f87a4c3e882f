/** A descriptor that can be read wakes the event loop: once each time that it was asked to, on any thread, and at its end not at all. */
import { closeSync, readSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { native } from '../../../src/io/native.js';

let readEnd: number;
let writeEnd: number;
beforeEach(() => {
  [readEnd, writeEnd] = native.pipeOpen() as [number, number];
});
afterEach(() => {
  closeSync(readEnd);
  closeSync(writeEnd);
});

const write = () => writeSync(writeEnd, 'x');
const read = () => readSync(readEnd, Buffer.alloc(1));

it('calls back once, and again when asked', async () => {
  const heard = vi.fn();
  const watch = native.readableWatch(readEnd, heard);
  await sleep(20);
  expect(heard).toHaveBeenCalledTimes(0);
  write();
  await vi.waitFor(() => expect(heard).toHaveBeenCalledTimes(1));
  // It is still to be read, and nobody asked.
  await sleep(20);
  expect(heard).toHaveBeenCalledTimes(1);
  native.readableAgain(watch);
  await vi.waitFor(() => expect(heard).toHaveBeenCalledTimes(2));
  read();
  native.readableAgain(watch);
  native.readableEnd(watch);
  native.readableAgain(watch);
  write();
  await sleep(20);
  expect(heard).toHaveBeenCalledTimes(2);
});

it('is ended with its thread', async () => {
  const script = `const { createRequire } = require('node:module');
    const native = createRequire(${JSON.stringify(import.meta.url)})('#native');
    native.readableWatch(${readEnd}, () => {});`;
  // The watch keeps no loop alive, so the thread ends by itself.
  for (let time = 0; time < 20; time++) {
    const worker = new Worker(script, { eval: true });
    expect(await new Promise((resolve) => worker.once('exit', resolve))).toBe(0);
  }
});

it('takes nothing but a descriptor and what it gave', () => {
  expect(() => native.readableWatch(-1, () => {})).toThrow();
  expect(() => native.readableAgain({})).toThrow('watch: want what readableWatch returned');
});
