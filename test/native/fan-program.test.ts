/**
 * The programs in the kernel against EncapPath and DecapPath: the same packets through both. A program may take a packet
 * only where the path sends it on as it is, and then the two results are the same, byte for byte.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UntracedFlows } from '../../src/dataplane/kernel/untraced-flows.js';
import { Counters } from '../../src/dataplane/tables/counters.js';
import type { FanSpec } from '../../src/dataplane/tables/fan-spec.js';
import { ForwardingTable } from '../../src/dataplane/tables/forwarding-table.js';
import { PeerTable } from '../../src/dataplane/tables/peer-table.js';
import type { Tracer } from '../../src/dataplane/tracing/tracer.js';
import { DecapPath } from '../../src/dataplane/walks/decap-path.js';
import { EncapPath } from '../../src/dataplane/walks/encap-path.js';
import { IcmpReplies } from '../../src/dataplane/walks/icmp-replies.js';
import { PathMtuTable } from '../../src/dataplane/walks/path-mtu.js';
import { FRAGMENT_ROOM, TooBig } from '../../src/dataplane/walks/too-big.js';
import { PacketBatch } from '../../src/io/packet-batch.js';
import type { FanProgram, TAKES } from '../../src/io/programs/fan-program.js';
import { headerLen, PROTOCOL_IPIP, PROTOCOL_TCP } from '../../src/wire/ipv4.js';
import { batchOf, bytesOf, type Fields, fanSpec, packet, tunnelled } from '../unit/dataplane/packets.js';
import { byProgram, configOf, ETHERNET, LIMIT, runProgram, TAKEN } from './run-program.js';

/** What EncapPath makes of it, where that is one whole outer packet. */
function byEncapPath(table: ForwardingTable, inner: Uint8Array): Uint8Array | undefined {
  const counters = new Counters();
  const rx = batchOf([inner], FRAGMENT_ROOM);
  const tx = new PacketBatch(64, rx.slab);
  const tooBig = new TooBig(counters, new IcmpReplies(counters), rx.slab, 64 * 2048);
  const path = new EncapPath(counters, new PathMtuTable(), tooBig, table, new PeerTable());
  path.process(table.fans[0]!, rx, 0, tx, 1);
  return tx.count === 1 ? bytesOf(tx, 0) : undefined;
}

const SOURCES = ['250.0.28.2', '250.0.28.254', '250.0.28.0', '250.0.28.255', '250.0.27.2', '10.1.2.3'];
const TARGETS = [
  '250.0.27.2',
  '250.0.28.9',
  '250.0.0.1',
  '250.255.255.3',
  '250.1.2.3',
  '10.0.0.1',
  '8.8.8.8',
];

/** Most packets of most hosts are plain. */
function mostly<T, U>(usual: T, other: fc.Arbitrary<U>): fc.Arbitrary<T | U> {
  return fc.oneof({ weight: 4, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: other });
}

const randomPacket = fc
  .record({
    source: mostly('250.0.28.2', fc.constantFrom(...SOURCES)),
    target: mostly('250.0.27.2', fc.constantFrom(...TARGETS)),
    payload: fc.oneof(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 1455, max: 1470 })),
    ttl: mostly(64, fc.constantFrom(0, 1, 255)),
    tos: fc.integer({ min: 0, max: 255 }),
    protocol: mostly(17, fc.constantFrom(1, PROTOCOL_IPIP, PROTOCOL_TCP, 47)),
    dontFragment: fc.boolean(),
    damage: mostly(undefined, fc.tuple(fc.integer({ min: 0, max: 19 }), fc.integer({ min: 1, max: 255 }))),
  })
  .map(({ source, target, damage, ...fields }) => {
    const bytes = packet(source, target, fields);
    if (damage) bytes[damage[0]]! ^= damage[1];
    return bytes;
  });

const FANS: readonly [string, Partial<FanSpec>][] = [
  ['with TTL and DSCP copied', {}],
  ['with both fixed', { ttl: 64, dscp: 46 }],
];

describe.each(FANS)('the encap program of a fan %s', (_, more) => {
  const table = new ForwardingTable([fanSpec('250.0.0.0/8', '172.30.0.28', 16, more)]);
  const fan = table.fans[0]!;

  it('does what EncapPath does, or leaves the packet to it', () => {
    const packets = fc.sample(randomPacket, { numRuns: 1000, seed: 20 });
    const { made: outer, counted } = byProgram('encap', fan, packets);
    let taken = 0;
    let bytes = 0;
    for (const [i, inner] of packets.entries()) {
      const expected = byEncapPath(table, inner);
      const plain = expected !== undefined && headerLen(inner, 0) === 20;
      expect({ inner, outer: outer[i] && new Uint8Array(outer[i]) }).toEqual({
        inner,
        outer: plain ? expected : undefined,
      });
      if (plain) taken++;
      if (plain) bytes += inner.length;
    }
    expect(taken).toBeGreaterThan(100);
    expect(packets.length - taken).toBeGreaterThan(100);
    expect(counted).toEqual({ packets: taken, bytes });
  });
});

/** What DecapPath makes of it, where that goes into the TUN. */
function byDecapPath(table: ForwardingTable, outer: Uint8Array): Uint8Array | undefined {
  const rx = batchOf([outer]);
  const out = new PacketBatch(64, rx.slab);
  new DecapPath(new Counters(), table, new PeerTable()).process(rx, [out]);
  return out.count === 1 ? bytesOf(out, 0) : undefined;
}

const PEER_SOURCES = ['250.0.27.254', '250.0.27.0', '250.0.27.255', '250.0.26.2', '250.0.28.2', '10.1.2.3'];
const PEER_HOSTS = ['172.30.0.26', '172.30.0.28', '172.30.0.0', '172.30.255.255', '172.31.0.27'];
const damage = mostly(undefined, fc.tuple(fc.integer({ min: 0, max: 39 }), fc.integer({ min: 1, max: 255 })));

const randomTunnelled = fc
  .record({
    source: mostly('250.0.27.2', fc.constantFrom(...PEER_SOURCES)),
    target: mostly('250.0.28.2', fc.constantFrom(...SOURCES)),
    from: mostly('172.30.0.27', fc.constantFrom(...PEER_HOSTS)),
    to: mostly('172.30.0.28', fc.constantFrom(...PEER_HOSTS)),
    payload: fc.oneof(fc.integer({ min: 4, max: 200 }), fc.integer({ min: 1455, max: 1470 })),
    ttl: mostly(64, fc.constantFrom(0, 1, 255)),
    tos: fc.integer({ min: 0, max: 255 }),
    ecn: mostly(undefined, fc.integer({ min: 0, max: 3 })),
    protocol: mostly(17, fc.constantFrom(1, PROTOCOL_IPIP, PROTOCOL_TCP, 47)),
    outerProtocol: mostly(PROTOCOL_IPIP, fc.constantFrom(17, 47)),
    moreFragments: mostly(false, fc.constant(true)),
    options: mostly({}, fc.constant({ options: new Uint8Array(4).fill(1) })),
    padding: mostly(0, fc.integer({ min: 1, max: 20 })),
    damage,
  })
  .map(({ source, target, from, to, payload, ttl, tos, ecn, protocol, options, padding, ...more }) => {
    const inner = packet(source, target, { payload, ttl, tos, protocol, ...options });
    const bytes = tunnelled(from, to, inner, {
      tos: (tos & 0xfc) | (ecn ?? tos & 3),
      protocol: more.outerProtocol,
      moreFragments: more.moreFragments,
    });
    if (more.damage) bytes[more.damage[0]]! ^= more.damage[1];
    return Uint8Array.from([...bytes, ...new Uint8Array(padding)]);
  });

describe('the decap program of a fan', () => {
  const table = new ForwardingTable([fanSpec('250.0.0.0/8', '172.30.0.28', 16)]);

  it('does what DecapPath does, or leaves the packet to it', () => {
    const packets = fc.sample(randomTunnelled, { numRuns: 3000, seed: 21 });
    const { made, counted } = byProgram('decap', table.fans[0]!, packets);
    let taken = 0;
    let bytes = 0;
    for (const [i, outer] of packets.entries()) {
      const expected = byDecapPath(table, outer.slice());
      expect({ outer, inner: made[i] && new Uint8Array(made[i]) }).toEqual({
        outer,
        inner: isPlainDecap(outer, expected) ? expected : undefined,
      });
      if (made[i]) taken++;
      bytes += made[i]?.length ?? 0;
    }
    expect(taken).toBeGreaterThan(300);
    expect(packets.length - taken).toBeGreaterThan(300);
    expect(counted).toEqual({ packets: taken, bytes });
  });
});

/** Whether nothing was changed, nor left out behind the packet, and it is none of the cases that only the path knows. */
function isPlainDecap(outer: Uint8Array, inner: Uint8Array | undefined): boolean {
  if (inner === undefined || outer.length !== inner.length + 20) return false;
  const protocol = outer[9];
  const unchanged = inner.every((byte, i) => byte === outer[20 + i]) && ((outer[1]! ^ inner[1]!) & 3) === 0;
  return unchanged && protocol === PROTOCOL_IPIP && headerLen(inner, 0) === 20 && inner.length <= LIMIT;
}

describe('what a program takes that is told to take', () => {
  const table = new ForwardingTable([fanSpec('250.0.0.0/8', '172.30.0.28', 16)]);
  const fan = table.fans[0]!;
  const flow = (protocol: number, ports: number[], more: Fields = {}, target = '250.0.27.2') => {
    const bytes = packet('250.0.28.2', target, { protocol, payload: 30, ...more });
    bytes.set(ports.flatMap((port) => [port >> 8, port & 255]).slice(0, bytes.length - 20), 20);
    return bytes;
  };
  const tcp = flow(PROTOCOL_TCP, [40_000, 0xfedc]);
  const udp = flow(17, [53, 53]);
  const icmp = flow(1, [0x0800, 0]);
  /** As the daemon gives them to the program, with the number of their generation, 2. */
  const flows = (packets: Uint8Array[]): number[][] => {
    const given: number[][] = [];
    const untraced = new UntracedFlows('encap');
    untraced.begin(2);
    const addFlow = (words: Uint32Array) => given.push([...words]);
    const tracer = { mayShow: () => false } as unknown as Tracer;
    untraced.release(fan, { addFlow } as unknown as FanProgram, tracer, batchOf(packets), 1);
    return given;
  };
  const taken = (takes: keyof typeof TAKES, generation: number, given: number[][], packets: Uint8Array[]) => {
    const frames = packets.map((inner) => Buffer.concat([ETHERNET, inner]).toString('hex'));
    const words = configOf(fan, { takes, generation });
    const { results } = runProgram('encap', { words, flows: given, frames });
    return results.map(({ verdict }) => verdict === TAKEN);
  };

  it('nothing, or all', () => {
    expect(taken('nothing', 2, flows([tcp]), [tcp, udp])).toEqual([false, false]);
    expect(taken('all', 2, flows([tcp]), [tcp, udp])).toEqual([true, true]);
  });

  it('untraced flows: those that it was given, of its generation', () => {
    const packets = [tcp, udp, icmp];
    expect(taken('untraced', 2, flows([tcp, icmp]), packets)).toEqual([true, false, true]);
    expect(taken('untraced', 2, flows([udp]), packets)).toEqual([false, true, false]);
    expect(taken('untraced', 3, flows(packets), packets)).toEqual([false, false, false]);
  });

  it('untraced flows, whatever else is in their packets, and no others', () => {
    const given = flows([tcp, icmp]);
    const same = [
      flow(PROTOCOL_TCP, [40_000, 0xfedc], { payload: 500, ttl: 9, tos: 3, id: 7, dontFragment: true }),
      flow(1, [0, 9]),
    ];
    expect(taken('untraced', 2, given, same)).toEqual([true, true]);
    const others = [
      flow(PROTOCOL_TCP, [40_001, 0xfedc]),
      flow(PROTOCOL_TCP, [40_000, 0xfedd]),
      flow(17, [40_000, 0xfedc]),
      flow(PROTOCOL_TCP, [40_000, 0xfedc], {}, '250.0.27.3'),
      flow(PROTOCOL_TCP, [40_000, 0xfedc], { moreFragments: true }),
      flow(PROTOCOL_TCP, [40_000, 0xfedc], { fragmentOffset: 64 }),
      flow(PROTOCOL_TCP, [40_000, 0xfedc], { payload: 3 }),
      flow(1, [0x0800, 0], { fragmentOffset: 64 }),
    ];
    expect(taken('untraced', 2, given, others)).toEqual(others.map(() => false));
  });

  it('untraced flows: a fragment, and what has no ports where it should, is of none', () => {
    const odd = [
      flow(17, [53, 53], { moreFragments: true }),
      flow(1, [0, 0], { fragmentOffset: 8 }),
      flow(17, [53], { payload: 3 }),
      packet('250.0.28.2', '250.0.27.2', { options: new Uint8Array(4).fill(1) }),
    ];
    expect(flows(odd)).toEqual([]);
  });
});
