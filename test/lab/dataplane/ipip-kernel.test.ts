/**
 * A fan whose other host is a kernel with real `ipip` (a guest, as no kernel here need have it): every kind of packet
 * crosses each way, and each kernel accepts the other side's outer headers. The guest knows nothing of ufan: its fan is
 * one tunnel and one route, made by iproute2.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Capture, fields } from '../../../bench/lab/capture.js';
import { containerAddress, raiseFan } from '../../../bench/lab/fan.js';
import { Guest } from '../../../bench/lab/guest.js';
import type { Container } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import type { Namespace } from '../../../bench/lab/namespace.js';
import { ping } from '../../../bench/lab/ping.js';
import { randomFile, sendFile } from '../../../bench/lab/transfer.js';
import type { FanView } from '../../../src/control/protocol.js';
import { echoUdp, FAN, faults, growth, readCounters } from '../fan-lab.js';

const GUEST = '250.0.27.1';
const IPIP = ['net/ipv4/tunnel4', 'net/ipv4/ip_tunnel', 'net/ipv4/ipip'];
const TUNNEL = 'mode ipip local 172.30.0.27 remote any tos inherit';
/** ICMP payload that fills an inner packet of 1480 bytes. */
const FULL = 1452;
/** What tcpdump can write down beside it all, and what it could not. */
const SMALL = 1e6;
const BULK = 10e6;
/** Outer packets of either host, fragments included. */
const FROM_US = 'ip.src==172.30.0.28 && ip.proto==4';
const FROM_GUEST = 'ip.src==172.30.0.27 && ip.proto==4';
/** A kernel that completes a TCP checksum which is 0 writes 0xffff, the same number to every receiver. */
const KERNEL_ZERO = 'ip.src==172.30.0.27 && tcp.checksum==0xffff';
/** What a kernel counts for IPv4 packets that it could not take. */
const REFUSED = [
  'InHdrErrors',
  'InAddrErrors',
  'InUnknownProtos',
  'ReasmFails',
  'InCsumErrors',
  'InDiscards',
];

describe.each(['raw', 'auto'])('with io %s', (io) => {
  let lab: Lab;
  let guest: Guest;
  let container: Container;
  let fan: FanView;
  let ours: string;

  beforeAll(async () => {
    lab = await createLab({ hosts: 1 });
    container = lab.host(1).container(1);
    // What the kernel leaves to the device, this one finishes, as a NIC would.
    await lab.host(1).exec(['ethtool', '-K', 'eth0', 'tx', 'off']);
    const booted = Guest.boot(lab, { underlay: '172.30.0.27/16', modules: IPIP });
    [guest, { view: fan }] = await Promise.all([
      booted,
      raiseFan(lab.host(1), [...FAN, 'no-heal', '--io', io]),
    ]);
    ours = containerAddress(fan, 1);
    await guest.ip(
      `tunnel add fan0 ${TUNNEL}`,
      'link set fan0 mtu 1480 up',
      `address add ${GUEST}/24 dev lo`,
      `route add ${fan.slice} via ${lab.host(1).address} dev fan0 onlink src ${GUEST}`,
    );
  });

  afterAll(() => lab?.remove());

  /** Runs `traffic` and returns what was on the wire meanwhile; no checker and no kernel may object to any of it. */
  async function faultless(name: string, traffic: () => Promise<void>): Promise<string> {
    const counters = () => readCounters(lab.host(1));
    const before = [await refused(), await counters()] as const;
    const capture = await Capture.start(lab.host(1), 'eth0', join(lab.dir, `${name}.pcap`));
    await traffic();
    await capture.stop();
    expect(await refused()).toEqual(before[0]);
    const dropped = Object.entries(growth(before[1], await counters())).filter(([key]) =>
      key.startsWith('drop-'),
    );
    expect(dropped).toEqual([]);
    expect(await faults(capture.file, `!(${KERNEL_ZERO})`)).toEqual([]);
    expect(await fields(capture.file, ['ip.src', 'icmp.code'], 'icmp.type==3')).toEqual([]);
    return capture.file;
  }

  /** Errors in the guest, of its IPv4 and of its tunnel. */
  async function refused(): Promise<string[]> {
    const { stdout } = await guest.exec(['nstat', '-asz']);
    const counts = stdout.split('\n').filter((line) => REFUSED.some((name) => line.includes(name)));
    const tunnel = JSON.parse((await guest.exec(['ip', '-s', '-j', 'link', 'show', 'fan0'])).stdout);
    expect(counts.length).toBeGreaterThan(REFUSED.length - 1);
    return [
      ...counts,
      JSON.stringify(tunnel[0].stats64.rx.errors),
      JSON.stringify(tunnel[0].stats64.tx.errors),
    ];
  }

  const bothWays = (): [Namespace, string][] => [
    [container, GUEST],
    [guest, ours],
  ];

  it('carries full-size packets each way, with headers as they must be', async () => {
    const file = await faultless('full', async () => {
      for (const [from, to] of bothWays()) {
        expect(await ping(from, to, { size: FULL, df: true })).toMatchObject({ sent: 3, received: 3 });
      }
    });
    const ids = ['ip.src', 'ip.len', 'ip.flags.df', 'ip.ttl'];
    const rows = new Set((await fields(file, ids, 'icmp')).map((row) => row.join(' ')));
    expect([...rows].sort()).toEqual([
      `172.30.0.27,${GUEST} 1500,1480 1,0 64,64`,
      `172.30.0.27,${GUEST} 1500,1480 1,1 64,64`,
      `172.30.0.28,${ours} 1500,1480 1,0 63,63`,
      `172.30.0.28,${ours} 1500,1480 1,1 63,63`,
    ]);
  });

  it('carries large pings and datagrams, fragmented inside', async () => {
    await faultless('inner-fragments', async () => {
      for (const [from, to] of bothWays()) {
        for (const size of [1453, 20_000, 60_000]) {
          expect(await ping(from, to, { size, df: false, count: 1 })).toMatchObject({ received: 1 });
        }
      }
      await echoUdp(guest, container, ours, [1, FULL, 1453, 20_000, 65_507]);
    });
  });

  async function expectTransfers(bytes: number): Promise<void> {
    const { path, sha256 } = await randomFile(container, lab.dir, bytes);
    for (const [from, to, address] of [
      [container, guest, GUEST],
      [guest, container, ours],
    ] as const) {
      const got = await sendFile(from, to, address, path, join(lab.dir, 'received'));
      expect(got).toMatchObject({ sha256, bytes });
    }
  }

  it('carries TCP each way', async () => {
    await faultless('tcp', () => expectTransfers(SMALL));
  });

  it('carries bulk TCP each way', () => expectTransfers(BULK));

  it('joins outer fragments of the guest', async () => {
    await guest.ip(`tunnel change fan0 ${TUNNEL} nopmtudisc`, 'link set fan0 mtu 4000');
    const file = await faultless('outer-from-guest', async () => {
      expect(await ping(guest, ours, { size: 3000, df: false })).toMatchObject({ sent: 3, received: 3 });
    });
    expect((await fields(file, ['ip.id'], `${FROM_GUEST} && ip.flags.mf==1`)).length).toBeGreaterThanOrEqual(
      6,
    );
    await guest.ip(`tunnel change fan0 ${TUNNEL} pmtudisc`, 'link set fan0 mtu 1480');
  });

  it('cuts outer fragments that the guest joins', async () => {
    const host = lab.host(1);
    const [route] = JSON.parse((await host.exec(['ip', '-j', 'route', 'show', fan.overlay])).stdout);
    await host.ip(...[route.dev, container.port, fan.bridge].map((name) => `link set ${name} mtu 4000`));
    await container.ip('link set eth0 mtu 4000');
    const file = await faultless('outer-from-us', async () => {
      expect(await ping(container, GUEST, { size: 3000, df: false })).toMatchObject({ sent: 3, received: 3 });
    });
    const cut = await fields(file, ['ip.id', 'ip.flags.df', 'ip.len'], `${FROM_US} && ip.flags.mf==1`);
    expect(cut.map(([, df, len]) => [df, len])).toEqual([...'123456'].map(() => ['0', '1500']));
    const ids = cut.map(([id]) => id);
    expect([ids[0], ids[2], ids[4]]).toEqual([ids[1], ids[3], ids[5]]);
    expect(new Set(ids).size).toBe(3);
    expect(ids).not.toContain('0x0000');
  });
});
