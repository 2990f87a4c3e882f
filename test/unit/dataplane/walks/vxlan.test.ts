/** Both walks of VXLAN, against a slow reading of the rules, for frames of every kind. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddress, parseAddress } from '../../../../src/addr/ipv4-address.js';
import type { DropReasonName } from '../../../../src/base/drop-reason.js';
import { Counters } from '../../../../src/dataplane/tables/counters.js';
import type { FanSpec } from '../../../../src/dataplane/tables/fan-spec.js';
import { ForwardingTable } from '../../../../src/dataplane/tables/forwarding-table.js';
import { PeerTable } from '../../../../src/dataplane/tables/peer-table.js';
import { IcmpReplies } from '../../../../src/dataplane/walks/icmp-replies.js';
import { PathMtuTable } from '../../../../src/dataplane/walks/path-mtu.js';
import { ProbeTap } from '../../../../src/dataplane/walks/probe-tap.js';
import { SentSizes } from '../../../../src/dataplane/walks/sent-sizes.js';
import { VxlanDecap } from '../../../../src/dataplane/walks/vxlan-decap.js';
import { VxlanEncap } from '../../../../src/dataplane/walks/vxlan-encap.js';
import { GSO_TCPV4, PacketBatch } from '../../../../src/io/packet-batch.js';
import { PROTOCOL_TCP } from '../../../../src/wire/ipv4.js';
import { encodeProbe, LEAST_PROBE_LEN } from '../../../../src/wire/probe.js';
import { DATAGRAM_LEN } from '../../../../src/wire/vxlan.js';
import { arp, frame, inVxlan, MAC, OTHER, octets, VXLAN } from '../frames.js';
import { batchOf, bytesOf, type Fields, fanSpec, nonZero, packet } from '../packets.js';

const [US, PEER] = ['172.30.0.28', '172.30.0.27'];
const dropsOf = (counters: Counters, block: number) =>
  Object.keys(nonZero(counters.read(block))).filter((name) => name.startsWith('drop-'));

function encap(
  frames: Uint8Array[],
  spec: Partial<FanSpec> = {},
  prepare?: (rx: PacketBatch, pathMtu: PathMtuTable) => void,
) {
  const counters = new Counters();
  const [pathMtu, sizes] = [new PathMtuTable(), new SentSizes()];
  const table = new ForwardingTable([
    fanSpec('250.0.0.0/8', US, 16, { vxlan: VXLAN, dscp: 0, ttl: 64, ...spec }),
  ]);
  const replies = new IcmpReplies(counters);
  const walk = new VxlanEncap(counters, pathMtu, replies, table, new PeerTable());
  const rx = batchOf(frames);
  prepare?.(rx, pathMtu);
  const tx = new PacketBatch(64, rx.slab);
  walk.process(table.fans[0]!, rx, 0, tx, 1);
  sizes.noteBatch(tx, DATAGRAM_LEN);
  return { tx, rx, replies, sizes, drops: dropsOf(counters, 1), seen: nonZero(counters.read(1)) };
}

function decap(packets: Uint8Array[], from = PEER, tos = 0, probes?: ProbeTap) {
  const counters = new Counters();
  const table = new ForwardingTable([fanSpec('250.0.0.0/8', US, 16, { vxlan: VXLAN })]);
  const walk = new VxlanDecap(counters, table, new PeerTable(), probes);
  const rx = batchOf(packets);
  for (let i = 0; i < packets.length; i++) {
    rx.setAddress(i, parseAddress(from));
    rx.setTag(i, (64 << 8) | tos);
  }
  const out = new PacketBatch(64, rx.slab);
  walk.process(rx, { address: parseAddress(US), udpPort: 8472 }, [out]);
  return { out, drops: dropsOf(counters, 1), host: dropsOf(counters, 0), seen: nonZero(counters.read(1)) };
}

const inner = packet('250.0.28.2', '250.0.27.2', { tos: 0x03 });

describe('encap', () => {
  it('puts a header in front, and says where to and how', () => {
    const { tx, seen } = encap([frame(inner)]);
    expect(bytesOf(tx, 0)).toEqual(inVxlan(frame(inner)));
    expect(formatAddress(tx.address(0))).toBe(PEER);
    // ECN is copied (RFC 6040 §4.1), DSCP is not.
    expect(tx.note(0) & 0xff).toBe(0x03);
    expect(seen).toEqual({ 'encap-rx-packets': 1, 'encap-rx-bytes': inner.length });
  });

  it('sends ARP to whom its target maps to, with no flow', () => {
    const { tx } = encap([arp('250.0.28.2', '250.0.27.9')]);
    expect([formatAddress(tx.address(0)), tx.note(0)]).toEqual([PEER, 0]);
  });

  it('gives flows hashes of their own, and one flow always the same', () => {
    const ports = Array.from({ length: 32 }, (_, i) => packet('250.0.28.2', `250.0.27.${i + 2}`));
    const notes = ports.map((one) => encap([frame(one)]).tx.note(0) >> 8);
    expect(new Set(notes.map((note) => note % 16)).size).toBeGreaterThan(6);
    expect(encap([frame(ports[0]!)]).tx.note(0) >> 8).toBe(notes[0]);
  });

  it('answers what is too big and has DF, in a frame to its sender', () => {
    const big = packet('250.0.28.2', '250.0.27.2', { payload: 1431, dontFragment: true });
    const { replies, drops, tx } = encap([frame(big)]);
    expect([drops, tx.count]).toEqual([['drop-too-big-packets'], 0]);
    const answer = bytesOf(replies.batch, 0);
    expect([...answer.subarray(0, 14)]).toEqual([...MAC, ...OTHER, 8, 0]);
    expect([...answer.subarray(14 + 20, 14 + 28)].slice(0, 2)).toEqual([3, 4]);
    expect((answer[14 + 26]! << 8) | answer[14 + 27]!).toBe(1450);
  });

  it('leaves what is too big and may be fragmented to the kernel, or drops it where told', () => {
    const big = frame(packet('250.0.28.2', '250.0.27.2', { payload: 1431 }));
    expect(encap([big]).tx.count).toBe(1);
    expect(encap([big], { fragment: false }).drops).toEqual(['drop-too-big-packets']);
  });

  it('answers what a path that is known to be narrow does not take, cuts bursts, and remembers what it sent', () => {
    const learn = (_: PacketBatch, pathMtu: PathMtuTable) => pathMtu.learn(parseAddress(PEER), 1400, 1500, 1);
    const one = (fields: Fields) => frame(packet('250.0.28.2', '250.0.27.2', { payload: 1331, ...fields }));
    const { replies, drops, tx } = encap([one({ dontFragment: true })], {}, learn);
    expect([drops, tx.count]).toEqual([['drop-too-big-packets'], 0]);
    const answer = bytesOf(replies.batch, 0);
    expect((answer[14 + 26]! << 8) | answer[14 + 27]!).toBe(1350);
    const fits = encap([one({ dontFragment: true, payload: 1330 })], {}, learn);
    expect([fits.tx.count, fits.sizes.largest(parseAddress(PEER) | 0)]).toEqual([1, 1400]);
    // Routers may cut it.
    expect(encap([one({})], {}, learn).tx.count).toBe(1);
    expect(encap([one({})], { fragment: false }, learn).drops).toEqual(['drop-too-big-packets']);
    const burst = encap([one({ payload: 2700, protocol: PROTOCOL_TCP })], {}, (rx, pathMtu) => {
      learn(rx, pathMtu);
      rx.setVnet(0, 1, GSO_TCPV4, 1410, 54);
    });
    expect(burst.tx.gsoSize(0)).toBe(1310);
    expect(burst.sizes.largest(parseAddress(PEER) | 0)).toBe(1400);
  });

  it('cuts a burst to what fits', () => {
    const burst = frame(packet('250.0.28.2', '250.0.27.2', { payload: 2020, protocol: PROTOCOL_TCP }));
    const { tx, seen } = encap([burst], {}, (rx) => rx.setVnet(0, 1, GSO_TCPV4, 1460, 54));
    expect([tx.gsoSize(0), tx.headerLen(0)]).toEqual([1410, 62]);
    expect(seen['encap-rx-packets']).toBe(2);
  });
});

describe('decap', () => {
  const theirs = packet('250.0.27.2', '250.0.28.2');

  it('leaves the header out, and padding', () => {
    const { out, seen } = decap([
      inVxlan(frame(theirs)),
      inVxlan(Uint8Array.from([...frame(theirs), 0, 0, 0])),
    ]);
    expect(bytesOf(out, 0)).toEqual(frame(theirs));
    expect(bytesOf(out, 1)).toEqual(frame(theirs));
    expect(seen).toEqual({ 'decap-rx-packets': 2, 'decap-rx-bytes': 2 * theirs.length });
  });

  it('carries congestion inward', () => {
    const { out } = decap([inVxlan(frame(packet('250.0.27.2', '250.0.28.2', { tos: 0xba })))], PEER, 3);
    expect(bytesOf(out, 0)[15]).toBe(0xbb);
    expect(decap([inVxlan(frame(theirs))], PEER, 3).drops).toEqual(['drop-ecn-packets']);
  });

  it('takes ARP of a container for a container', () => {
    expect(decap([inVxlan(arp('250.0.27.2', '250.0.28.2'))]).out.count).toBe(1);
    expect(decap([inVxlan(arp('250.0.27.2', '250.0.28.2', OTHER))]).drops).toEqual([
      'drop-arp-malformed-packets',
    ]);
  });

  it('takes probes of a peer out, which are for the network address of the slice, and nothing else', () => {
    const taken: unknown[][] = [];
    const probes = new ProbeTap((fan, sender, bytes) => taken.push([fan, sender, bytes.length]));
    const probe = (destination: string) =>
      encodeProbe({
        kind: 'probe',
        sequence: 1,
        nonce: '0123456789abcdef',
        length: 100,
        source: parseAddress('250.0.27.1'),
        destination: parseAddress(destination),
      });
    const sent = [frame(probe('250.0.28.0')), frame(probe('250.0.28.255')), arp('250.0.27.1', '250.0.28.0')];
    const { drops, seen, out } = decap(sent.map(inVxlan), PEER, 0, probes);
    expect(taken).toEqual([['250.0.0.0/8', parseAddress(PEER) | 0, LEAST_PROBE_LEN]]);
    expect([out.count, drops]).toEqual([0, ['drop-destination-outside-slice-packets']]);
    expect(seen['drop-destination-outside-slice-packets']).toBe(2);
  });

  it('another VNI, port or address is of no fan', () => {
    const other = inVxlan(frame(theirs));
    other[6] = 7;
    expect(decap([other]).host).toEqual(['drop-vni-packets']);
  });

  /** By text and division, as the documents say it. */
  const slowVerdict = (from: string, to: string, sender: string): DropReasonName | 'keep' => {
    const [a, b, c, d] = octets(from) as [number, number, number, number];
    const [x, y] = octets(sender) as [number, number];
    const isUnderlay = x === 172 && y === 30 && !/\.0\.0$|\.255\.255$/.test(sender);
    if (!isUnderlay || sender === US) return 'outer-source';
    const isMartian = a === 0 || a === 127 || (a >= 224 && a < 240) || from === '255.255.255.255';
    if (a !== 250) return isMartian ? 'source-martian' : 'source-forged';
    if (b === 0 && c === 28) return 'source-in-slice';
    if (sender !== `172.30.${b}.${c}`) return 'source-forged';
    if (d === 0 || d === 255) return 'source-martian';
    return /^250\.0\.28\.(?!0$|255$)/.test(to) ? 'keep' : 'destination-outside-slice';
  };

  it('judges sources and targets as the documents do, of packets and of ARP', () => {
    const octet = fc.constantFrom(0, 1, 2, 27, 28, 30, 127, 224, 250, 254, 255);
    const some = fc
      .tuple(fc.constantFrom(250, 250, 250, 8, 127, 239, 255, 0), octet, octet, octet)
      .map((o) => o.join('.'));
    const from = fc.oneof(some, fc.constantFrom('250.0.27.2', '250.0.27.0', '250.0.27.255', '250.0.28.3'));
    const to = fc.oneof(some, fc.constantFrom('250.0.28.2', '250.0.28.0', '250.0.28.255'));
    const sender = fc.oneof(
      fc.constantFrom(PEER, PEER, PEER, US, '172.30.0.0', '172.30.255.255', '10.0.0.27'),
      fc.tuple(octet, octet).map(([c, d]) => `172.30.${c}.${d}`),
    );
    fc.assert(
      fc.property(from, to, sender, fc.boolean(), (source, target, host, isArp) => {
        const sent = isArp ? arp(source, target) : frame(packet(source, target));
        const { out, drops } = decap([inVxlan(sent)], host);
        const verdict = slowVerdict(source, target, host);
        expect(drops).toEqual(verdict === 'keep' ? [] : [`drop-${verdict}-packets`]);
        expect(out.count).toBe(verdict === 'keep' ? 1 : 0);
      }),
      { numRuns: 2000 },
    );
  });

  it('any bytes at all end in a verdict', () => {
    const mutation = fc.tuple(fc.nat(140), fc.nat(255));
    fc.assert(
      fc.property(fc.array(mutation, { maxLength: 6 }), fc.nat(142), (mutations, length) => {
        const bytes = inVxlan(frame(theirs));
        for (const [at, value] of mutations) bytes[at] = value;
        const cut = bytes.slice(0, length);
        const { out, drops, host } = decap([cut]);
        expect(out.count + drops.length + host.length).toBe(1);
        for (const name of [...drops, ...host]) expect(name).toMatch(/^drop-[a-z0-9-]+-packets$/);
      }),
      { numRuns: 3000 },
    );
  });
});
