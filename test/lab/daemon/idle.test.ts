/**
 * A fand that nobody asks and whose fans carry nothing sleeps: how often its threads wake up, which is what it costs.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { raiseFan } from '../../../bench/lab/fan.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { FAN, fandPid, until } from '../fan-lab.js';

/** One host each. */
const WORDS = [['io', 'raw'], ['io', 'packet'], ['io', 'bpf'], ['io', 'bpf', 'no-heal', 'dhcp'], ['vxlan']];
/** What a look in two seconds and a worker's own clock take is 0.7. */
const MOST_PER_SECOND = 2;
const WINDOW_MS = 6000;

let lab: Lab;
beforeAll(async () => {
  lab = await createLab({ hosts: WORDS.length });
  await Promise.all(WORDS.map((words, i) => raiseFan(lab.host(i + 1), [...FAN, ...words])));
});
afterAll(() => lab?.remove());

/** Of all threads: each time that one had nothing to do and waited. */
function wakeUps(pid: number): number {
  return readdirSync(`/proc/${pid}/task`)
    .map((thread) => readFileSync(`/proc/${pid}/task/${thread}/status`, 'latin1'))
    .reduce((sum, status) => sum + Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(status)?.[1]), 0);
}

it.each(WORDS.map((words, i) => [words.join(' '), i + 1] as const))('with %s', async (_, index) => {
  const pid = fandPid(lab.host(index));
  const samples: { ms: number; wakeUps: number }[] = [];
  /** A second, over the last few; until there are so many, without end. */
  const rate = async () => {
    const now = { ms: performance.now(), wakeUps: wakeUps(pid) };
    samples.push(now);
    const before = samples.findLast(({ ms }) => now.ms - ms >= WINDOW_MS);
    return before ? ((now.wakeUps - before.wakeUps) * 1000) / (now.ms - before.ms) : Number.POSITIVE_INFINITY;
  };
  // What `up` set off, and the bridge that comes up, are looked at first.
  expect(await until(rate, (each) => each <= MOST_PER_SECOND, 60_000)).toBeGreaterThan(0);
});
