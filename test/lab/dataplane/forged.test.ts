/**
 * Who may put packets into a fan (fan-spec: "what a fan promises about packets"): what containers, hosts without a fan and
 * other fans of the host forge, each with the reason of its drop, in every io, with rp_filter off, strict and loose, with
 * and without a firewall whose INPUT drops; and that all that is meant to pass still does.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Capture, fields } from '../../../bench/lab/capture.js';
import { raiseFan, showFans } from '../../../bench/lab/fan.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { awaitLinks } from '../../../bench/lab/links.js';
import type { Namespace } from '../../../bench/lab/namespace.js';
import { ping } from '../../../bench/lab/ping.js';
import { REPOSITORY } from '../../../bench/lab/repository.js';
import { sendMessage } from '../../../bench/lab/transfer.js';
import type { DropReasonName } from '../../../src/base/drop-reason.js';
import { diagnose, named } from '../diagnosis/doctor-lab.js';
import { FAN, growth, PYTHON, readStats, until } from '../fan-lab.js';

const MAKE = join(REPOSITORY, 'test/lab/forged.py');
const SEND = join(REPOSITORY, 'test/lab/send-frames.py');
const OTHER = ['251.0.0.0/8', 'eth0/16'];
const [BRIDGE, OTHER_BRIDGE] = ['fan-250-0-28', 'fan-251-0-28'];
const PUBLISHED = 9000;
/** Of the victim, on the underlay. */
const SECOND = '172.30.0.77';
/** But for what is forged as it is sent: forged.py's own address. */
const SEEN = 'udp port 7777 and not ether src 02:66:6f:72:67:65';

/** What is forged, which fan of the victim drops it, and why. */
const FORGED: Readonly<Record<string, readonly [bridge: string, reason: DropReasonName]>> = {
  'a1 tunnel as a neighbour': [BRIDGE, 'container-tunnel'],
  'a1 tunnel as the gateway': [BRIDGE, 'container-tunnel'],
  'a1 tunnel of a container beside the fan': [BRIDGE, 'container-tunnel'],
  'a2 tunnel to a peer': [BRIDGE, 'container-tunnel'],
  'a2 tunnel to its own host': [BRIDGE, 'container-tunnel'],
  'a2 tunnel by the other fan': [OTHER_BRIDGE, 'container-tunnel'],
  'a2 tunnel by a second NIC': [BRIDGE, 'tunnel-astray'],
  'a2 tunnel by a second NIC as the peer': [BRIDGE, 'tunnel-astray'],
  'a2 tunnel through by a second NIC': [BRIDGE, 'tunnel-astray'],
  'a2 tunnel through as a second address': [BRIDGE, 'container-tunnel'],
  'a3 plain as a remote container': [BRIDGE, 'overlay-source-astray'],
  'a3 plain as a container of the slice': [BRIDGE, 'overlay-source-astray'],
  'a3 plain by a second NIC': [BRIDGE, 'overlay-source-astray'],
  'a3 plain from nowhere': [BRIDGE, 'source-unroutable'],
  'a3 plain to another slice': [BRIDGE, 'overlay-source-astray'],
  'a3 plain to another slice as itself': [BRIDGE, 'source-not-ours'],
  'a4 plain to a neighbour': [BRIDGE, 'bridge-source'],
  'a4 plain to a peer as the gateway': [BRIDGE, 'bridge-source'],
  'a4 plain to third parties': [BRIDGE, 'bridge-source'],
  'a5 plain to a remote container': [OTHER_BRIDGE, 'bridge-source'],
  'a5 plain to a local container': [OTHER_BRIDGE, 'bridge-source'],
  'a8 DNS from the underlay': [BRIDGE, 'service-astray'],
  'a8 DHCP from the underlay': [BRIDGE, 'service-astray'],
  'a8 DNS from a remote container': [BRIDGE, 'service-astray'],
  'a8 DNS from the other fan': [BRIDGE, 'service-astray'],
};
/** By encap; by the kernel, which takes its own address from nobody; by NAT, which has room for one tunnel to a peer at a time. */
const STOPPED_BY_OTHERS = [
  'a3 plain to another slice as itself',
  'a4 plain to a peer as the gateway',
  'a1 tunnel of a container beside the fan',
];
const SETTINGS = [0, 1, 2].flatMap((rpFilter) => [true, false].map((drops) => [rpFilter, drops] as const));

/** INPUT lets nothing in but what a host needs; FORWARD lets all pass. */
const FIREWALL = `table inet guarded {
  chain input { type filter hook input priority 0; policy drop;
    iif lo accept; ct state established,related accept; ip protocol { icmp, tcp } accept; }
  chain forward { type filter hook forward priority 0; policy accept; }
}`;
/**
 * As `docker run -p` does: to the first container, and back to its neighbours by way of the host. And for the network of
 * the second NIC what Docker does for docker0; one host there has an address of its own on the underlay.
 */
const PUBLISHING = `table ip published {
  chain in { type nat hook prerouting priority -100; fib daddr type local tcp dport ${PUBLISHED} dnat to 250.0.28.2; }
  chain out { type nat hook postrouting priority 100; ip saddr 250.0.28.0/24 ip daddr 250.0.28.2 masquerade;
    ip saddr 10.20.0.7 oifname "eth0" snat to ${SECOND};
    ip saddr 10.20.0.0/24 oifname "eth0" masquerade; }
}`;

let lab: Lab;
let frames: Record<string, { from: string; frame: string }>;

const victim = () => lab.host(1);
const peer = () => lab.host(2).container(1);
const outsider = () => lab.host(3);

function places(): Record<string, readonly [Namespace, device: string]> {
  return {
    c1: [victim().container(1), 'eth0'],
    c3: [victim().container(3), 'eth0'],
    peer: [peer(), 'eth0'],
    eth0: [outsider(), 'eth0'],
    eth1: [outsider(), 'eth1'],
  };
}

/** All of it at once. */
async function forge(): Promise<void> {
  const sending = Object.entries(places()).map(async ([place, [from, device]]) => {
    const own = Object.values(frames).filter((each) => each.from === place);
    await from.exec([PYTHON, SEND, device, ...own.map(({ frame }) => frame)]);
  });
  await Promise.all(sending);
}

/** Starts to watch wherever something forged, or an answer, would be delivered. */
async function watch(title: string): Promise<() => Promise<string[]>> {
  const where = { ...places(), c2: [victim().container(2), 'eth0'] as const };
  const captures = await Promise.all(
    Object.entries(where).map(([name, [from, device]]) =>
      Capture.start(from, device, join(lab.dir, `${title}-${name}.pcap`), SEEN),
    ),
  );
  return async () => {
    await Promise.all(captures.map((capture) => capture.stop()));
    const rows = await Promise.all(captures.map(({ file }) => fields(file, ['udp.payload', 'dns.qry.name'])));
    const nameOf = ([payload = '', query = '']: string[]) => query || Buffer.from(payload, 'hex').toString();
    return [...new Set(rows.flat().map(nameOf))].sort();
  };
}

async function drops(): Promise<Record<string, number>> {
  const { fans } = await readStats(victim());
  return Object.fromEntries(
    fans.flatMap(({ bridge, counters }) =>
      Object.entries(counters)
        .filter(([name]) => name.startsWith('drop-'))
        .map(([name, count]) => [`${bridge} ${name.slice(5, -8)}`, count]),
    ),
  );
}

/** Of one round of all that is forged. */
function expectedDrops(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [bridge, reason] of Object.values(FORGED)) {
    counts[`${bridge} ${reason}`] = (counts[`${bridge} ${reason}`] ?? 0) + 1;
  }
  return counts;
}

async function macOf(where: Namespace, device: string): Promise<string> {
  return (await where.exec(['cat', `/sys/class/net/${device}/address`])).stdout.trim();
}

/** Three hosts, the last without a fan; the victim has a second NIC, which leads to it as well. */
async function setUp(io: string, isVxlan: boolean): Promise<void> {
  const words = ['--io', io, ...(isVxlan ? ['vxlan'] : [])];
  lab = await createLab({ hosts: 3, containers: 3 });
  await victim().ip(
    `link add eth1 type veth peer name eth1 netns ${outsider().name}`,
    'address add 10.20.0.5/24 dev eth1',
    'link set eth1 up',
    `address add ${SECOND}/32 dev eth0`,
  );
  await outsider().ip('address add 10.20.0.6/24 dev eth1', 'link set eth1 up');
  await awaitLinks(victim().name, 'eth1');
  await awaitLinks(outsider().name, 'eth1');
  await victim().exec(['nft', FIREWALL]);
  await victim().exec(['nft', PUBLISHING]);
  const [{ view }] = await Promise.all([
    raiseFan(victim(), [...FAN, 'no-heal', 'dhcp', ...words]),
    raiseFan(lab.host(2), [...FAN, ...words]),
  ]);
  await victim().fanctl(['up', ...OTHER, 'no-heal', 'dhcp', ...words]);
  const other = { bridge: OTHER_BRIDGE, address: '251.0.28.4/24', gateway: '251.0.28.1', mtu: view.mtu };
  await victim().container(3).attach(other);
  const macs = await Promise.all([
    ...[BRIDGE, OTHER_BRIDGE, 'eth0', 'eth1'].map((device) => macOf(victim(), device)),
    macOf(lab.host(2), 'fan-250-0-27'),
  ]);
  frames = JSON.parse(
    (await outsider().exec([PYTHON, MAKE, isVxlan ? 'vxlan' : 'ipip', ...macs])).stdout,
  ) as typeof frames;
}

async function setRpFilter(value: number): Promise<void> {
  const each = `for file in /proc/sys/net/ipv4/conf/*/rp_filter; do echo ${value} > $file; done`;
  await victim().exec(['sh', '-c', each]);
}

async function setFirewall(drops: boolean): Promise<void> {
  const policy = drops ? 'drop' : 'accept';
  await victim().exec(['nft', `chain inet guarded input { policy ${policy}; }`]);
}

async function expectReaches(from: Namespace, ...addresses: string[]): Promise<void> {
  for (const address of addresses)
    expect(await ping(from, address, { count: 1 })).toMatchObject({ received: 1 });
}

async function expectUnguarded(): Promise<void> {
  await setRpFilter(0);
  await setFirewall(false);
  await victim().exec(['nft', 'delete table ip ufan-guard']);
  const names = await watch('unguarded');
  await forge();
  await expectReaches(victim().container(1), '250.0.27.2');
  const others = ([name]: [string, unknown]) => !STOPPED_BY_OTHERS.includes(name) && !name.startsWith('a8');
  const forged = Object.entries(FORGED).filter(others);
  expect(await names()).toEqual([...forged.map(([name]) => name), 'version.bind'].sort());
  expect(named((await diagnose(victim())).results, 'fail')).toEqual(['guard-missing']);
  expect(named((await diagnose(victim(), '--fix')).results, 'fail')).toEqual([]);
  const before = await drops();
  await forge();
  await expect.poll(async () => growth(before, await drops())).toEqual(expectedDrops());
}

describe.each(['raw', 'packet', 'bpf', 'bpf over VXLAN'])('with io %s', (io) => {
  let delivered: () => Promise<string[]>;
  beforeAll(async () => {
    await setUp(io.split(' ')[0]!, io.endsWith('VXLAN'));
    delivered = await watch('guarded');
  });
  afterAll(() => lab?.remove());

  it('every forged packet has a reason, and no other', () => {
    expect(Object.keys(frames).sort()).toEqual(Object.keys(FORGED).sort());
  });

  it.each(SETTINGS)(
    'rp_filter %i, INPUT drops: %s: each is counted once, under its reason',
    async (rpFilter, isDropping) => {
      await setRpFilter(rpFilter);
      await setFirewall(isDropping);
      const before = await drops();
      await forge();
      const expected = expectedDrops();
      const count = (grown: Record<string, number>) => Object.values(grown).reduce((sum, n) => sum + n, 0);
      const grown = await until(
        async () => growth(before, await drops()),
        (now) => count(now) >= count(expected),
      );
      expect(grown).toEqual(expected);
      await expectReaches(victim().container(1), '250.0.27.2', '250.0.28.3');
    },
  );

  it('nothing of it was delivered or answered', async () => {
    expect(await delivered()).toEqual([]);
  });

  it('what is meant to pass, does', async () => {
    const before = await drops();
    const [one, two] = [victim().container(1), victim().container(2)];
    await expectReaches(
      one,
      '250.0.28.1',
      '172.30.0.28',
      '172.30.0.29',
      '10.20.0.6',
      '251.0.28.1',
      '251.0.28.4',
      '250.0.27.1',
    );
    await expectReaches(victim(), '250.0.28.2', '251.0.28.4', '250.0.27.2', '250.0.28.1');
    await expectReaches(peer(), '250.0.28.2', '250.0.28.1', '172.30.0.28');
    expect(await sendMessage(one, outsider(), outsider().address, 'out by NAT')).toBe('out by NAT');
    expect(await sendMessage(one, peer(), '250.0.27.2', 'to the peer')).toBe('to the peer');
    expect(await sendMessage(victim(), one, '250.0.28.2', 'from the host')).toBe('from the host');
    for (const from of [outsider(), peer(), two]) {
      expect(await sendMessage(from, one, '172.30.0.28', 'published', { port: PUBLISHED })).toBe('published');
    }
    const dns = 'import socket; print(socket.create_connection(("250.0.28.1", 53), 5) and "open")';
    expect((await one.exec([PYTHON, '-c', dns])).stdout.trim()).toBe('open');
    await outsider().ip('route add 250.0.28.0/24 via 172.30.0.28');
    expect(await sendMessage(outsider(), one, '250.0.28.2', 'as itself')).toBe('as itself');
    if (!io.endsWith('VXLAN')) await victim().fanctl(['probe', '172.30.0.27']);
    expect(growth(before, await drops())).toEqual({});
    expect(named((await diagnose(victim())).results, 'fail')).toEqual([]);
  });

  // What it is that the guard stops differs in no io.
  if (io === 'raw') it('without the guard it gets in, until doctor puts it back', expectUnguarded);

  it('down takes it away', async () => {
    expect(await showFans(victim())).toHaveLength(2);
    await victim().fanctl(['down', '-e', '--force']);
    expect((await victim().exec(['nft', 'list', 'tables'])).stdout.split('\n').filter(Boolean)).toEqual([
      'table inet guarded',
      'table ip published',
    ]);
  });
});
