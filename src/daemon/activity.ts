/**
 * What fand and its workers do at this moment, in one object: for `fanctl top` and for the metrics.
 */
import { readdir, readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { formatAddress } from '../addr/ipv4-address.js';
import type { Activity } from '../control/protocol.js';
import type { PeerCounts } from '../dataplane/tables/peer-table.js';
import type { WorkerState } from '../dataplane/workers/protocol.js';
import type { FanManager } from './fan-manager.js';
import type { Forwarding } from './forwarding.js';

/** Reads everything anew; what it says of the workers is from between two of their batches. */
export async function readActivity(
  version: string,
  manager: Pick<FanManager, 'views' | 'records'>,
  forwarding: Pick<Forwarding, 'stats' | 'inspect'>,
): Promise<Activity> {
  const { workers, bridges } = await forwarding.inspect(manager.records);
  const stats = await forwarding.stats(manager.records);
  // Beside the counters, as their rates are taken by it.
  const uptimeMs = performance.now();
  const { user, system } = process.cpuUsage();
  return {
    pid: process.pid,
    version,
    hostname: hostname(),
    startedMs: performance.timeOrigin,
    uptimeMs,
    cpuMs: (user + system) / 1000,
    rssBytes: process.memoryUsage.rss(),
    openFiles: (await readdir('/proc/self/fd')).length,
    workers: await Promise.all(
      workers.map(async ({ tid, packets }) => ({ cpuMs: await readThreadCpuMs(tid), packets })),
    ),
    fans: manager.views,
    stats,
    peers: mergePeers(workers).flatMap(({ block, address, ...counts }) => {
      const bridge = bridges.get(block);
      return bridge === undefined ? [] : [{ bridge, peer: formatAddress(address), ...counts }];
    }),
    pathMtus: mergePathMtus(workers),
  };
}

/** Each worker counts what it carries itself. */
function mergePeers(workers: readonly WorkerState[]): PeerCounts[] {
  const sums = new Map<string, PeerCounts>();
  for (const peer of workers.flatMap(({ peers }) => peers)) {
    const key = `${peer.block} ${peer.address}`;
    const sum = sums.get(key);
    sums.set(key, sum === undefined ? peer : addPeer(sum, peer));
  }
  return [...sums.values()];
}

function addPeer(one: PeerCounts, other: PeerCounts): PeerCounts {
  return {
    ...one,
    txPackets: one.txPackets + other.txPackets,
    txBytes: one.txBytes + other.txBytes,
    rxPackets: one.rxPackets + other.rxPackets,
    rxBytes: one.rxBytes + other.rxBytes,
  };
}

/** Each worker learns paths by itself: of each path the smallest counts. */
function mergePathMtus(workers: readonly WorkerState[]): Activity['pathMtus'] {
  const smallest = new Map<number, { mtu: number; expiresInMs: number }>();
  for (const { address, mtu, expiresInMs } of workers.flatMap(({ pathMtus }) => pathMtus)) {
    const known = smallest.get(address);
    if (known === undefined || mtu < known.mtu) smallest.set(address, { mtu, expiresInMs });
  }
  return [...smallest].map(([address, entry]) => ({ peer: formatAddress(address), ...entry }));
}

/** Time on a CPU of a thread of ours: the first number of its schedstat, in ns (Documentation/scheduler). */
async function readThreadCpuMs(tid: number): Promise<number> {
  const text = await readFile(`/proc/self/task/${tid}/schedstat`, 'utf8').catch(() => '0');
  return Number.parseInt(text, 10) / 1e6;
}
