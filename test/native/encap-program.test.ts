/**
 * The encap program in the kernel against EncapPath: the same packets through both. The program may take a packet only
 * where EncapPath sends it as it is, and then the two outer packets are the same, byte for byte.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Counters } from '../../src/dataplane/counters.js';
import { EncapPath } from '../../src/dataplane/encap-path.js';
import { type FanEntry, ForwardingTable } from '../../src/dataplane/forwarding-table.js';
import { IcmpReplies } from '../../src/dataplane/icmp-replies.js';
import { PathMtuTable } from '../../src/dataplane/path-mtu.js';
import { PeerTable } from '../../src/dataplane/peer-table.js';
import { FRAGMENT_ROOM, TooBig } from '../../src/dataplane/too-big.js';
import type { FanSpec } from '../../src/dataplane/worker-protocol.js';
import { encapConfigWords } from '../../src/io/encap-program.js';
import { PacketBatch } from '../../src/io/packet-batch.js';
import { headerLen, PROTOCOL_IPIP, PROTOCOL_TCP } from '../../src/wire/ipv4.js';
import { batchOf, bytesOf, fanSpec, packet } from '../unit/dataplane/packets.js';

const here = import.meta.dirname;
const ADDON = join(here, '../../native/build/Release/ufan.node');
const OBJECT = join(here, '../../native/build/encap.bpf.o');
const ETHERNET = Buffer.from('0200000000010200000000020800', 'hex');
const TAKEN = 7;
const PASSED_ON = -1;
const LIMIT = 1500;

function configOf(fan: FanEntry): number[] {
  const { overlay, underlay } = fan.mapping;
  const shift = underlay.length - overlay.length;
  const config = {
    ...fan,
    takes: 'all' as const,
    generation: 0,
    shift,
    device: 2,
    limit: LIMIT,
    linkHeader: ETHERNET.length,
  };
  return [...encapConfigWords({ ...config, own: [fan.address] })];
}

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

/** The outer packets of those that the program takes, undefined for the others; and what it counted. */
function byProgram(fan: FanEntry, packets: readonly Uint8Array[]) {
  const frames = packets.map((inner) => Buffer.concat([ETHERNET, inner]).toString('hex'));
  const output = execFileSync(
    'unshare',
    ['--net', process.execPath, join(here, 'encap-run.mjs'), ADDON, OBJECT],
    { input: JSON.stringify({ words: configOf(fan), frames }), maxBuffer: 1 << 26 },
  );
  const { results, counted } = JSON.parse(output.toString()) as {
    results: { verdict: number; frame: string }[];
    counted: { packets: number; bytes: number };
  };
  const outer = results.map(({ verdict, frame }) => {
    expect([TAKEN, PASSED_ON]).toContain(verdict);
    // In front stand the room for the link header and, in a test run, the frame's own.
    return verdict === TAKEN ? Buffer.from(frame, 'hex').subarray(2 * ETHERNET.length) : undefined;
  });
  return { outer, counted };
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
    const { outer, counted } = byProgram(fan, packets);
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

it('takes nothing where it is not enabled', () => {
  const table = new ForwardingTable([fanSpec('250.0.0.0/8', '172.30.0.28', 16)]);
  const words = configOf(table.fans[0]!);
  words[0] = 0;
  const inner = packet('250.0.28.2', '250.0.27.2');
  const input = JSON.stringify({ words, frames: [Buffer.concat([ETHERNET, inner]).toString('hex')] });
  const argv = ['--net', process.execPath, join(here, 'encap-run.mjs'), ADDON, OBJECT];
  const { results } = JSON.parse(execFileSync('unshare', argv, { input }).toString());
  expect(results[0].verdict).toBe(PASSED_ON);
});
