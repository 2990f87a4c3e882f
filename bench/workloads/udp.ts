/**
 * UDP of one size: datagrams a second that arrive when at most 1 % get lost, by the search of rate-search.ts and the
 * generator of bench/peers/udp-load.c.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { PathEnds } from '../paths/path.js';
import { compilePeer } from '../peers/compile.js';
import { lossOf, searchRate, type Trial } from './rate-search.js';
import type { Measurement, Workload } from './workload.js';

const PORT = '9100';
const MAX_LOSS = 0.01;
/** A trial's share of the run's seconds, and how long it is at least. */
const TRIAL_SHARE = 0.2;
const LEAST_TRIAL_MS = 250;
/** A trial's processes start, and what is under way arrives. */
const TRIAL_OVERHEAD_MS = 120;
const DRAIN_MS = 50;
/** On average over rounds: the first search takes six or more. */
const EXPECTED_TRIALS = 4;

/** The first search begins low and doubles; the next begin just below what was found. */
const FIRST = { start: 25_000, step: 2, maxTrials: 24 };
const AGAIN = { share: 0.85, step: 1.2, maxTrials: 16 };
const PRECISION = 1.04;

export function udp(bytes: number): Workload {
  return {
    name: `udp-${bytes}`,
    title: `UDP, ${bytes} bytes of payload, delivered at ≤ 1 % loss`,
    unit: 'kpacket/s',
    digits: 1,
    compare: 'ratio',
    columns: [
      { key: 'lossPercent', title: 'loss %', digits: 2 },
      { key: 'gigabits', title: 'Gbit/s', digits: 2 },
      { key: 'generatorLimited', title: 'generator the limit', digits: 0 },
    ],
    duration: (seconds) => (EXPECTED_TRIALS * (trialMs(seconds) + TRIAL_OVERHEAD_MS)) / 1000,
    measure: (ends, seconds, last) => measure(ends, bytes, seconds, last),
  };
}

function trialMs(seconds: number): number {
  return Math.max(LEAST_TRIAL_MS, seconds * 1000 * TRIAL_SHARE);
}

async function measure(ends: PathEnds, bytes: number, seconds: number, last?: Measurement) {
  const program = await compilePeer('udp-load');
  const known = (last?.value ?? 0) * 1000;
  const how = known > 0 ? { ...AGAIN, start: known * AGAIN.share } : FIRST;
  const found = await searchRate((rate) => attempt(program, ends, bytes, rate, trialMs(seconds)), {
    ...how,
    maxLoss: MAX_LOSS,
    precision: PRECISION,
  });
  const { best, generatorLimited, trials } = found;
  const delivered = best?.delivered ?? 0;
  return {
    value: delivered / 1000,
    details: {
      lossPercent: best ? Math.max(0, lossOf(best)) * 100 : 100,
      gigabits: (delivered * bytes * 8) / 1e9,
      generatorLimited: generatorLimited ? 1 : 0,
    },
    report: { trials },
  };
}

async function attempt(
  program: string,
  { client, server, serverAddress }: PathEnds,
  bytes: number,
  rate: number,
  ms: number,
): Promise<Trial> {
  const sink = server.spawn([program, 'sink', PORT]);
  try {
    await sink.prints(/^ready$/m);
    const argv = [program, 'send', serverAddress, PORT, `${bytes}`, `${rate}`, `${Math.round(ms)}`];
    const sent = JSON.parse((await client.exec(argv)).stdout) as {
      sent: number;
      refused: number;
      ns: number;
    };
    await sleep(DRAIN_MS);
    const { stdout } = await sink.stop();
    const { received } = JSON.parse(stdout.split('\n')[1] ?? '') as { received: number };
    const seconds = sent.ns / 1e9;
    // What the kernel refused to take was offered as well, and is lost.
    return {
      asked: rate,
      sent: (sent.sent + sent.refused) / seconds,
      delivered: received / seconds,
    };
  } finally {
    await sink.stop();
  }
}
