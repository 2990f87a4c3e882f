/**
 * What is particular to `--io bpf` of a fan over VXLAN: the kernel carries what is plain, counted as if it had gone by the
 * daemon; all else comes to the daemon, and nothing that it would refuse gets in.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Capture, fields } from '../../../bench/lab/capture.js';
import { containerAddress, raiseFan, showFans } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { iperf } from '../../../bench/lab/iperf.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { ping } from '../../../bench/lab/ping.js';
import { randomFile, sendFile } from '../../../bench/lab/transfer.js';
import type { Profile } from '../../../bench/lab/underlay.js';
import type { FanView } from '../../../src/control/protocol.js';
import { MOST_OWN_ADDRESSES } from '../../../src/io/programs/fan-program.js';
import {
  echoUdp,
  FAN,
  FanLab,
  growth,
  killFand,
  PYTHON,
  readCounters,
  readQuietStats,
  tunReads,
  until,
} from '../fan-lab.js';

/** All around the MTU of the overlay, and in fragments. */
const SIZES = [1, 56, 1422, 1423, 8000];
const FILE_BYTES = 30_000_000;

const ROUTED = ['vxlan'];
const LAYER2 = ['vxlan', 'layer2'];
const BPF = ['--io', 'bpf'];
const FANS: readonly [string, Profile, readonly string[], readonly string[]][] = [
  [
    'routed, on an underlay that merges and cuts as a NIC does',
    'nic-like',
    [...ROUTED, ...BPF],
    [...ROUTED, ...BPF],
  ],
  [
    'routed, on an underlay that passes super-packets uncut',
    'offload',
    [...ROUTED, ...BPF],
    [...ROUTED, ...BPF],
  ],
  ['layer 2', 'nic-like', [...LAYER2, ...BPF], [...LAYER2, ...BPF]],
  ['routed on one host and layer 2 on the other', 'nic-like', [...ROUTED, ...BPF], [...LAYER2, ...BPF]],
  ['with a peer that has UDP sockets', 'nic-like', [...ROUTED, ...BPF], [...LAYER2, '--io', 'raw']],
];

describe.each(FANS)('a VXLAN fan in bpf mode, %s', (_, profile, first, second) => {
  let lab: Lab;
  let fans: readonly FanView[];
  let addresses: readonly string[];
  const container = (host: number) => lab.host(host).container(1);
  const isBpf = (host: number) => [first, second][host - 1]!.includes('bpf');
  beforeAll(async () => {
    lab = await createLab({ profile });
    const raised = [
      await raiseFan(lab.host(1), [...FAN, 'no-heal', ...first]),
      await raiseFan(lab.host(2), [...FAN, 'no-heal', ...second]),
    ];
    fans = raised.map(({ view }) => view);
    addresses = fans.map((fan) => containerAddress(fan, 1));
  });
  afterAll(() => lab?.remove());

  it('is in that mode', () => {
    expect(fans.map(({ io, ioNotes }) => [io, ioNotes])).toEqual([
      ['bpf', []],
      [isBpf(2) ? 'bpf' : 'raw', []],
    ]);
  });

  it('carries pings of every size', async () => {
    for (const size of SIZES) {
      const { received, text } = await ping(container(1), addresses[1]!, { count: 1, size });
      expect({ size, received, text }).toMatchObject({ received: 1 });
    }
  });

  it('carries UDP of every size, one way and the other', async () => {
    await echoUdp(container(1), container(2), addresses[1]!, SIZES);
    await echoUdp(container(2), container(1), addresses[0]!, SIZES);
  });

  it.each([
    [1, 2],
    [2, 1],
  ])('carries a file from host %i to host %i, by the kernel', async (from, to) => {
    const file = await randomFile(lab.host(from), lab.dir, FILE_BYTES);
    const copy = join(lab.dir, 'copy');
    const hosts = [lab.host(1), lab.host(2)];
    const before = await Promise.all(hosts.map(tunReads));
    const sent = await sendFile(container(from), container(to), addresses[to - 1]!, file.path, copy);
    rmSync(copy);
    expect(sent).toMatchObject({ sha256: file.sha256, bytes: FILE_BYTES });
    for (const [i, host] of hosts.entries()) {
      if (isBpf(i + 1)) expect((await tunReads(host)) - before[i]!).toBeLessThan(20);
    }
  });

  it('counts the same at both ends, packet for packet', { retry: 3 }, async () => {
    const quiet = async (host: number) => (await readQuietStats(lab.host(host))).fans[0]!.counters;
    const before = [await quiet(1), await quiet(2)] as const;
    await ping(container(1), addresses[1]!, { count: 5 });
    await iperf(container(1), container(2), addresses[1]!, { seconds: 1 });
    const grown = async () => {
      const one = growth(before[0], await readCounters(lab.host(1)));
      const two = growth(before[1], await readCounters(lab.host(2)));
      return [one['encap-tx-packets'], one['encap-tx-bytes'], two['decap-rx-packets'], two['decap-rx-bytes']];
    };
    const [packets, bytes, ...came] = await until(grown, ([a, b, c, d]) => a === c && b === d);
    expect(packets).toBeGreaterThan(5);
    expect(came).toEqual([packets, bytes]);
  });
});

describe('the VXLAN device of a fan', () => {
  let net: FanLab;
  const DEVICE = 'vx-250-0-28';
  const one = () => net.host(1);
  const devices = async (...which: string[]) => {
    const { stdout } = await one().exec(['ip', '-j', 'link', 'show', ...which, 'type', 'vxlan']);
    return (JSON.parse(stdout) as { ifname?: string }[]).flatMap(({ ifname }) => ifname ?? []);
  };
  const answered = async () =>
    (await ping(net.container(2), net.address(1), { count: 1, timeoutMs: 500 })).received;
  beforeAll(async () => {
    net = await FanLab.open({}, [...FAN, ...ROUTED, ...BPF]);
  });
  afterAll(() => net?.remove());

  it('is made anew where somebody has deleted it, or set it down', async () => {
    expect(await answered()).toBe(1);
    for (const change of ['del', 'set down']) {
      await one().ip(`link ${change} ${DEVICE}`);
      await until(
        () => devices('up'),
        (names) => names.includes(DEVICE),
      );
      await until(answered, (received) => received === 1);
    }
    const [fan] = await until(
      () => showFans(one()),
      ([fan]) => fan?.state === 'up',
    );
    expect([fan?.io, fan?.ioNotes]).toEqual(['bpf', []]);
  });

  it('shares its port with those of other fans', async () => {
    const words = ['240.0.0.0/8', 'eth0/16', ...LAYER2, ...BPF];
    for (const host of [net.host(1), net.host(2)]) await host.fanctl(['up', ...words]);
    expect(await devices()).toEqual([DEVICE, 'vx-240-0-28']);
    expect((await ping(net.host(1), '240.0.27.1', { count: 3 })).received).toBe(3);
    expect(await answered()).toBe(1);
    for (const host of [net.host(1), net.host(2)])
      await host.fanctl(['down', '240.0.0.0/8', 'eth0/16', '--force']);
    expect(await answered()).toBe(1);
  });

  it('lets nothing in while fand is dead, and all again with the next', async () => {
    await killFand(one());
    expect(await answered()).toBe(0);
    await one().fanctl(['up', ...FAN, ...ROUTED, ...BPF]);
    await until(answered, (received) => received === 1);
  });

  it('goes with its fan, and leaves the port to others', async () => {
    await one().fanctl(['down', ...FAN, '--force']);
    expect(await devices()).toEqual([]);
    await one().ip('link add theirs type vxlan id 7 dstport 8472 dev eth0', 'link set theirs up');
    await expect(one().fanctl(['up', ...FAN, ...ROUTED, ...BPF])).rejects.toThrow(/8472 is held by theirs/);
    expect(await devices()).toEqual(['theirs']);
    await one().ip('link del theirs');
  });
});

describe('what the kernel leaves to fand', () => {
  let lab: Lab;
  afterAll(() => lab?.remove());

  /** More underlay addresses than a program knows. */
  const ADDRESSES = MOST_OWN_ADDRESSES + 2;

  it('comes in whole, bursts too', async () => {
    lab = await createLab({ profile: 'nic-like' });
    const words = [...FAN, ...ROUTED, ...BPF, '--workers', '2', 'no-heal'];
    const [first, second] = [await raiseFan(lab.host(1), words), await raiseFan(lab.host(2), words)];
    for (let n = 1; n < ADDRESSES; n++) await lab.host(2).ip(`address add 172.30.9.${n}/16 dev eth0`);
    const [one, two] = [lab.host(1).container(1), lab.host(2).container(1)];
    const [here, there] = [containerAddress(first.view, 1), containerAddress(second.view, 1)];
    const reads = await tunReads(lab.host(2));
    await echoUdp(one, two, there, SIZES);
    for (const [from, to, address] of [
      [one, two, there],
      [two, one, here],
    ] as const) {
      const file = await randomFile(lab.host(1), lab.dir, FILE_BYTES);
      const copy = join(lab.dir, 'copy');
      expect(await sendFile(from, to, address, file.path, copy)).toMatchObject({ sha256: file.sha256 });
      rmSync(copy);
    }
    expect((await tunReads(lab.host(2))) - reads).toBeGreaterThan(FILE_BYTES / 65_536);
    const drops = Object.entries((await readQuietStats(lab.host(2))).fans[0]!.counters).filter(
      ([name, count]) => name.startsWith('drop-') && count > 0,
    );
    expect(drops).toEqual([]);
  });
});

/** For so long a peer may come past the firewall, on each CPU, after one packet of it has been let through. */
const ADMITTED_MS = 1100;
/** UDP length of a ping of 56 bytes. */
const PING_BYTES = 8 + 8 + 14 + 84;
/** Of the packets of a file. */
const FEW = FILE_BYTES / 65_536 / 2;

describe('past the VXLAN device', () => {
  let net: FanLab;
  const two = () => net.host(2);
  const answered = async () =>
    (await ping(net.container(1), net.address(2), { count: 1, timeoutMs: 500 })).received;
  const byDevice = async (host: Host, device: string) => {
    const { stdout } = await host.exec(['ip', '-j', '-s', 'link', 'show', device]);
    const [link] = JSON.parse(stdout) as { stats64: Record<'rx' | 'tx', { packets: number }> }[];
    return link!.stats64.rx.packets + link!.stats64.tx.packets;
  };
  const byDevices = async () => [
    await byDevice(net.host(1), 'vx-250-0-28'),
    await byDevice(net.host(2), 'vx-250-0-27'),
  ];
  /** Packets of each host, in and out. */
  const sentByDevice = async () => {
    const before = await byDevices();
    const file = await randomFile(net.host(1), net.lab.dir, FILE_BYTES);
    const copy = join(net.lab.dir, 'copy');
    const sent = await sendFile(net.container(1), net.container(2), net.address(2), file.path, copy);
    rmSync(copy);
    expect(sent).toMatchObject({ sha256: file.sha256 });
    return (await byDevices()).map((packets, i) => packets - before[i]!);
  };
  const notes = async () => (await showFans(two()))[0]!.ioNotes;
  beforeAll(async () => {
    net = await FanLab.open({ profile: 'nic-like' }, [...FAN, ...ROUTED, ...BPF, 'no-heal']);
  });
  afterAll(() => net?.remove());

  it('goes all but a packet now and then', async () => {
    expect(await answered()).toBe(1);
    expect(Math.max(...(await sentByDevice()))).toBeLessThan(FEW);
  });

  it.each([
    ['INPUT', 2, 'filter hook input priority 0', 'saddr 172.30.0.28'],
    ['PREROUTING', 2, 'filter hook prerouting priority -300', 'saddr 172.30.0.28'],
    ['OUTPUT', 1, 'filter hook output priority 0', 'daddr 172.30.0.27'],
    ['POSTROUTING', 1, 'filter hook postrouting priority 0', 'daddr 172.30.0.27'],
  ])('goes nothing that the firewall drops in %s, from a second on', async (_, number, chain, peer) => {
    const host = net.host(number);
    await host.exec(['nft', `add table ip theirs; add chain ip theirs drops { type ${chain}; }`]);
    expect(await answered()).toBe(1);
    await host.exec(['nft', `add rule ip theirs drops ip ${peer} udp dport 8472 counter drop`]);
    await sleep(ADMITTED_MS);
    expect(await answered()).toBe(0);
    await host.exec(['nft', 'delete table ip theirs']);
    expect(await until(answered, (received) => received === 1)).toBe(1);
  });

  it('goes nothing while a chain at the ingress of the underlay would be passed by, as show says', async () => {
    const chain = 'type filter hook ingress device eth0 priority 0;';
    await two().exec(['nft', `add table netdev theirs; add chain netdev theirs early { ${chain} }`]);
    const [note] = await until(notes, ({ length }) => length === 1);
    expect(note).toBe('bpf: decap by the VXLAN device: packets would pass by the chain netdev theirs early');
    const [sender, receiver] = await sentByDevice();
    expect(receiver).toBeGreaterThan(FILE_BYTES / 65_536);
    expect(sender).toBeLessThan(FEW);
    await two().exec(['nft', 'delete table netdev theirs']);
    await until(notes, ({ length }) => length === 0);
    expect(Math.max(...(await sentByDevice()))).toBeLessThan(FEW);
  });

  it('goes nothing of a host with IPsec policies: they see it, as show says', async () => {
    const one = net.host(1);
    const show = async () => (await showFans(one))[0]!.ioNotes;
    for (const way of ['out', 'in']) {
      await one.ip(`xfrm policy add src 10.9.8.7/32 dst 10.9.8.6/32 proto tcp dir ${way} action allow`);
      expect((await sentByDevice())[0]).toBeGreaterThan(FILE_BYTES / 65_536);
      const [note] = await until(show, ({ length }) => length === 1);
      expect(note).toBe("bpf: all by the VXLAN device: packets would pass by this host's IPsec policies");
      await one.ip('xfrm policy flush');
      expect(Math.max(...(await sentByDevice()))).toBeLessThan(FEW);
      await until(show, ({ length }) => length === 0);
    }
    await one.ip('xfrm policy add src 172.30.0.28/32 dst 172.30.0.27/32 proto udp dir out action block');
    expect(await answered()).toBe(0);
    await one.ip('xfrm policy flush');
    await until(answered, (received) => received === 1);
    await until(show, ({ length }) => length === 0);
  });

  it('goes nothing out while a chain at the egress of the underlay would be passed by', async () => {
    const one = net.host(1);
    const chain = 'type filter hook egress device eth0 priority 0;';
    await one.exec(['nft', `add table netdev theirs; add chain netdev theirs late { ${chain} }`]);
    const show = async () => (await showFans(one))[0]!.ioNotes;
    const note = 'bpf: encap by the VXLAN device: packets would pass by the chain netdev theirs late';
    expect(await until(show, (all) => all.includes(note))).toEqual([note]);
    expect((await sentByDevice())[0]).toBeGreaterThan(FILE_BYTES / 65_536);
    await one.exec(['nft', 'delete table netdev theirs']);
    await until(show, ({ length }) => length === 0);
  });

  it('passes by no chain of bridges, which is there: bursts neither', async () => {
    const chain = 'type filter hook output priority 0;';
    const counted = 'ip protocol tcp counter name burst';
    await two().exec([
      'nft',
      `add table bridge theirs; add chain bridge theirs seen { ${chain} }; add counter bridge theirs burst;
       add rule bridge theirs seen ${counted}`,
    ]);
    await until(notes, ({ length }) => length === 1);
    await sentByDevice();
    const { stdout } = await two().exec(['nft', '-j', 'list', 'counter', 'bridge', 'theirs', 'burst']);
    expect(Number(/"bytes": (\d+)/.exec(stdout)?.[1])).toBeGreaterThan(FILE_BYTES);
    await two().exec(['nft', 'delete table bridge theirs']);
    await until(notes, ({ length }) => length === 0);
  });

  it('goes the way of a rule by UDP port, every packet, and a flow from one port', async () => {
    const one = net.host(1);
    await one.ip(
      'rule add ipproto udp dport 8472 lookup 100',
      'route add 172.30.0.27 via 172.30.0.99 dev eth0 table 100',
    );
    await one.ip('neigh replace 172.30.0.99 lladdr 02:00:00:00:00:99 nud permanent dev eth0');
    const capture = await Capture.start(one, 'eth0', join(net.lab.dir, 'ways.pcap'), 'udp dst port 8472');
    const words = ['-i', '0.05', '-c', '60', '-W', '1', net.address(2)];
    await net.container(1).exec(['ping', ...words], { anyExit: true });
    await capture.stop();
    const ways = await fields(capture.file, ['eth.dst', 'udp.srcport'], `udp.length == ${PING_BYTES}`);
    expect(ways.length).toBeGreaterThan(50);
    expect(new Set(ways.map(([mac]) => mac))).toEqual(new Set(['02:00:00:00:00:99']));
    expect(new Set(ways.map(([, port]) => port)).size).toBe(1);
    await one.ip('rule del ipproto udp dport 8472 lookup 100', 'route flush table 100');
    await until(answered, (received) => received === 1);
  });

  it('admits nobody for what only looks as if the device had sent it', async () => {
    const one = net.host(1);
    await one.exec([
      'nft',
      'add table ip theirs; add chain ip theirs drops { type filter hook output priority 0; }',
    ]);
    await one.exec(['nft', 'add rule ip theirs drops udp dport 8472 drop']);
    await sleep(ADMITTED_MS);
    // The second fragment begins as a packet of VXLAN would behind its outer header.
    const forge = `import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
d = bytes(1472) + bytes.fromhex('9c4021180000000008000000fa00000000') + bytes(500)
for _ in range(20):
    s.sendto(d, ('172.30.0.27', 9999))
    time.sleep(0.02)`;
    await one.exec([PYTHON, '-c', forge]);
    expect(await answered()).toBe(0);
    await one.exec(['nft', 'delete table ip theirs']);
    await until(answered, (received) => received === 1);
  });
});
