/**
 * The addon against the real kernel: two namespaces joined by a veth that behaves like a NIC (no TSO, GRO on), a TUN
 * and raw sockets in each, TCP both ways at once and UDP of every size between them.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const here = import.meta.dirname;
const addon = join(here, '../../native/build/Release/ufan.node');
const id = `${process.pid.toString(36)}${randomBytes(2).toString('hex')}`;
const children: ChildProcess[] = [];

/** A veth polls after each packet, and would find nothing to merge; a NIC's interrupts come in bursts. */
const GRO_WAIT_NS = 50_000;

/** One of the two hosts: 172.30.0.N on the underlay, 250.0.N.1 on the overlay. */
interface Host {
  readonly netns: string;
  readonly n: number;
}
const hosts: [Host, Host] = [
  { netns: `ufan-${id}-a`, n: 28 },
  { netns: `ufan-${id}-b`, n: 27 },
];
const underlayOf = ({ n }: Host) => 0xac1e0000 + n;

function ip(...words: string[]): void {
  execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function inside({ netns }: Host, ...words: string[]): void {
  ip('netns', 'exec', netns, ...words);
}

function start(host: Host, script: string, ...words: string[]): ChildProcess {
  const command = ['netns', 'exec', host.netns, process.execPath, join(here, script), ...words];
  const child = spawn('ip', command, { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  return child;
}

async function ready(child: ChildProcess): Promise<void> {
  const [first] = await once(child.stdout!, 'data');
  expect(String(first)).toBe('ready\n');
}

function createHost(host: Host): void {
  const { netns, n } = host;
  ip('-n', netns, 'link', 'set', 'lo', 'up');
  ip('-n', netns, 'addr', 'add', `172.30.0.${n}/16`, 'dev', 'eth0');
  ip('-n', netns, 'link', 'set', 'eth0', 'up');
  inside(host, 'ethtool', '-K', 'eth0', 'tso', 'off', 'gso', 'off', 'gro', 'on');
  inside(host, 'sh', '-c', `echo ${GRO_WAIT_NS} > /sys/class/net/eth0/gro_flush_timeout`);
  ip('-n', netns, 'tuntap', 'add', 'tun0', 'mode', 'tun');
  ip('-n', netns, 'link', 'set', 'tun0', 'mtu', '1480', 'up');
  ip('-n', netns, 'addr', 'add', `250.0.${n}.1/8`, 'dev', 'tun0');
}

/** The forwarders of both hosts, with merging as `mask` says, and a ring or a call for each packet of the TUN. */
async function startForwarders(mask: number, by: string): Promise<ChildProcess[]> {
  const forwarders = hosts.map((host, i) => {
    const peer = hosts[1 - i]!;
    const addresses = [underlayOf(host), underlayOf(peer)].map(String);
    return start(host, 'kernel-forwarder.mjs', addon, 'tun0', ...addresses, String(mask), by);
  });
  await Promise.all(forwarders.map(ready));
  return forwarders;
}

interface Seen {
  offloads: number;
  longestRead: number;
  superReads: number;
  longestReceived: number;
  failures: Record<string, number>;
  drops: number;
}

async function stop(forwarder: ChildProcess): Promise<Seen> {
  forwarder.stdin!.end();
  const [report] = await once(forwarder.stdout!, 'data');
  return JSON.parse(String(report)) as Seen;
}

async function passTraffic(): Promise<void> {
  const traffic = start(hosts[0], 'kernel-traffic.mjs', 'send', '250.0.27.1');
  const [code] = await once(traffic, 'exit');
  expect(code).toBe(0);
}

beforeAll(async () => {
  const [a, b] = hosts;
  for (const { netns } of hosts) ip('netns', 'add', netns);
  ip('-n', a.netns, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', b.netns);
  for (const host of hosts) createHost(host);
  await ready(start(b, 'kernel-traffic.mjs', 'serve'));
});

afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  for (const { netns } of hosts) {
    try {
      ip('netns', 'del', netns);
    } catch {
      // Creation failed before this one.
    }
  }
});

describe.each([
  { merging: 'with merging', mask: 3, by: 'ring' },
  { merging: 'without merging', mask: 0, by: 'ring' },
  { merging: 'with merging', mask: 3, by: 'calls' },
])('$merging, by $by', ({ mask, by }) => {
  test('streams and datagrams pass whole, super-packets on the way', async () => {
    const forwarders = await startForwarders(mask, by);
    await passTraffic();
    const reports = await Promise.all(forwarders.map(stop));
    for (const seen of reports) {
      expect(seen.offloads & 3).toBe(3);
      expect(seen.superReads).toBeGreaterThan(100);
      expect(seen.longestRead).toBeGreaterThan(10_000);
      expect(seen.longestReceived).toBeGreaterThan(1500);
      expect(seen.failures).toEqual({});
    }
  });
});
