/**
 * The shapes of network that a fan has to fit: several hosts with several containers, every width of underlay, several
 * fans and several underlays on a host, links that carry more or less than 1500 bytes, and the world outside.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { Capture, fields } from '../../../bench/lab/capture.js';
import { containerAddress, raiseFan, showFans } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import type { Namespace } from '../../../bench/lab/namespace.js';
import { ping, UNANSWERED } from '../../../bench/lab/ping.js';
import { randomFile, sendFile, sendMessage } from '../../../bench/lab/transfer.js';
import type { FanView } from '../../../src/control/protocol.js';
import { echoUdp, FAN, FanLab, readCounters } from '../fan-lab.js';

async function expectReaches(from: Namespace, address: string): Promise<void> {
  const { received, text } = await ping(from, address, { count: 1 });
  expect({ received, text }).toMatchObject({ received: 1 });
}

/** The address that a TCP server in `to` sees its client at. */
async function seenSource(from: Namespace, to: Namespace, address: string): Promise<string> {
  const server = to.spawn(['nc', '-n', '-v', '-l', '9000']);
  try {
    await server.prints(/Listening on/);
    await from.exec(['nc', '-n', '-N', '-w', '30', address, '9000'], { input: '' });
    const { stderr } = await server.finish();
    return /Connection received on (\S+)/.exec(stderr)?.[1] ?? stderr;
  } finally {
    await server.stop();
  }
}

describe('three hosts of three containers each', () => {
  let net: FanLab;
  beforeAll(async () => {
    net = await FanLab.open({ hosts: 3, containers: 3 });
  });
  afterAll(() => net?.remove());

  it('every container reaches every other, and every gateway', async () => {
    const places = net.lab.hosts.flatMap((host) =>
      host.containers.map((one) => [one, net.address(host.index, one.index)] as const),
    );
    const targets = [...places.map(([, address]) => address), ...net.fans.map(({ gateway }) => gateway)];
    const each = 'for to in "$@"; do ping -n -q -c 1 -W 3 "$to" >/dev/null || echo "$to"; done';
    const unreached = await Promise.all(
      places.map(async ([from]) => (await from.exec(['sh', '-c', each, 'sh', ...targets])).stdout),
    );
    expect(unreached.join('')).toBe('');
  });

  it('every host reaches the containers of the others, as its gateway address', async () => {
    expect(await seenSource(net.host(3), net.container(1, 2), net.address(1, 2))).toBe(net.fan(3).gateway);
  });

  it('a container is seen under its own address inside the overlay', async () => {
    expect(await seenSource(net.container(1, 3), net.container(2, 2), net.address(2, 2))).toBe('250.0.28.4');
    expect(await seenSource(net.container(1, 3), net.host(2), net.fan(2).gateway)).toBe('250.0.28.4');
  });

  it('a container is seen under its host address outside it', async () => {
    expect(await seenSource(net.container(1, 3), net.host(2), net.host(2).address)).toBe('172.30.0.28');
  });
});

/** Overlay, underlay address of each host, slice of each, bridge of the first: rows of the specification. */
const WIDTHS = [
  ['250.0.0.0/8', '172.30.0.28/16', '172.30.0.27/16', '250.0.28.0/24', '250.0.27.0/24', 'fan-250-0-28'],
  ['33.0.0.0/8', '10.111.1.2/12', '10.96.7.9/12', '33.240.16.32/28', '33.0.112.144/28', 'fan-21f01020'],
  ['99.0.0.0/8', '10.99.238.5/20', '10.99.224.9/20', '99.224.80.0/20', '99.0.144.0/20', 'fan-99-224-80'],
  [
    '240.0.0.0/5',
    '10.88.244.215/20',
    '10.88.240.1/20',
    '242.107.128.0/17',
    '240.0.128.0/17',
    'fan-242-107-128',
  ],
  [
    '100.64.0.0/10',
    '10.224.220.10/24',
    '10.224.220.11/24',
    '100.66.128.0/18',
    '100.66.192.0/18',
    'fan-100-66-128',
  ],
  ['240.0.0.0/8', '192.168.202.11/24', '192.168.202.12/24', '240.11.0.0/16', '240.12.0.0/16', 'fan-240-11'],
  [
    '240.7.0.0/16',
    '192.168.202.11/24',
    '192.168.202.12/24',
    '240.7.11.0/24',
    '240.7.12.0/24',
    'fan-240-7-11',
  ],
] as const;

it.each(WIDTHS)('%s on %s', async (overlay, first, second, slice, peerSlice, bridge) => {
  const net = await FanLab.open({ underlays: [first, second] }, [overlay, `eth0/${first.split('/')[1]}`]);
  onTestFinished(() => net.remove());
  expect(net.fan(1)).toMatchObject({ bridge, overlay, underlay: first, slice });
  expect(net.fan(2)).toMatchObject({ underlay: second, slice: peerSlice });
  const [one, two] = [net.container(1), net.container(2)];
  await expectReaches(one, net.address(2));
  expect(await sendMessage(two, one, net.address(1), 'a message')).toBe('a message');
  await echoUdp(one, two, net.address(2), [1, 3000]);
});

/** A fan whose bridge gets only the container of that index. */
async function raiseFor(host: Host, index: number, words: readonly string[]): Promise<FanView> {
  const { stdout } = await host.fanctl(['up', ...words]);
  const fan = (await showFans(host)).find(({ bridge }) => stdout.includes(bridge));
  if (!fan) throw new Error(`show knows nothing of ${stdout}`);
  const { bridge, gateway, mtu, slice } = fan;
  const address = `${containerAddress(fan, index)}/${slice.split('/')[1]}`;
  await host.container(index).attach({ bridge, address, gateway, mtu });
  return fan;
}

describe('two overlays on one underlay address', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({ containers: 2 });
    for (const host of lab.hosts) {
      await raiseFor(host, 1, ['250.0.0.0/8', 'eth0/16']);
      await raiseFor(host, 2, ['251.0.0.0/8', 'eth0/16']);
    }
  });
  afterAll(() => lab?.remove());

  it('each carries its own containers, and counts them', async () => {
    await expectReaches(lab.host(1).container(1), '250.0.27.2');
    await expectReaches(lab.host(1).container(2), '251.0.27.3');
    await expectReaches(lab.host(1).container(2), '251.0.27.3');
    for (const [bridge, packets] of [
      ['fan-250-0-28', 1],
      ['fan-251-0-28', 2],
    ] as const) {
      await expect
        .poll(() => readCounters(lab.host(1), bridge))
        .toMatchObject({ 'encap-tx-packets': packets, 'decap-tx-packets': packets });
    }
  });

  it('from one into the other a container is seen under its gateway of that one', async () => {
    const [from, to] = [lab.host(1).container(1), lab.host(2).container(2)];
    expect(await seenSource(from, to, '251.0.27.3')).toBe('251.0.28.1');
  });

  it('one goes on when the other is taken down', async () => {
    await lab.host(1).fanctl(['down', '250.0.0.0/8', 'eth0/16', '--force']);
    await expectReaches(lab.host(1).container(2), '251.0.27.3');
    expect(await ping(lab.host(1).container(1), '250.0.27.2', { ...UNANSWERED, count: 1 })).toMatchObject({
      received: 0,
    });
  });
});

describe('a host on two underlays', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({ containers: 2 });
    await lab.wire.ip('link add second type bridge forward_delay 0', 'link set second up');
    for (const host of lab.hosts) {
      await lab.wire.ip(
        `link add s${host.index} type veth peer name eth1 netns ${host.name}`,
        `link set s${host.index} master second up`,
      );
      await host.ip(`address add 10.20.0.${4 + host.index}/24 dev eth1`, 'link set eth1 up');
      await raiseFor(host, 1, ['250.0.0.0/8', 'eth0/16']);
      await raiseFor(host, 2, ['240.0.0.0/8', 'eth1/24']);
    }
  });
  afterAll(() => lab?.remove());

  it('has a fan on each, whose packets take its own device and source', async () => {
    const ways = [
      ['h2', 1, '250.0.27.2', '172.30.0.27'],
      ['s2', 2, '240.6.0.3', '10.20.0.6'],
    ] as const;
    const start = ([port, , , peer]: (typeof ways)[number]) =>
      Capture.start(lab.wire, port, join(lab.dir, `${port}.pcap`), `ip proto 4 and dst host ${peer}`);
    const captures = await Promise.all(ways.map(start));
    for (const [, index, address] of ways) await expectReaches(lab.host(1).container(index), address);
    await Promise.all(captures.map((capture) => capture.stop()));
    const sources = await Promise.all(captures.map(({ file }) => fields(file, ['ip.src', 'ip.dst'])));
    expect(sources).toEqual([
      [['172.30.0.28,250.0.28.2', '172.30.0.27,250.0.27.2']],
      [['10.20.0.5,240.5.0.3', '10.20.0.6,240.6.0.3']],
    ]);
  });

  it('masquerades on whichever device a packet leaves by', async () => {
    const [first, second] = lab.host(1).containers;
    if (!first || !second) throw new Error('two containers are missing');
    expect(await seenSource(first, lab.host(2), '172.30.0.27')).toBe('172.30.0.28');
    expect(await seenSource(first, lab.host(2), '10.20.0.6')).toBe('10.20.0.5');
    expect(await seenSource(second, lab.host(2), '172.30.0.27')).toBe('172.30.0.28');
    expect(await seenSource(second, lab.host(2), '10.20.0.6')).toBe('10.20.0.5');
  });
});

it('a container reaches a host without a fan, masqueraded', async () => {
  const lab = await createLab({ hosts: 3 });
  onTestFinished(() => lab.remove());
  await raiseFan(lab.host(1), ['250.0.0.0/8', 'eth0/16']);
  const [container, outside] = [lab.host(1).container(1), lab.host(3)];
  expect(await seenSource(container, outside, outside.address)).toBe('172.30.0.28');
  await echoUdp(container, outside, outside.address, [1, 1452, 30_000]);
});

it.each([
  [9001, 8981],
  [1400, 1380],
])('on an underlay of MTU %i the overlay has %i, and uses all of it', async (mtu, inner) => {
  const net = await FanLab.open({ mtu });
  onTestFinished(() => net.remove());
  expect(net.fan(1).mtu).toBe(inner);
  const [one, two] = [net.container(1), net.container(2)];
  expect(await ping(one, net.address(2), { count: 1, size: inner - 28, df: true })).toMatchObject({
    received: 1,
  });
  const over = await ping(one, net.address(2), { ...UNANSWERED, count: 1, size: inner - 27, df: true });
  expect(over).toMatchObject({ received: 0 });
  await echoUdp(one, two, net.address(2), [inner - 28, inner - 27, 65_507]);
  const text = 'x'.repeat(1_000_000);
  expect((await sendMessage(one, two, net.address(2), text)) === text).toBe(true);
  for (const host of net.lab.hosts) {
    expect(await readCounters(host)).toMatchObject({ 'fragment-tx-packets': 0, 'drop-too-big-packets': 0 });
  }
});

it.each(['raw', 'packet', 'bpf'])(
  'containers of MTU 1480 get bulk TCP over an underlay of 9001, io %s',
  async (io) => {
    const net = await FanLab.open({ mtu: 9001 }, [...FAN, '--io', io]);
    onTestFinished(() => net.remove());
    for (const [index, host] of net.lab.hosts.entries()) {
      const { bridge, gateway, slice } = net.fan(index + 1);
      const address = `${net.address(index + 1)}/${slice.split('/')[1]}`;
      await host.container(1).attach({ bridge, address, gateway, mtu: 1480 });
    }
    const file = await randomFile(net.container(1), net.lab.dir, 10_000_000);
    const received = join(net.lab.dir, 'received');
    const { sha256 } = await sendFile(
      net.container(1),
      net.container(2),
      net.address(2),
      file.path,
      received,
    );
    expect(sha256).toBe(file.sha256);
  },
);
