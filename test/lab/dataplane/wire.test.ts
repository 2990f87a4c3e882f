/**
 * What is on the wire, as tcpdump and tshark see it: IP-in-IP that nothing can be said against (RFC 2003, RFC 6040),
 * whatever the traffic inside and however the underlay's devices behave.
 *
 * Looked at where a packet leaves for the wire: eth0 of the sender and the switch's port of the receiver. On arrival
 * the kernel merges packets, and captures there show what never was on a wire.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Capture, fields } from '../../../bench/lab/capture.js';
import { raiseFan } from '../../../bench/lab/fan.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { ping, UNANSWERED } from '../../../bench/lab/ping.js';
import { randomFile, sendFile } from '../../../bench/lab/transfer.js';
import { echoUdp, FAN, FanLab, faults, growth, readCounters } from '../fan-lab.js';

const MTU = 1500;
const FILE_BYTES = 1_000_000;
/** The value of ip.checksum.status and its like for a checksum that was verified. */
const GOOD = '1';

let net: FanLab;

/** Captures what leaves `from` for `to` while `traffic` runs. */
async function captured(from: number, to: number, traffic: () => Promise<unknown>): Promise<string> {
  const file = join(net.lab.dir, `sent-by-${from}.pcap`);
  const filter = `ip proto 4 and dst host ${net.host(to).address}`;
  const capture = await Capture.start(net.host(from), 'eth0', file, filter);
  await traffic();
  await capture.stop();
  return file;
}

/** What is looked at in each packet; outer and inner values with a comma between. */
const FIELDS = [
  'frame.protocols',
  'ip.src',
  'ip.dst',
  'ip.hdr_len',
  'ip.proto',
  'ip.flags.df',
  'ip.id',
  'ip.ttl',
  'ip.len',
  'ip.checksum.status',
  'tcp.len',
  'tcp.checksum.status',
  'udp.checksum.status',
  'icmp.checksum.status',
] as const;
type Packet = Record<(typeof FIELDS)[number], string>;

async function packetsOf(file: string): Promise<Packet[]> {
  const rows = await fields(file, FIELDS);
  return rows.map((row) => Object.fromEntries(FIELDS.map((name, i) => [name, row[i] ?? ''])) as Packet);
}

function distinct(packets: readonly Packet[], value: (packet: Packet) => string): string[] {
  return [...new Set(packets.map(value))].sort();
}

function outer(packet: Packet, name: keyof Packet): string {
  return packet[name].split(',')[0] ?? '';
}

const OUTER = ['ip.src', 'ip.dst', 'ip.hdr_len', 'ip.proto', 'ip.flags.df'] as const;

/** That nothing can be said against any packet, and that the outer header is as it must be. */
function expectFaultless(
  packets: readonly Packet[],
  source: string,
  destination: string,
  constantId: boolean,
): void {
  for (const packet of packets) {
    expect(packet['frame.protocols']).toMatch(/^eth:ethertype:ip:ip(:|$)/);
    const [outerLen = 0, innerLen = 0] = packet['ip.len'].split(',').map(Number);
    expect(outerLen).toBe(innerLen + 20);
    expect(outerLen).toBeLessThanOrEqual(MTU);
  }
  const heads = distinct(packets, (packet) => OUTER.map((name) => outer(packet, name)).join(' '));
  expect(heads).toEqual([`${source} ${destination} 20 4 1`]);
  // Whoever else cuts a super-packet numbers the segments, which means nothing where DF is set (RFC 6864 §4.1).
  if (constantId) expect(distinct(packets, (packet) => outer(packet, 'ip.id'))).toEqual(['0x0000']);
  expect(distinct(packets, (packet) => packet['ip.checksum.status'])).toEqual([`${GOOD},${GOOD}`]);
  for (const name of ['tcp.checksum.status', 'udp.checksum.status', 'icmp.checksum.status'] as const) {
    expect(distinct(packets, (packet) => packet[name])).toEqual(['', GOOD]);
  }
}

/** Super-packets and unfinished checksums go as far as the device, which then has to do what the NIC of a real wire would. */
const WAYS = [
  ['raw', 'nic-like'],
  ['packet', 'nic-like'],
  ['bpf', 'nic-like'],
] as const;

describe.each(WAYS)('on the wire, io %s, underlay %s', (io, profile) => {
  /** What left eth0: beyond, the switch merges it and cuts it again in its own way. */
  const files = { out: '', back: '' };

  beforeAll(async () => {
    net = await FanLab.open({ profile }, [...FAN, '--io', io]);
    for (const host of net.lab.hosts) await host.exec(['ethtool', '-K', 'eth0', 'tx', 'off']);
    // A second address must never become a source, not even one of the same underlay.
    await net.host(1).ip('address add 172.30.0.99/16 dev eth0', 'address add 10.9.9.9/24 dev eth0');
    const [one, two] = [net.container(1), net.container(2)];
    const traffic = async () => {
      expect(await ping(one, net.address(2), { count: 3 })).toMatchObject({ received: 3 });
      expect(await ping(two, net.address(1), { count: 1, size: 20_000 })).toMatchObject({ received: 1 });
      await echoUdp(one, two, net.address(2), [1, 1452, 1453, 9000]);
      const { path, sha256 } = await randomFile(one, net.lab.dir, FILE_BYTES);
      const there = await sendFile(one, two, net.address(2), path, join(net.lab.dir, 'there'));
      const back = await sendFile(two, one, net.address(1), path, join(net.lab.dir, 'back'));
      expect([there.sha256, back.sha256]).toEqual([sha256, sha256]);
    };
    files.out = await captured(1, 2, async () => {
      files.back = await captured(2, 1, traffic);
    });
  });
  afterAll(() => net?.remove());

  it.each([
    ['out', '172.30.0.28', '172.30.0.27'],
    ['back', '172.30.0.27', '172.30.0.28'],
  ] as const)('every packet %s is faultless IP-in-IP from the pinned source', async (way, from, to) => {
    const file = files[way];
    expect(await faults(file)).toEqual([]);
    const packets = await packetsOf(file);
    expectFaultless(packets, from, to, io === 'raw');
    // The TTL is that of the inner packet, which the kernel has decremented once.
    expect(distinct(packets, (packet) => packet['ip.ttl'])).toEqual(['63,63']);
    expect(packets.reduce((sum, packet) => sum + Number(packet['tcp.len']), 0)).toBeGreaterThanOrEqual(
      FILE_BYTES,
    );
    expect(packets.some((packet) => packet['tcp.len'] && outer(packet, 'ip.len') === `${MTU}`)).toBe(true);
  });

  it('a container gets a packet with two hops off its TTL', async () => {
    const { text } = await ping(net.container(1), net.address(2), { count: 1 });
    expect(text).toContain(' ttl=62 ');
  });

  it.each([0x00, 0xb8, 0xba, 0x29, 0xff])('DSCP and ECN are carried: TOS %i', async (tos) => {
    const file = await captured(1, 2, () => {
      return net.container(1).exec(['ping', '-c', '1', '-Q', `${tos}`, net.address(2)]);
    });
    const field = `0x${tos.toString(16).padStart(2, '0')}`;
    expect(await fields(file, ['ip.dsfield'])).toEqual([[`${field},${field}`]]);
  });
});

describe('congestion on the underlay', () => {
  beforeAll(async () => {
    net = await FanLab.open();
    const hook = 'type filter hook ingress device eth0 priority 0';
    const rules = `table netdev router { chain congested { ${hook}; ip protocol 4 ip ecn set ce; }; }`;
    await net.host(2).exec(['nft', rules]);
  });
  afterAll(() => net?.remove());

  it('reaches a container whose peer speaks ECN', async () => {
    const file = join(net.lab.dir, 'ce.pcap');
    const capture = await Capture.start(net.container(2), 'eth0', file, 'icmp[0] == 8');
    await net.container(1).exec(['ping', '-c', '1', '-Q', '0xba', net.address(2)]);
    await capture.stop();
    expect(await fields(file, ['ip.dsfield', 'ip.checksum.status'])).toEqual([['0xbb', GOOD]]);
  });

  it('drops a packet whose sender does not, as a router would', async () => {
    const before = await readCounters(net.host(2));
    expect(await ping(net.container(1), net.address(2), { ...UNANSWERED, count: 1 })).toMatchObject({
      received: 0,
    });
    await expect
      .poll(async () => growth(before, await readCounters(net.host(2))))
      .toEqual({ 'decap-rx-packets': 1, 'decap-rx-bytes': 84, 'drop-ecn-packets': 1 });
  });
});

describe('a fan told what to write', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab();
    await lab.host(1).ip('address add 172.30.0.99/16 dev eth0');
    await raiseFan(lab.host(1), ['250.0.0.0/8', '172.30.0.99/16', '--ttl', '64', '--dscp', '46']);
    await raiseFan(lab.host(2), FAN);
  });
  afterAll(() => lab?.remove());

  it('sends from the second address of eth0, with fixed TTL and DSCP, and ECN as the container set it', async () => {
    const file = join(lab.dir, 'fixed.pcap');
    const capture = await Capture.start(lab.wire, 'h2', file, 'ip proto 4 and dst host 172.30.0.27');
    await lab.host(1).container(1).exec(['ping', '-c', '1', '-t', '9', '-Q', '0x29', '250.0.27.2']);
    await capture.stop();
    expect(await faults(file)).toEqual([]);
    expect(await fields(file, ['ip.src', 'ip.ttl', 'ip.dsfield', 'ip.checksum.status'])).toEqual([
      ['172.30.0.99,250.0.99.2', '64,8', '0xb9,0x29', `${GOOD},${GOOD}`],
    ]);
  });
});
