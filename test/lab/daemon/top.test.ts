/** `fanctl top` on a host that carries traffic: its rates are those that iperf3 measures, and its peers are right. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ping } from '../../../bench/lab/ping.js';
import type { Reading } from '../../../src/cli/output/activity-rates.js';
import { FAN, FanLab, PYTHON, until } from '../fan-lab.js';

/** Of the payload that iperf3 counts, IP and UDP headers beside 1000 bytes are 3 %; the rest is when one looks. */
const TOLERANCE = 0.25;
/** Little enough that the TUN's queue bears half a second in which nobody reads it. */
const BITS = 10e6;
const DATAGRAM = 1000;

async function readTop(net: FanLab, host: number, ...words: string[]): Promise<Reading> {
  const { stdout } = await net.host(host).fanctl(['top', '--json', ...words]);
  return JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as Reading;
}

function near(value: number, expected: number): void {
  expect(value).toBeGreaterThan(expected * (1 - TOLERANCE));
  expect(value).toBeLessThan(expected * (1 + TOLERANCE));
}

/** iperf3's UDP from container 1 to container 2, for as long as `act` takes. */
async function whileSending(net: FanLab, act: () => Promise<void>): Promise<void> {
  const server = net.container(2).spawn(['iperf3', '-s', '-1', '--forceflush']);
  await server.prints(/Server listening/);
  const rate = ['-u', '-b', `${BITS}`, '-l', `${DATAGRAM}`];
  const client = net.container(1).spawn(['iperf3', '-c', net.address(2), '-t', '100', ...rate]);
  try {
    await act();
  } finally {
    await client.stop();
    await server.stop();
  }
}

describe.each(['raw', 'packet'])('top with io %s', (io) => {
  let net: FanLab;
  beforeAll(async () => {
    net = await FanLab.open({}, [...FAN, '--io', io]);
    await ping(net.container(1), net.address(2), { count: 2 });
  });
  afterAll(() => net?.remove());

  it('shows what iperf3 sends, at both ends', async () => {
    let from!: Reading;
    let to!: Reading;
    await whileSending(net, async () => {
      await until(
        () => readTop(net, 1, '-d', '0.2'),
        ({ fans }) => fans[0]!.out.bitsPerSecond > BITS / 2,
      );
      [from, to] = await Promise.all([readTop(net, 1, '-d', '2'), readTop(net, 2, '-d', '2')]);
    });
    near(from.fans[0]!.out.bitsPerSecond, BITS);
    near(from.fans[0]!.out.packetsPerSecond, BITS / 8 / DATAGRAM);
    near(to.fans[0]!.in.bitsPerSecond, BITS);
    near(to.fans[0]!.in.packetsPerSecond, BITS / 8 / DATAGRAM);
    expect(from.peers).toHaveLength(1);
    expect(from.peers[0]).toMatchObject({ peer: net.host(2).address, bridge: net.fan(1).bridge });
    near(from.peers[0]!.out.bitsPerSecond, BITS);
    expect(to.peers[0]!.peer).toBe(net.host(1).address);
    near(to.peers[0]!.in.bitsPerSecond, BITS);
    expect(from.workers[0]!.busyPercent).toBeGreaterThan(0);
    expect(from.workers[0]!.busyPercent).toBeLessThanOrEqual(from.cpuPercent + 5);
    expect(from.rssBytes).toBeGreaterThan(20e6);
  });

  it('shows as lines what it counts, with drops by the names of stats', async () => {
    // To an address of our own slice that nobody has on the bridge: routed into the TUN by hand.
    const hole = net.fan(1).gateway.replace(/\.1$/, '.77');
    await net.host(1).ip(`route add ${hole}/32 dev ${net.fan(1).bridge.replace('fan', 'tun')}`);
    const send = `import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("${hole}", 9))`;
    await net.container(1).exec(['ip', 'route', 'replace', `${hole}/32`, 'via', net.fan(1).gateway]);
    await net.container(1).exec([PYTHON, '-c', send]);
    const { stdout } = await net.host(1).fanctl(['top', '-d', '0.2']);
    expect(stdout).toMatch(/^\S+ {2}fand \d+ up /);
    expect(stdout).toMatch(new RegExp(`^${net.fan(1).bridge} +out `, 'm'));
    expect(stdout).toMatch(new RegExp(`^ {2}io ${io} +in `, 'm'));
    expect(stdout).toMatch(new RegExp(`^${net.fan(1).bridge} +to-ourselves +[0-9.]+ +1$`, 'm'));
    expect(stdout).toMatch(new RegExp(`^${net.host(2).address} +${net.fan(1).bridge} `, 'm'));
  });
});
