/**
 * Two workers on each host, in every I/O mode: both take part, a flow keeps its order, what one learns both know, and
 * fans come, go and are restored as with one.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CommandError, run } from '../../../bench/lab/command.js';
import { raiseFan, showFans } from '../../../bench/lab/fan.js';
import type { Container, Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { ping } from '../../../bench/lab/ping.js';
import { FANCTL, REPOSITORY } from '../../../bench/lab/repository.js';
import { randomFile, sendFile } from '../../../bench/lab/transfer.js';
import { FandClient } from '../../../src/control/client.js';
import { runPaths } from '../../../src/control/protocol.js';
import {
  echoUdp,
  FAN,
  FanLab,
  fandPid,
  growth,
  killFand,
  PYTHON,
  readCounters,
  readQuietStats,
  readStats,
  tunReads,
  until,
} from '../fan-lab.js';
import { countAt } from '../kernel-drops.js';
import { buildNarrowPath } from '../narrow-path.js';
import { steadyLinks } from '../steady-links.js';

const UDP_FLOWS = join(REPOSITORY, 'test/lab/udp-flows.py');
const PORT = 9010;
const TWO = ['--workers', '2'];

const activityOf = (host: Host) => new FandClient(runPaths(host.dir)).activity();

/** Packets that each worker of a host took in. */
async function shares(host: Host): Promise<number[]> {
  return (await activityOf(host)).workers.map(({ packets }) => packets);
}

interface Arrived {
  flows: number;
  datagrams: number;
  late: number;
}

function arrivedOf(line: string): Arrived {
  const [flows = 0, datagrams = 0, late = 0] = line.trim().split(' ').map(Number);
  return { flows, datagrams, late };
}

/** What arrived of so many UDP flows at the other end, and of its answers here. */
async function udpFlows(
  from: Container,
  to: Container,
  address: string,
  flows: number,
  each: number,
): Promise<{ there: Arrived; back: Arrived }> {
  const server = to.spawn([PYTHON, UDP_FLOWS, 'serve', `${PORT}`]);
  try {
    await server.prints(/ready/);
    const words = ['send', address, `${PORT}`, `${flows}`, `${each}`];
    const { stdout } = await from.exec([PYTHON, UDP_FLOWS, ...words]);
    const { stdout: served } = await server.stop('SIGINT');
    return { there: arrivedOf(served.replace('ready\n', '')), back: arrivedOf(stdout) };
  } finally {
    await server.stop();
  }
}

describe.each(['raw', 'packet', 'bpf'])('two workers, io %s', (io) => {
  let net: FanLab;
  let ends: [Container, Container];
  beforeAll(async () => {
    net = await FanLab.open({ hosts: 2 }, [...FAN, '--io', io, ...TWO]);
    ends = [net.container(1), net.container(2)];
  });
  afterAll(() => net?.remove());

  it('are what show tells of, and carry packets', async () => {
    expect((await showFans(net.host(1)))[0]).toMatchObject({ io, ioNotes: [], workers: 2 });
    const { received, text } = await ping(ends[0], net.address(2), { count: 10 });
    expect([received, text.includes('DUP')]).toEqual([10, false]);
  });

  it('carry TCP both ways, whole', async () => {
    const file = await randomFile(ends[0], net.lab.dir, 20_000_000);
    const copies = [1, 2].map((i) => join(net.lab.dir, `copy-${i}`));
    const transfers = await Promise.all([
      sendFile(ends[0], ends[1], net.address(2), file.path, copies[0]!, { port: 9001 }),
      sendFile(ends[1], ends[0], net.address(1), file.path, copies[1]!, { port: 9002 }),
    ]);
    expect(transfers.map(({ sha256 }) => sha256)).toEqual([file.sha256, file.sha256]);
  });

  it('share a hundred flows, each of which keeps its order, as do the answers', async () => {
    const hosts = [net.host(1), net.host(2)];
    const before = await Promise.all(hosts.map(shares));
    const stats = await Promise.all(hosts.map(readQuietStats));
    const arrived = await countAt(net.host(2), 'ingress', 'eth0', 'ip protocol 4');
    const { there, back } = await udpFlows(ends[0], ends[1], net.address(2), 100, 200);
    expect(there).toMatchObject({ flows: 100, late: 0 });
    // As fast as it goes is faster than a busy machine carries.
    expect(there.datagrams).toBeGreaterThan(1000);
    expect(back).toMatchObject({ flows: 100, late: 0 });
    const after = await Promise.all(hosts.map(shares));
    const taken = after.map((each, h) => each.map((packets, w) => packets - before[h]![w]!));
    // Of a fair share at least a quarter, whatever the ports. With bpf, workers get something only where a chain counts it.
    for (const [one = 0, two = 0] of io === 'bpf' ? taken.slice(1) : taken) {
      expect(Math.min(one, two)).toBeGreaterThan((one + two) / 8);
    }
    const account = async () => {
      const [here, far] = await Promise.all(hosts.map(readStats));
      const grownHere = growth(stats[0]!.fans[0]!.counters, here!.fans[0]!.counters);
      const grownThere = growth(stats[1]!.fans[0]!.counters, far!.fans[0]!.counters);
      const grownHost = growth(stats[1]!.host.counters, far!.host.counters);
      return {
        sent: grownHere['encap-tx-packets'] ?? 0,
        arrived: await arrived(),
        received: grownThere['decap-rx-packets'] ?? 0,
        overflow: grownHost['drop-socket-overflow-packets'] ?? 0,
        delivered: grownThere['decap-tx-packets'] ?? 0,
      };
    };
    // What a veth of a busy machine loses on the way never arrived.
    const { sent, received } = await until(
      account,
      (now) => now.received + now.overflow === now.arrived && now.delivered === now.received,
    );
    expect(sent).toBeGreaterThanOrEqual(received);
    expect(received).toBeGreaterThanOrEqual(there.datagrams);
  });

  it('keep the order of fast flows', async () => {
    const flows = udpFlows(ends[0], ends[1], net.address(2), 4, 10_000);
    // One packet a second then goes to a stale neighbour by the kernel, and none may pass it.
    const { address } = net.host(2);
    const { stdout } = await net.host(1).exec(['ip', 'neighbour', 'show', address]);
    const stale = `neighbour replace ${address} lladdr ${/lladdr (\S+)/.exec(stdout)?.[1]} dev eth0 nud stale`;
    for (let i = 0; i < 20; i++) await net.host(1).ip(stale);
    const { there, back } = await flows;
    expect([there.late, back.late]).toEqual([0, 0]);
  });

  it('carry datagrams in fragments', async () => {
    await echoUdp(ends[0], ends[1], net.address(2), [1, 1452, 1453, 9000, 65_507]);
    await echoUdp(ends[1], ends[0], net.address(1), [1, 1452, 1453, 9000, 65_507], 'clear');
  });

  it('are both seen by a trace, to the last packet asked for', async () => {
    const words = ['trace', 'udp', 'port', `${PORT}`, '-c', '80', '--json'];
    const trace = net.host(2).spawn([process.execPath, FANCTL, ...words]);
    await trace.prints(/note: tracing/);
    const before = await shares(net.host(2));
    await udpFlows(ends[0], ends[1], net.address(2), 40, 1);
    const lines = (await trace.finish()).stdout.trim().split('\n');
    const after = await shares(net.host(2));
    expect(after.every((packets, i) => packets > before[i]!)).toBe(true);
    const paths = lines.map((line) => (JSON.parse(line) as { path: string }).path);
    expect([paths.filter((path) => path === 'decap').length, paths.length]).toEqual([40, 80]);
  });

  if (io === 'bpf')
    it('both give flows that a trace can not show back to the kernel', async () => {
      const [host] = net.lab.hosts;
      const trace = host!.spawn([process.execPath, FANCTL, 'trace', 'icmp', '--json']);
      try {
        await trace.prints(/note: tracing/);
        const before = await readCounters(host!);
        const readBefore = await tunReads(host!);
        await udpFlows(ends[0], ends[1], net.address(2), 32, 2000);
        const reads = (await tunReads(host!)) - readBefore;
        const sent = growth(before, await readCounters(host!))['encap-tx-packets']!;
        expect(sent).toBeGreaterThan(10_000);
        expect(reads).toBeLessThan(sent / 8);
        await ping(ends[0], net.address(2), { count: 5 });
        await trace.prints(/"path":"encap"(.*\n)+.*"path":"decap"/);
      } finally {
        await trace.stop('SIGINT');
      }
    });

  it('count each peer once', async () => {
    const { peers } = await activityOf(net.host(1));
    expect(peers.map(({ peer }) => peer)).toEqual([net.host(2).address]);
  });

  it('bear fans that come and go under load', async () => {
    const pid = fandPid(net.host(1));
    const load = udpFlows(ends[0], ends[1], net.address(2), 50, 1500);
    for (let i = 0; i < 3; i++) {
      await net.host(1).fanctl(['up', '99', 'eth0/16', '--io', io]);
      await net.host(1).fanctl(['down', '99', 'eth0/16', '--force']);
    }
    expect((await load).there).toMatchObject({ flows: 50, late: 0 });
    expect(await ping(ends[0], net.address(2), { count: 1 })).toMatchObject({ received: 1 });
    expect(fandPid(net.host(1))).toBe(pid);
  });
});

describe.each(['raw', 'packet'])('a narrow path, io %s', (io) => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({ hosts: 4 });
    await buildNarrowPath(lab);
    await Promise.all([1, 2].map((i) => raiseFan(lab.host(i), [...FAN, '--io', io, ...TWO])));
  });
  afterAll(() => lab?.remove());

  it('is known to both workers from the first error, which counts once', async () => {
    const host = lab.host(1);
    const probe = async (flows: number) => {
      const before = await readCounters(host);
      const words = ['probe', '250.0.27.2', `${PORT}`, `${flows}`, `${1480 - 28}`];
      await host.container(1).exec([PYTHON, UDP_FLOWS, ...words]);
      await until(
        async () => growth(before, await readCounters(host)),
        (grown) => grown['encap-rx-packets'] === flows && grown['icmp-tx-packets'] === flows,
      );
      return growth(before, await readCounters(host));
    };
    expect(await probe(1)).toMatchObject({ 'icmp-rx-packets': 1, 'icmp-tx-packets': 1 });
    const before = await shares(host);
    // No more than one worker's part of a container's rate.
    const grown = await probe(20);
    expect(grown['drop-too-big-packets']).toBe(20);
    expect(grown['icmp-rx-packets']).toBeUndefined();
    const after = await shares(host);
    expect(after.every((packets, i) => packets > before[i]!)).toBe(true);
  });
});

describe('the number of workers', () => {
  let lab: Lab;
  let host: Host;
  beforeAll(async () => {
    lab = await createLab({ hosts: 1 });
    host = lab.host(1);
  });
  afterAll(() => lab?.remove());
  const isMultiQueue = async () => {
    const { stdout } = await host.exec(['ip', '-d', '-j', 'link', 'show', 'tun-250-0-28']);
    return JSON.parse(stdout)[0].linkinfo.info_data.multi_queue as boolean;
  };
  const upWith = (workers: number) => {
    return host.exec([process.execPath, FANCTL, 'up', ...FAN], { env: { UFAN_WORKERS: `${workers}` } });
  };
  /** What `up` could leave behind of queues and sockets, beside what life-lab.ts looks at. */
  const left = async () => [
    steadyLinks((await host.exec(['ip', '-d', 'link'])).stdout),
    (await host.exec(['ip', '-4', 'route', 'show', 'table', 'all'])).stdout,
    (await host.exec(['nft', '-s', 'list', 'ruleset'])).stdout,
    readdirSync(host.dir).join(' '),
    (await run(['ip', 'netns', 'pids', host.name])).stdout,
  ];

  it.each(['raw', 'packet', 'bpf'])('leaves nothing behind, io %s', async (io) => {
    const before = await left();
    await host.fanctl(['up', ...FAN, '--io', io, ...TWO]);
    expect(await isMultiQueue()).toBe(true);
    await host.fanctl(['down', '-e', '--force']);
    expect(await left()).toEqual(before);
  });

  it('may be another for the next fand, whose TUN then is another', async () => {
    const before = await left();
    await upWith(2);
    for (const workers of [1, 3, 1]) {
      await killFand(host);
      await upWith(workers);
      expect(await showFans(host)).toMatchObject([{ state: 'up', workers }]);
      expect((await activityOf(host)).workers).toHaveLength(workers);
      expect(await isMultiQueue()).toBe(workers > 1);
      const route = (await host.exec(['ip', 'route', 'show', '250.0.0.0/8'])).stdout;
      expect(route).toContain('dev tun-250-0-28');
    }
    await host.fanctl(['down', '-e', '--force']);
    expect(await left()).toEqual(before);
  });

  it('holds for all fans of a fand', async () => {
    await upWith(2);
    const refused = (await host
      .fanctl(['up', '99', 'eth0/16', '--workers', '1'])
      .catch((e) => e)) as CommandError;
    expect(refused.stderr).toMatch(/^fanctl: fand \(pid \d+\) runs with 2 workers, not 1: /);
    await host.fanctl(['up', '99', 'eth0/16', ...TWO]);
    expect((await showFans(host)).map(({ workers }) => workers)).toEqual([2, 2]);
    await host.fanctl(['down', '-e', '--force']);
  });

  it.each([
    ['up', [...FAN, '--workers', '0'], {}, '--workers: "0" is no number from 1 to 16'],
    [
      'up',
      [...FAN],
      { UFAN_WORKERS: '17' },
      'fand did not start: UFAN_WORKERS: "17" is no number from 1 to 16',
    ],
  ])('is refused where it is none: %s %s %s', async (command, words, env, text) => {
    const failing = host.exec([process.execPath, FANCTL, command, ...words], { env });
    expect((await failing.catch((error: CommandError) => error)) as CommandError).toMatchObject({
      stderr: `fanctl: ${text}\n`,
      code: 1,
    });
    expect(readdirSync(host.dir)).toEqual([]);
  });
});
