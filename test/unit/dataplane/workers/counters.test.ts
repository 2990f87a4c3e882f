import { expect, it } from 'vitest';
import { DROP } from '../../../../src/base/drop-reason.js';
import { COUNTER } from '../../../../src/dataplane/tables/counters.js';
import { WorkerCounters } from '../../../../src/dataplane/workers/counters.js';

const { 'encap-rx-packets': ENCAP, 'decap-rx-packets': DECAP } = COUNTER;

it('sums what each worker counted, and what the kernel counts once', () => {
  const counters = new WorkerCounters(2);
  counters.copies.forEach((copy, i) => {
    copy.add(1, ENCAP, 10 + i);
    copy.drop(1, DROP['too-big'], 3);
  });
  counters.setDrop(1, DROP['tun-overflow'], 7);
  expect(counters.read(1)).toMatchObject({
    'encap-rx-packets': 21,
    'decap-rx-packets': 0,
    'drop-too-big-packets': 6,
    'drop-tun-overflow-packets': 7,
  });
  counters.clear(1);
  expect(Object.values(counters.read(1)).some((value) => value !== 0)).toBe(false);
});

it('tells what each worker took in, of all fans', () => {
  const counters = new WorkerCounters(3);
  counters.copies[1]!.add(0, DECAP, 1);
  counters.copies[1]!.add(256, ENCAP, 2);
  counters.copies[2]!.add(4, DECAP, 4);
  expect([0, 1, 2].map((i) => counters.packets(i))).toEqual([0, 3, 4]);
});

it('blames who was last, whichever worker saw it', async () => {
  const counters = new WorkerCounters(2);
  counters.copies[1]!.blame(1, DROP['source-forged'], 5);
  counters.copies[0]!.blame(1, DROP['too-big'], 6);
  await new Promise((resolve) => setTimeout(resolve, 3));
  counters.copies[0]!.blame(1, DROP['source-forged'], 7);
  const addresses = Object.fromEntries(counters.blamed(1).map(({ reason, address }) => [reason, address]));
  expect(addresses).toEqual({ 'source-forged': 7, 'too-big': 6 });
});
