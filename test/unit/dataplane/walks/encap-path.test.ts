import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../../../src/addr/ipv4-address.js';
import { Counters } from '../../../../src/dataplane/tables/counters.js';
import type { FanSpec } from '../../../../src/dataplane/tables/fan-spec.js';
import { ForwardingTable } from '../../../../src/dataplane/tables/forwarding-table.js';
import { PeerTable } from '../../../../src/dataplane/tables/peer-table.js';
import { EncapPath } from '../../../../src/dataplane/walks/encap-path.js';
import { IcmpReplies } from '../../../../src/dataplane/walks/icmp-replies.js';
import { PathMtuTable } from '../../../../src/dataplane/walks/path-mtu.js';
import { FRAGMENT_ROOM, TooBig } from '../../../../src/dataplane/walks/too-big.js';
import { GSO_TCPV4, GSO_UDP_L4, PacketBatch } from '../../../../src/io/packet-batch.js';
import { decodeIpv4, headerChecksumValid, PROTOCOL_IPIP, PROTOCOL_TCP } from '../../../../src/wire/ipv4.js';
import { batchOf, bytesOf, fanSpec, nonZero, packet } from '../packets.js';

const US = '172.30.0.28';
const PEER = parseAddress('172.30.0.27');

function encap(
  packets: Uint8Array[],
  options: { spec?: Partial<FanSpec>; pathMtu?: number; prepare?: (rx: PacketBatch) => void } = {},
) {
  const counters = new Counters();
  const pathMtu = new PathMtuTable();
  if (options.pathMtu) pathMtu.learn(PEER, options.pathMtu, 1500, 0);
  const rx = batchOf(packets, FRAGMENT_ROOM);
  options.prepare?.(rx);
  const tx = new PacketBatch(512, rx.slab);
  const table = new ForwardingTable([fanSpec('250.0.0.0/8', US, 16, options.spec)]);
  const replies = new IcmpReplies(counters);
  const tooBig = new TooBig(counters, replies, rx.slab, 64 * 2048);
  const peers = new PeerTable();
  const path = new EncapPath(counters, pathMtu, tooBig, table, peers);
  const fan = table.fans[0]!;
  const taken = path.process(fan, rx, 0, tx, 1);
  return { tx, taken, replies, path, fan, counters, peers, seen: () => nonZero(counters.read(1)) };
}

const inner = packet('250.0.28.2', '250.0.27.2', { ttl: 61, tos: 0xb9, dontFragment: true });

describe('encap', () => {
  it('reads no further than the slab where a packet is cut short at its end', () => {
    const { seen } = encap([inner], { prepare: (rx) => rx.setRange(0, rx.slab.length - 4, 4) });
    expect(seen()).toEqual({ 'encap-rx-packets': 1, 'encap-rx-bytes': 4, 'drop-not-ipv4-packets': 1 });
  });

  it('writes the outer header that the rules ask for', () => {
    const { tx, seen } = encap([inner]);
    const bytes = bytesOf(tx, 0);
    expect(bytes.slice(20)).toEqual(inner);
    expect(headerChecksumValid(bytes, 0)).toBe(true);
    expect(decodeIpv4(bytes, 0)).toMatchObject({
      totalLength: 140,
      id: 0,
      dontFragment: true,
      ttl: 61,
      tos: 0xb9,
      protocol: PROTOCOL_IPIP,
      source: parseAddress(US),
      destination: PEER,
    });
    expect(tx.address(0)).toBe(PEER);
    expect(seen()).toEqual({ 'encap-rx-packets': 1, 'encap-rx-bytes': 120 });
  });

  it('sets DF with ID 0 whatever the inner DF, and fixes TTL and DSCP where asked', () => {
    const { tx } = encap([packet('250.0.28.2', '250.0.27.2', { tos: 0xb9 })], {
      spec: { ttl: 64, dscp: 10 },
    });
    expect(decodeIpv4(bytesOf(tx, 0), 0)).toMatchObject({
      dontFragment: true,
      id: 0,
      ttl: 64,
      tos: (10 << 2) | 1,
    });
  });

  const refused: [string, Uint8Array][] = [
    ['not-ipv4', inner.map((byte, i) => (i === 0 ? 0x65 : byte))],
    ['inner-malformed', inner.slice(0, 30)],
    ['inner-checksum', inner.map((byte, i) => (i === 10 ? byte ^ 1 : byte))],
    ['inner-ttl', packet('250.0.28.2', '250.0.27.2', { ttl: 0 })],
    ['nested-ipip', packet('250.0.28.2', '250.0.27.2', { protocol: PROTOCOL_IPIP })],
    ['source-not-ours', packet('250.0.27.9', '250.0.27.2')],
    ['source-not-ours', packet('192.168.1.1', '250.0.27.2')],
    ['source-not-ours', packet('250.0.28.255', '250.0.27.2')],
    ['outside-overlay', packet('250.0.28.2', '8.8.8.8')],
    ['underlay-network', packet('250.0.28.2', '250.0.0.7')],
    ['underlay-broadcast', packet('250.0.28.2', '250.255.255.7')],
    ['to-ourselves', packet('250.0.28.2', '250.0.28.3')],
  ];
  it.each(refused)('drops as %s', (reason, bytes) => {
    const { tx, seen } = encap([bytes]);
    expect(tx.count).toBe(0);
    expect(seen()).toEqual({
      'encap-rx-packets': 1,
      'encap-rx-bytes': bytes.length,
      [`drop-${reason}-packets`]: 1,
    });
  });

  it('counts a super-packet as its segments', () => {
    const { tx, seen, path, fan } = encap(
      [packet('250.0.28.2', '250.0.27.2', { payload: 1500, protocol: PROTOCOL_TCP })],
      {
        prepare: (rx) => {
          rx.setVnet(0, 1, GSO_TCPV4, 500, 40);
        },
      },
    );
    expect(seen()).toEqual({ 'encap-rx-packets': 3, 'encap-rx-bytes': 1520 + 80 });
    path.settle(fan, tx, 0);
    expect(seen()).toMatchObject({ 'encap-tx-packets': 3, 'encap-tx-bytes': 1520 + 80 });
  });

  it('stops at a full tx batch and goes on from there', () => {
    const { counters, path, fan } = encap([]);
    const rx = batchOf([inner, inner, inner]);
    const tx = new PacketBatch(2, rx.slab);
    expect(path.process(fan, rx, 0, tx, 1)).toBe(2);
    tx.count = 0;
    expect(path.process(fan, rx, 2, tx, 1)).toBe(3);
    expect(counters.read(1)['encap-rx-packets']).toBe(3);
  });

  it('counts what the kernel refused', () => {
    const { peers, tx, path, fan, seen } = encap([inner, inner, inner]);
    tx.descriptors[7] = 113;
    tx.descriptors[15] = 90;
    path.settle(fan, tx, 2);
    expect(seen()).toMatchObject({
      'encap-tx-packets': 1,
      'encap-tx-bytes': 120,
      'drop-send-failed-packets': 1,
      'drop-too-big-packets': 1,
    });
    expect(peers.read()).toMatchObject([{ block: 1, address: PEER, txPackets: 1, txBytes: 120 }]);
  });
});

describe('a packet larger than the path', () => {
  const big = (fields = {}) => packet('250.0.28.2', '250.0.27.2', { payload: 1400, ...fields });

  it('with DF: is answered with the inner MTU, from the destination', () => {
    const { tx, replies, seen } = encap([big({ dontFragment: true })], { pathMtu: 1400 });
    expect(tx.count).toBe(0);
    const reply = bytesOf(replies.batch, 0);
    expect(decodeIpv4(reply, 0)).toMatchObject({
      source: parseAddress('250.0.27.2'),
      destination: parseAddress('250.0.28.2'),
      protocol: 1,
    });
    expect([reply[20], reply[21], (reply[26]! << 8) | reply[27]!]).toEqual([3, 4, 1380]);
    expect(seen()).toMatchObject({ 'drop-too-big-packets': 1, 'icmp-tx-packets': 1 });
  });

  it('without DF: leaves in outer fragments that share an ID', () => {
    const { tx, seen, path, fan } = encap([big()], { pathMtu: 600 });
    const headers = Array.from({ length: tx.count }, (_, i) => decodeIpv4(bytesOf(tx, i), 0));
    expect(headers).toHaveLength(3);
    expect(new Set(headers.map(({ id }) => id)).size).toBe(1);
    expect(headers[0]!.id).not.toBe(0);
    expect(headers.map(({ dontFragment }) => dontFragment)).toEqual([false, false, false]);
    const payload = Buffer.concat(Array.from({ length: tx.count }, (_, i) => bytesOf(tx, i).slice(20)));
    expect(new Uint8Array(payload)).toEqual(big());
    path.settle(fan, tx, 0);
    expect(seen()).toMatchObject({ 'encap-tx-packets': 1, 'encap-tx-bytes': 1420, 'fragment-tx-packets': 3 });
  });

  it('without DF, on a fan that does not fragment: is dropped', () => {
    const { tx, seen } = encap([big()], { pathMtu: 600, spec: { fragment: false } });
    expect(tx.count).toBe(0);
    expect(seen()['drop-too-big-packets']).toBe(1);
  });

  it('a TCP super-packet without DF is cut smaller, a UDP one into fragments of each datagram', () => {
    const tcp = big({ protocol: PROTOCOL_TCP });
    const smaller = encap([tcp], { pathMtu: 300, prepare: (rx) => rx.setVnet(0, 1, GSO_TCPV4, 700, 40) });
    expect(smaller.tx.gsoSize(0)).toBe(300 - 60);
    const udp = big();
    udp.set([0, 9, 0, 9, 0x05, 0x78, 0, 0], 20);
    const cut = encap([udp], {
      pathMtu: 600,
      prepare: (rx) => {
        rx.setVnet(0, 1, GSO_UDP_L4, 696, 28);
        rx.setCsum(0, 20, 6);
      },
    });
    expect(cut.tx.count).toBe(4);
    expect(cut.tx.tag(0) + cut.tx.tag(1) + cut.tx.tag(2) + cut.tx.tag(3)).toBe(2);
  });
});
