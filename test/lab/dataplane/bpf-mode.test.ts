/**
 * What is particular to `--io bpf`: what the kernel forwards is counted as if it had gone by the daemon, and what it must
 * not, or what somebody traces, comes to the daemon.
 */
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { containerAddress, raiseFan, showFans } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { iperf } from '../../../bench/lab/iperf.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import type { Namespace } from '../../../bench/lab/namespace.js';
import { ping, UNANSWERED } from '../../../bench/lab/ping.js';
import { FANCTL } from '../../../bench/lab/repository.js';
import { FandClient } from '../../../src/control/client.js';
import { type Counters, runPaths } from '../../../src/control/protocol.js';
import { echoUdp, FAN, FanLab, growth, readCounters, readQuietStats, tunReads, until } from '../fan-lab.js';

let net: FanLab;
beforeAll(async () => {
  net = await FanLab.open({}, [...FAN, '--io', 'bpf', 'no-heal']);
});
afterAll(() => net?.remove());

const flow = (counters: Counters, side: string) => [counters[`${side}-packets`], counters[`${side}-bytes`]];
const sameFlow = (one: Counters, side: string, two: Counters, other: string) =>
  isDeepStrictEqual(flow(one, side), flow(two, other));

/** What `work` adds to the counters of both hosts, once each has counted what the other sent. */
async function added(work: () => Promise<unknown>): Promise<[Counters, Counters]> {
  const hosts = [net.host(1), net.host(2)] as const;
  const quiet = async (host: Host) => (await readQuietStats(host)).fans[0]!.counters;
  const before = [await quiet(hosts[0]), await quiet(hosts[1])] as const;
  await work();
  return until(
    async () => [
      growth(before[0], await readCounters(hosts[0])),
      growth(before[1], await readCounters(hosts[1])),
    ],
    ([one, two]) => sameFlow(one, 'encap-tx', two, 'decap-rx') && sameFlow(two, 'encap-tx', one, 'decap-rx'),
  );
}

describe('counters', () => {
  async function expectSame(work: () => Promise<unknown>): Promise<void> {
    const [one, two] = await added(work);
    expect(one['encap-tx-packets']).toBeGreaterThan(0);
    expect(flow(one, 'encap-rx')).toEqual(flow(one, 'encap-tx'));
    expect(Object.keys({ ...one, ...two }).filter((name) => name.startsWith('drop-'))).toEqual([]);
  }

  it.each([
    ['pings', () => ping(net.container(1), net.address(2), { count: 5 })],
    [
      'datagrams, in fragments too',
      () => echoUdp(net.container(1), net.container(2), net.address(2), [1, 9000]),
    ],
  ])('of %s are the same at both ends, packet for packet', (_, work) => expectSame(work));

  // A busy machine's veth may lose a segment of a stream, which no fan can count: then once more.
  it('of super-packets are the same at both ends, packet for packet', { retry: 3 }, () =>
    expectSame(() => iperf(net.container(1), net.container(2), net.address(2), { seconds: 1 })),
  );
});

it('counts what the kernel sends by peer as well', async () => {
  const [one, two] = [net.host(1), net.host(2)];
  const sent = async () => {
    const { peers } = await new FandClient(runPaths(one.dir)).activity();
    const peer = peers.find((each) => each.peer === two.address);
    return [peer?.txPackets ?? 0, peer?.txBytes ?? 0, peer?.rxPackets ?? 0];
  };
  const before = await sent();
  await ping(net.container(1), net.address(2), { count: 5 });
  const grown = async () => (await sent()).map((value, i) => value - before[i]!);
  await expect.poll(grown).toEqual([5, 5 * 84, 5]);
});

describe('while somebody traces', () => {
  const pings = async (count: number) => {
    const seen = await ping(net.container(1), net.address(2), { count });
    expect(seen.received).toBe(count);
  };
  const datagrams = () => echoUdp(net.container(1), net.container(2), net.address(2), [1, 100, 100, 1]);

  const shown = (stdout: string) =>
    stdout.split('\n').filter((line) => line.includes('"path":"encap"')).length;
  /** How many packets came to fand while a trace or capture ran, and what it printed: `least` packets or more. */
  const readsWhile = async (words: string[], work: () => Promise<unknown>, least = 0) => {
    const trace = net.host(1).spawn([process.execPath, FANCTL, ...words]);
    try {
      await trace.prints(/tracing|capturing/);
      const before = await tunReads(net.host(1));
      await work();
      await until(
        async () => trace.stdout,
        (stdout) => shown(stdout) >= least,
      );
      return { reads: (await tunReads(net.host(1))) - before, trace: await trace.stop('SIGINT') };
    } finally {
      await trace.stop();
    }
  };

  it.each([
    ['an unfiltered one sees all', []],
    ['one with a filter sees what matches', ['icmp']],
    ['one for the outer packet, too', ['dst', 'host', '172.30.0.27']],
    ['one that can match any packet, too', ['ip[8]', '>', '5']],
    ['several see theirs', ['--fan', 'fan-250-0-28', 'icmp or udp port 7']],
  ])('%s', async (_, words) => {
    const { reads, trace } = await readsWhile(['trace', '--json', ...words], () => pings(20), 20);
    expect([reads, shown(trace.stdout)]).toEqual([20, 20]);
  });

  it('drops only leave all to the kernel', async () => {
    expect((await readsWhile(['trace', '--drops'], () => pings(3))).reads).toBe(0);
  });

  it.each([
    ['trace', ['trace', '--json', 'udp port 7']],
    ['capture', ['capture', '-w', '/dev/null', 'udp port 7 or host 250.0.27.3']],
  ])('flows that a %s can not show go by the kernel, from their second packet on', async (_, words) => {
    const [one, two] = await added(async () => {
      // Each sent after the answer to the one before: a busy fand may be long about the first.
      const oneByOne = ['ping', '-n', '-A', '-c', '50', net.address(2)];
      const { reads, trace } = await readsWhile(words, () => net.container(1).exec(oneByOne));
      expect(reads).toBeGreaterThan(0);
      expect(reads).toBeLessThan(5);
      expect(shown(trace.stdout)).toBe(0);
    });
    expect(one['encap-tx-packets']).toBe(50);
    expect(flow(one, 'encap-tx')).toEqual(flow(two, 'decap-rx'));
  });

  it('a bulk flow goes by the kernel while every packet of another is shown', async () => {
    const work = async () => {
      const bulk = iperf(net.container(1), net.container(2), net.address(2), { seconds: 2 });
      // Not all are answered: a stream fills the way to the peer until something is lost.
      await ping(net.container(1), net.address(2), { count: 50, intervalMs: 10 });
      await bulk;
    };
    const before = await readCounters(net.host(1));
    const { reads, trace } = await readsWhile(['trace', '--json', 'icmp'], work, 50);
    expect(shown(trace.stdout)).toBe(50);
    // A few of each flow until it is found to be another, and what waited in the TUN's queue meanwhile.
    expect(reads).toBeLessThan(50 + 600);
    const grown = growth(before, await readCounters(net.host(1)));
    expect(grown['encap-tx-packets']).toBeGreaterThan(20_000);
  });

  it('a filter that comes later takes its flow back', async () => {
    const { reads, trace } = await readsWhile(['trace', '--json', 'udp port 7'], async () => {
      await pings(5);
      const second = await readsWhile(['trace', '--json', 'icmp'], () => pings(20), 20);
      expect([second.reads, shown(second.trace.stdout)]).toEqual([20, 20]);
      await datagrams();
    });
    expect(shown(trace.stdout)).toBe(0);
    expect(reads).toBeLessThan(20 + 15);
    await pings(1);
    expect(await added(() => pings(3))).toMatchObject([{ 'encap-tx-packets': 3 }, {}]);
  });
});

describe('what the kernel must not send', () => {
  it.each([
    ['the network address of the underlay', '250.0.0.9', 'underlay-network'],
    ['the broadcast address of the underlay', '250.255.255.9', 'underlay-broadcast'],
  ])('counts as a drop: a destination that is %s', async (_, address, reason) => {
    const [one] = await added(() => ping(net.container(1), address, { ...UNANSWERED, count: 1 }));
    expect(one[`drop-${reason}-packets`]).toBe(1);
    expect(one['encap-tx-packets']).toBeUndefined();
  });
});

describe('what comes in', () => {
  /** Packets that a device took in, and their bytes. */
  const receivedBy = async (host: Namespace, device: string): Promise<{ packets: number; bytes: number }> => {
    const { stdout } = await host.exec(['ip', '-s', '-j', 'link', 'show', 'dev', device]);
    return (JSON.parse(stdout) as { stats64: { rx: { packets: number; bytes: number } } }[])[0]!.stats64.rx;
  };
  /** Packets that fand wrote into the TUN of a host: the kernel's own are not among them. */
  const written = async (host: number) => (await receivedBy(net.host(host), TUN(host))).packets;
  const TUN = (host: number) => net.fan(host).bridge.replace('fan', 'tun');
  const answered = async (count: number, timeoutMs?: number) =>
    (await ping(net.container(1), net.address(2), { count, ...(timeoutMs !== undefined && { timeoutMs }) }))
      .received;

  it('comes in without fand, both ways', async () => {
    const before = [await written(1), await written(2)];
    expect(await answered(5)).toBe(5);
    expect([await written(1), await written(2)]).toEqual(before);
  });

  it('reaches the container as super-packets', async () => {
    expect(await answered(1)).toBe(1);
    const [before, writtenBefore] = [await receivedBy(net.container(2), 'eth0'), await written(2)];
    await iperf(net.container(1), net.container(2), net.address(2), { seconds: 1 });
    const after = await receivedBy(net.container(2), 'eth0');
    expect(after.bytes - before.bytes).toBeGreaterThan(10e6);
    expect((after.bytes - before.bytes) / (after.packets - before.packets)).toBeGreaterThan(3000);
    expect((await written(2)) - writtenBefore).toBeLessThan(100);
  });

  it.each([
    [
      'at the ingress of the underlay, that drops',
      'netdev',
      'type filter hook ingress device eth0 priority 0',
      0,
    ],
    ['of bridges, that drops nothing', 'bridge', 'type filter hook forward priority 0', 5],
  ])('passes by no chain %s', async (_, family, hook, received) => {
    const host = net.host(2);
    const notes = async () => (await showFans(host))[0]!.ioNotes;
    const rule = received === 0 ? 'ip protocol 4 drop' : 'ip protocol icmp accept';
    const before = await written(2);
    await host.exec(['nft', `table ${family} fw { chain c { ${hook}; ${rule}; }; }`]);
    try {
      expect(await answered(5, received === 0 ? 1000 : undefined)).toBe(received);
      await until(notes, (all) => all.length > 0);
      expect(await notes()).toEqual([`bpf: decap in fand: packets would pass by the chain ${family} fw c`]);
      expect((await written(2)) - before).toBe(received);
    } finally {
      await host.exec(['nft', 'delete', 'table', family, 'fw']);
    }
    await until(notes, (all) => all.length === 0);
    expect(await answered(5)).toBe(5);
    expect((await written(2)) - before).toBe(received);
  });

  it('passes by no chain at the egress of the underlay, that drops', async () => {
    const host = net.host(1);
    const notes = async () => (await showFans(host))[0]!.ioNotes;
    const hook = 'type filter hook egress device eth0 priority 0';
    await host.exec(['nft', `table netdev fw { chain c { ${hook}; ip protocol 4 drop; }; }`]);
    try {
      await until(notes, (all) => all.length > 0);
      expect(await notes()).toEqual(['bpf: encap in fand: packets would pass by the chain netdev fw c']);
      expect(await answered(3, 1000)).toBe(0);
    } finally {
      await host.exec(['nft', 'delete', 'table', 'netdev', 'fw']);
    }
    await until(notes, (all) => all.length === 0);
    expect(await answered(3)).toBe(3);
  });

  it('lets bursts pass a chain of bridges too', async () => {
    const host = net.host(2);
    const notes = async () => (await showFans(host))[0]!.ioNotes;
    const chain = 'chain c { type filter hook output priority 0; ip protocol tcp counter name burst; }';
    await host.exec(['nft', `table bridge fw { counter burst { }; ${chain}; }`]);
    try {
      await until(notes, (all) => all.length > 0);
      const { bytes } = await iperf(net.container(1), net.container(2), net.address(2), { seconds: 1 });
      const { stdout } = await host.exec(['nft', '-j', 'list', 'counter', 'bridge', 'fw', 'burst']);
      expect(Number(/"bytes": (\d+)/.exec(stdout)?.[1])).toBeGreaterThan(bytes);
    } finally {
      await host.exec(['nft', 'delete', 'table', 'bridge', 'fw']);
    }
    await until(notes, (all) => all.length === 0);
  });

  it.each([
    ['filters at the ingress of the underlay', 'clsact', () => ['eth0', 'clsact']],
    [
      'shaping of the bridge',
      'tbf',
      () => [net.fan(2).bridge, ...'root tbf rate 1gbit burst 1m latency 50ms'.split(' ')],
    ],
  ])('passes by no %s', async (_, kind, words) => {
    const host = net.host(2);
    const [device = '', ...qdisc] = words();
    const notes = async () => (await showFans(host))[0]!.ioNotes;
    const before = await written(2);
    await host.exec(['tc', 'qdisc', 'add', 'dev', device, ...qdisc]);
    try {
      expect(await answered(5)).toBe(5);
      expect((await written(2)) - before).toBe(5);
      const note = `bpf: decap in fand: packets would pass by the ${kind} of tc at ${device}`;
      await until(notes, (all) => isDeepStrictEqual(all, [note]));
    } finally {
      await host.exec(['tc', 'qdisc', 'del', 'dev', device, qdisc[0]!]);
    }
    await until(notes, (all) => all.length === 0);
    expect(await answered(5)).toBe(5);
    expect((await written(2)) - before).toBe(5);
  });

  it('is counted as a drop where the TUN is down', async () => {
    const host = net.host(2);
    await host.ip(`link set ${TUN(2)} down`);
    const drops = async () => {
      await answered(1, 200);
      return (await readCounters(host))['drop-tun-write-failed-packets']!;
    };
    await until(drops, (count) => count > 0);
    await host.fanctl(['doctor', '--fix']);
    expect(await answered(5)).toBe(5);
  });

  it('comes back to the kernel once the bridge has been made anew', async () => {
    const host = net.host(2);
    await host.ip(`link del ${net.fan(2).bridge}`);
    await host.fanctl(['doctor', '--fix']);
    const [end] = (await host.exec(['ls', '/sys/class/net'])).stdout
      .split('\n')
      .filter((name) => name.startsWith('c'));
    await host.ip(`link set ${end} master ${net.fan(2).bridge}`);
    const notes = async () => (await showFans(host))[0]!.ioNotes;
    await until(notes, (all) => all.length === 0);
    const before = await written(2);
    expect(await answered(5)).toBe(5);
    expect((await written(2)) - before).toBe(0);
  });
});

describe('on an underlay that is a bridge', () => {
  let lab: Lab;
  afterAll(() => lab?.remove());

  it('the mark of an outer packet does not come in with the inner one', async () => {
    lab = await createLab();
    const [one, two] = [lab.host(1), lab.host(2)];
    await two.ip(
      'link add br0 type bridge',
      'link set br0 up',
      'address flush dev eth0',
      'link set eth0 master br0',
      `address add ${two.address}/16 dev br0`,
    );
    await raiseFan(one, [...FAN, '--io', 'bpf']);
    const { view } = await raiseFan(two, ['250.0.0.0/8', 'br0/16', '--io', 'bpf']);
    await two.exec(['sysctl', '-qw', 'net.bridge.bridge-nf-call-iptables=1']);
    // The bridge shows its packets to this chain before they are its own.
    await two.exec([
      'iptables',
      '-t',
      'mangle',
      '-A',
      'PREROUTING',
      '-p',
      '4',
      '-j',
      'MARK',
      '--set-mark',
      '7',
    ]);
    await two.exec(['iptables', '-t', 'mangle', '-A', 'FORWARD', '-m', 'mark', '--mark', '7', '-j', 'DROP']);
    const { received } = await ping(one.container(1), containerAddress(view, 1), { count: 3 });
    expect(received).toBe(3);
    const { stdout } = await two.exec(['iptables', '-t', 'mangle', '-nvxL', 'PREROUTING']);
    expect(stdout).toMatch(/^ +[1-9]\d* .* MARK set 0x7/m);
    expect(await showFans(two)).toMatchObject([{ io: 'bpf', ioNotes: [] }]);
  });
});
