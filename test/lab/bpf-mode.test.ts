/**
 * What is particular to `--io bpf`: what the kernel sends is counted as if it had gone by the daemon, and what it must
 * not send, or what somebody traces, comes to the daemon.
 */
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { iperf } from '../../bench/lab/iperf.js';
import { ping, UNANSWERED } from '../../bench/lab/ping.js';
import { FANCTL } from '../../bench/lab/repository.js';
import { FandClient } from '../../src/cli/client.js';
import { type Counters, runPaths } from '../../src/daemon/protocol.js';
import { echoUdp, FAN, FanLab, growth, readCounters, tunReads, until } from './fan-lab.js';

let net: FanLab;
beforeAll(async () => {
  net = await FanLab.open({}, [...FAN, '--io', 'bpf']);
});
afterAll(() => net?.remove());

const flow = (counters: Counters, side: string) => [counters[`${side}-packets`], counters[`${side}-bytes`]];
const sameFlow = (one: Counters, side: string, two: Counters, other: string) =>
  isDeepStrictEqual(flow(one, side), flow(two, other));

/** What `work` adds to the counters of both hosts, once each has counted what the other sent. */
async function added(work: () => Promise<unknown>): Promise<[Counters, Counters]> {
  const hosts = [net.host(1), net.host(2)] as const;
  const before = [await readCounters(hosts[0]), await readCounters(hosts[1])] as const;
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
