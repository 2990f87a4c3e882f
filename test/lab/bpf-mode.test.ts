/**
 * What is particular to `--io bpf`: what the kernel sends is counted as if it had gone by the daemon, and what it must
 * not send comes to the daemon.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { iperf } from '../../bench/lab/iperf.js';
import { ping } from '../../bench/lab/ping.js';
import { FANCTL } from '../../bench/lab/repository.js';
import { FandClient } from '../../src/cli/client.js';
import { type Counters, runPaths } from '../../src/daemon/protocol.js';
import { echoUdp, FAN, FanLab, growth, readCounters } from './fan-lab.js';

let net: FanLab;
beforeAll(async () => {
  net = await FanLab.open({}, [...FAN, '--io', 'bpf']);
});
afterAll(() => net?.remove());

/** What `work` adds to the counters of both hosts. */
async function added(work: () => Promise<unknown>): Promise<[Counters, Counters]> {
  const before = [await readCounters(net.host(1)), await readCounters(net.host(2))] as const;
  await work();
  return [
    growth(before[0], await readCounters(net.host(1))),
    growth(before[1], await readCounters(net.host(2))),
  ];
}

const flow = (counters: Counters, side: string) => [counters[`${side}-packets`], counters[`${side}-bytes`]];

describe('counters', () => {
  it.each([
    ['pings', () => ping(net.container(1), net.address(2), { count: 5, intervalMs: 10 })],
    [
      'datagrams, in fragments too',
      () => echoUdp(net.container(1), net.container(2), net.address(2), [1, 9000]),
    ],
    ['super-packets', () => iperf(net.container(1), net.container(2), net.address(2), { seconds: 1 })],
  ])('of %s are the same at both ends, packet for packet', async (_, work) => {
    const [one, two] = await added(work);
    expect(one['encap-tx-packets']).toBeGreaterThan(0);
    expect(flow(one, 'encap-rx')).toEqual(flow(one, 'encap-tx'));
    expect(flow(one, 'encap-tx')).toEqual(flow(two, 'decap-rx'));
    expect(flow(two, 'encap-tx')).toEqual(flow(one, 'decap-rx'));
    expect(Object.keys({ ...one, ...two }).filter((name) => name.startsWith('drop-'))).toEqual([]);
  });
});

it('counts what the kernel sends by peer as well', async () => {
  const [one, two] = [net.host(1), net.host(2)];
  const sent = async () => {
    const { peers } = await new FandClient(runPaths(one.dir)).activity();
    const peer = peers.find((each) => each.peer === two.address);
    return [peer?.txPackets ?? 0, peer?.txBytes ?? 0, peer?.rxPackets ?? 0];
  };
  const before = await sent();
  await ping(net.container(1), net.address(2), { count: 5, intervalMs: 10 });
  const after = await sent();
  expect(after.map((value, i) => value - before[i]!)).toEqual([5, 5 * 84, 5]);
});

describe('a trace', () => {
  const tunReads = async () => {
    const { stdout } = await net.host(1).exec(['ip', '-s', '-j', 'link', 'show', 'type', 'tun']);
    return (JSON.parse(stdout) as { stats64: { tx: { packets: number } } }[])[0]!.stats64.tx.packets;
  };

  it.each([
    ['of all packets makes the kernel leave them to the daemon', [], 3],
    ['of drops leaves them to the kernel', ['--drops'], 0],
  ])('%s', async (_, words, expected) => {
    const trace = net.host(1).spawn([process.execPath, FANCTL, 'trace', ...words]);
    try {
      await trace.prints(/tracing/);
      const before = await tunReads();
      expect(await ping(net.container(1), net.address(2), { count: 3, intervalMs: 10 })).toMatchObject({
        received: 3,
      });
      expect((await tunReads()) - before).toBe(expected);
    } finally {
      await trace.stop();
    }
  });
});

describe('what the kernel must not send', () => {
  it.each([
    ['the network address of the underlay', '250.0.0.9', 'underlay-network'],
    ['the broadcast address of the underlay', '250.255.255.9', 'underlay-broadcast'],
  ])('counts as a drop: a destination that is %s', async (_, address, reason) => {
    const [one] = await added(() => ping(net.container(1), address, { count: 1 }));
    expect(one[`drop-${reason}-packets`]).toBe(1);
    expect(one['encap-tx-packets']).toBeUndefined();
  });
});
