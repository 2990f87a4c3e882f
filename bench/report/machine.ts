/**
 * The machine that a result was taken on: without it the figures mean nothing.
 */
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { run } from '../lab/command.js';
import { REPOSITORY } from '../lab/repository.js';

export type MachineFacts = Awaited<ReturnType<typeof machineFacts>>;

export async function machineFacts() {
  const commit = await run(['git', '-C', REPOSITORY, 'describe', '--always', '--dirty'], { anyExit: true });
  return {
    date: new Date().toISOString(),
    commit: commit.stdout.trim(),
    kernel: release(),
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    node: process.version,
    congestionControl: readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'latin1').trim(),
    /** One-minute load before the first run: more than about 0.3 and others were at work. */
    load: loadavg()[0] ?? 0,
  };
}
