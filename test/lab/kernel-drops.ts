/** What tests of counters need beside fan-lab.ts: a scrape of the metrics, and a fand that stands still so that the kernel drops. */
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Host } from '../../bench/lab/host.js';
import { type Metric, parsePrometheus } from '../unit/daemon/prometheus-text.js';
import { fandPid, growth, readQuietStats, readStats, until } from './fan-lab.js';

export function scrapeSocket(host: Host): Promise<Map<string, Metric>> {
  const options = { socketPath: join(host.dir, 'fand.sock'), path: '/metrics' };
  return new Promise((resolve, reject) => {
    request(options, (response) => text(response).then((body) => resolve(parsePrometheus(body)), reject))
      .on('error', reject)
      .end();
  });
}

/** Does something while the host's fand stands still, so that the kernel has to drop. */
export async function whileStopped(host: Host, act: () => Promise<unknown>): Promise<void> {
  const pid = fandPid(host);
  process.kill(pid, 'SIGSTOP');
  try {
    await act();
  } finally {
    process.kill(pid, 'SIGCONT');
  }
}

/**
 * Counts packets that pass a device's hook and match a rule, as long as the host lives: of a burst a busy machine loses some
 * before they get there, which nobody can put down to a fan.
 */
export async function countAt(
  host: Host,
  hook: 'ingress' | 'egress',
  device: string,
  match: string,
): Promise<() => Promise<number>> {
  const chain = `type filter hook ${hook} device "${device}" priority 0;`;
  await host.exec(['nft', `table netdev ${hook} { chain seen { ${chain} ${match} counter; }; }`]);
  return async () => {
    const { stdout } = await host.exec(['nft', 'list', 'table', 'netdev', hook]);
    return Number(/counter packets (\d+)/.exec(stdout)?.[1]);
  };
}

/**
 * Sends a host's first fan more IP-in-IP than its receive buffer takes. Returns what became of it, once all that arrived
 * has been received or is counted as lost: the next packet finds room then.
 */
export async function overflowSocket(host: Host, flood: () => Promise<unknown>) {
  const before = await readQuietStats(host);
  const arrived = await countAt(host, 'ingress', 'eth0', 'ip protocol 4');
  await whileStopped(host, flood);
  const account = async () => {
    const now = await readStats(host);
    const received = growth(before.fans[0]!.counters, now.fans[0]!.counters)['decap-rx-packets'] ?? 0;
    const overflow = growth(before.host.counters, now.host.counters)['drop-socket-overflow-packets'] ?? 0;
    return { received, overflow, arrived: await arrived() };
  };
  return until(account, (now) => now.received + now.overflow === now.arrived);
}

/** As overflowSocket, with datagrams to port 9 into the TUN. */
export async function overflowTun(host: Host, flood: () => Promise<unknown>) {
  const [before] = (await readStats(host)).fans;
  const tun = before!.bridge.replace('fan', 'tun');
  const arrived = await countAt(host, 'egress', tun, 'udp dport 9');
  await whileStopped(host, flood);
  const account = async () => {
    const [now] = (await readStats(host)).fans;
    const grown = growth(before!.counters, now!.counters);
    const [read, overflow] = [grown['encap-rx-packets'] ?? 0, grown['drop-tun-overflow-packets'] ?? 0];
    return { read, overflow, arrived: await arrived() };
  };
  return until(account, (now) => now.read + now.overflow === now.arrived);
}
