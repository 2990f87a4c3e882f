/** What tests of counters need beside fan-lab.ts: a scrape of the metrics, and a fand that stands still so that the kernel drops. */
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Host } from '../../bench/lab/host.js';
import { type Metric, parsePrometheus } from '../unit/daemon/prometheus-text.js';

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
  const pid = Number(readFileSync(join(host.dir, 'fand.pid'), 'utf8'));
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
