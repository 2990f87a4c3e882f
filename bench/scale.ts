/**
 * One lab of many hosts, whose fans come up a few at a time: with 2, 8, 32 and 64 of them, does every sampled pair
 * reach each other, how long does a ping take, how fast is a TCP stream, and what does one fand hold? Nothing of it
 * may depend on how many hosts there are: the fan knows no peers.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Container, Host } from './lab/host.js';
import { iperf } from './lab/iperf.js';
import { createLab, type Lab } from './lab/lab.js';
import { type PingResult, ping } from './lab/ping.js';
import { usageOf } from './lab/usage.js';
import { OVERLAY, SLICE_LENGTH, sliceAddress } from './paths/slice.js';
import type { Progress } from './report/progress.js';
import type { ScalePoint } from './report/result.js';
import { median } from './report/statistics.js';

export const SCALE_HOSTS: readonly number[] = [2, 8, 32, 64];
const OUTER_LEN = 20;
/** Fans that come up at once. */
const AT_ONCE = 4;
const PING_PAIRS = 24;
const TCP_PAIRS = 5;
/** Of bringing up a host, and of a ping: for the estimate. */
const UP_SECONDS = 1.2;
const PING_SECONDS = 0.5;

/** Seconds that measureScale takes, about. */
export function scaleSeconds(seconds: number, counts = SCALE_HOSTS): number {
  const runs = counts.length * (TCP_PAIRS * (seconds + 0.3) + PING_PAIRS * PING_SECONDS);
  return Math.max(...counts) * UP_SECONDS + runs;
}

/** `points` receives each point as it is measured. */
export async function measureScale(
  seconds: number,
  progress: Progress,
  points: ScalePoint[],
  counts = SCALE_HOSTS,
): Promise<void> {
  const most = Math.max(...counts);
  progress.stage(`building a lab of ${most} hosts`);
  const lab = await createLab({ hosts: most, containers: 1 });
  try {
    for (const count of counts) {
      const missing = lab.hosts.slice(points.at(-1)?.hosts ?? 0, count);
      const began = performance.now();
      await inParallel(missing, AT_ONCE, (host) => raise(lab, host));
      const upSeconds = (performance.now() - began) / 1000 / missing.length;
      const point = await measurePoint(lab, count, seconds);
      points.push({ ...point, upSeconds });
      const speed = median(point.gigabits).toFixed(2);
      progress.stage(`${count} hosts: ${point.answered} of ${point.pings} pings answered, ${speed} Gbit/s`);
    }
  } finally {
    lab.remove();
  }
}

/** `fanctl up`, and the container on the bridge that it printed. */
async function raise(lab: Lab, host: Host): Promise<void> {
  const { stdout } = await host.fanctl(['up', OVERLAY, 'eth0/16']);
  await host.container(1).attach({
    bridge: stdout.trim(),
    address: `${sliceAddress(host, 2)}/${SLICE_LENGTH}`,
    gateway: sliceAddress(host, 1),
    mtu: lab.mtu - OUTER_LEN,
  });
}

async function measurePoint(
  lab: Lab,
  count: number,
  seconds: number,
): Promise<Omit<ScalePoint, 'upSeconds'>> {
  const pairs = samplePairs(count, PING_PAIRS).map((pair) =>
    pair.map((index) => lab.host(index).container(1)),
  );
  const replies = await inParallel(pairs as [Container, Container][], 1, ([from, to]) => {
    return pingWarm(from, sliceAddress(to.host, 2));
  });
  const gigabits: number[] = [];
  for (const [from, to] of pairs.slice(0, TCP_PAIRS) as [Container, Container][]) {
    const { bitsPerSecond } = await iperf(from, to, sliceAddress(to.host, 2), { seconds });
    gigabits.push(bitsPerSecond / 1e9);
  }
  const pid = Number(readFileSync(join(lab.host(1).dir, 'fand.pid'), 'latin1'));
  return {
    hosts: count,
    pings: replies.length,
    answered: replies.reduce((sum, { received }) => sum + received, 0),
    pingMs: median(replies.flatMap(({ rttMs }) => (rttMs ? [rttMs.min] : []))),
    gigabits,
    rssBytes: usageOf([pid]).rssBytes,
  };
}

/** One ping, after one that waits for ARP. */
async function pingWarm(from: Container, address: string): Promise<PingResult> {
  await ping(from, address, { count: 1 });
  return ping(from, address, { count: 1 });
}

/**
 * Ordered pairs of different hosts (from 1), each once, spread over all pairs and the same in every run: steps of the
 * golden ratio through the list of them.
 */
export function samplePairs(hosts: number, wanted: number): [number, number][] {
  const all = hosts * (hosts - 1);
  let stride = Math.max(1, Math.round(all * 0.618));
  while (greatestDivisor(stride, all) > 1) stride++;
  return Array.from({ length: Math.min(wanted, all) }, (_, i) => {
    const nth = (i * stride) % all;
    const from = nth % hosts;
    return [from + 1, ((from + 1 + Math.floor(nth / hosts)) % hosts) + 1];
  });
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}

/** Results in order; the first failure is thrown once what runs has ended. */
async function inParallel<T, R>(
  items: readonly T[],
  width: number,
  act: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < items.length; i = next++) results[i] = await act(items[i]!);
  };
  const ends = await Promise.allSettled(Array.from({ length: width }, worker));
  const failed = ends.find((end) => end.status === 'rejected');
  if (failed) throw failed.reason;
  return results;
}
