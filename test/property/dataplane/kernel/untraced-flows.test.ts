/**
 * Whatever a trace would show of the packets that the kernel's program could take must come to the daemon: random
 * filters, compiled by tcpdump, against random packets of flows that were released.
 */
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Direction, UntracedFlows } from '../../../../src/dataplane/kernel/untraced-flows.js';
import { Counters } from '../../../../src/dataplane/tables/counters.js';
import { ForwardingTable } from '../../../../src/dataplane/tables/forwarding-table.js';
import { CELL_BYTES, type TraceRecord } from '../../../../src/dataplane/tracing/protocol.js';
import { TraceSession } from '../../../../src/dataplane/tracing/session.js';
import { Tracer } from '../../../../src/dataplane/tracing/tracer.js';
import { DecapPath } from '../../../../src/dataplane/walks/decap-path.js';
import { EncapPath } from '../../../../src/dataplane/walks/encap-path.js';
import { IcmpReplies } from '../../../../src/dataplane/walks/icmp-replies.js';
import { PathMtuTable } from '../../../../src/dataplane/walks/path-mtu.js';
import { FRAGMENT_ROOM, TooBig } from '../../../../src/dataplane/walks/too-big.js';
import type { FanType } from '../../../../src/fan/encapsulation.js';
import { PacketBatch } from '../../../../src/io/packet-batch.js';
import type { FanProgram } from '../../../../src/io/programs/fan-program.js';
import { frame, inVxlan } from '../../../unit/dataplane/frames.js';
import { batchOf, fanSpec, packet, tunnelled } from '../../../unit/dataplane/packets.js';
import * as vxlan from '../../../unit/dataplane/tracing/vxlan.js';

const FILTERS = 110;
const PACKETS_A_FILTER = 40;
/** A tcpdump for each filter, on a machine that is busy. */
const TIMEOUT_MS = 120_000;

const US = '250.0.28.2';
const OUR_HOST = '172.30.0.28';
const table = new ForwardingTable([fanSpec('250.0.0.0/8', OUR_HOST, 16)]);
const fan = table.fans[0]!;

const field = fc.constantFrom(
  'ip[0]',
  'ip[1]',
  'ip[2:2]',
  'ip[6:2]',
  'ip[8]',
  'ip[9]',
  'ip[16:4]',
  'ip[20:2]',
  'ip[22:2]',
);
const deepField = fc.constantFrom(
  'tcp[13]',
  'tcp[2:2]',
  'udp[4:2]',
  'icmp[0]',
  'ip[29]',
  'ip[36:4]',
  'ip[40:2]',
  'udp[8:4]',
  'udp[12:4]',
  'ip[48:2]',
  'ip[59]',
  'ip[66:4]',
  'len',
);
const value = fc.constantFrom(
  8472,
  0xfa000000,
  0x08000000,
  0x0800,
  0,
  1,
  4,
  6,
  17,
  20,
  64,
  0x45,
  53,
  80,
  0x4000,
  0xfa001b02,
);
const arithmetic = fc
  .tuple(
    fc.oneof(field, deepField),
    fc.constantFrom('+', '-', '*', '&', '|', '^', '<<', '>>'),
    fc.constantFrom(1, 2, 4, 15),
  )
  .map(([left, operation, right]) => `(${left} ${operation} ${right})`);
const address = fc.constantFrom(
  '250.0.27.2',
  '250.0.27.3',
  '250.0.28.2',
  '172.30.0.27',
  '172.30.0.28',
  '10.0.0.1',
);
const direction = fc.constantFrom('', 'src ', 'dst ');
const primitive = fc.oneof(
  fc.tuple(direction, address).map(([way, host]) => `${way}host ${host}`),
  fc
    .tuple(direction, fc.constantFrom('250.0.0.0/16', '250.0.27.0/24', '10.0.0.0/8'))
    .map(([way, net]) => `${way}net ${net}`),
  fc
    .tuple(fc.constantFrom('', 'tcp ', 'udp '), direction, fc.constantFrom(53, 80, 443))
    .map(([protocol, way, port]) => `${protocol}${way}port ${port}`),
  fc.tuple(direction, fc.constantFrom('50-60', '80-500')).map(([way, range]) => `${way}portrange ${range}`),
  fc.constantFrom('tcp', 'udp', 'icmp', 'ip proto 4', 'ip6', 'ip multicast', 'greater 100', 'less 60'),
  fc
    .tuple(fc.oneof(field, deepField, arithmetic), fc.constantFrom('=', '!=', '<', '>='), value)
    .map((words) => words.join(' ')),
  fc
    .tuple(fc.oneof(field, arithmetic), fc.constantFrom('=', '>'), arithmetic)
    .map((words) => words.join(' ')),
);
const filter = fc.letrec<{ filter: string }>((tie) => ({
  filter: fc.oneof(
    { maxDepth: 2 },
    { weight: 3, arbitrary: primitive },
    primitive.map((text) => `not (${text})`),
    fc
      .tuple(tie('filter'), fc.constantFrom('and', 'or'), tie('filter'))
      .map(([a, how, b]) => `(${a}) ${how} (${b})`),
  ),
})).filter;

/** Of each byte of the headers and behind them, in both forms: what is taken for known must be what it is. */
const byteFilters = Array.from({ length: 46 }, (_, i) => [
  `ip[${i}] > 31`,
  `ip proto 4 and ip[${i}] < 32`,
]).flat();

/** The peers, and their hosts. */
const PEERS = [
  ['250.0.27.2', '172.30.0.27'],
  ['250.0.27.3', '172.30.0.27'],
  ['250.9.9.9', '172.30.9.9'],
] as const;

/** A packet, and who sent it, as the walk of that type gets it. */
interface Sent {
  bytes: Uint8Array;
  sender: string;
}

/** A packet that the program could take: of one of a few flows, all else at random. */
const plain = (type: FanType, direction: Direction): fc.Arbitrary<Sent> =>
  fc
    .record({
      peer: fc.constantFrom(...PEERS),
      protocol: fc.constantFrom(1, 6, 17, 132),
      ports: fc.constantFrom([53, 80], [40_000, 53], [443, 55], [9, 9]),
      ttl: fc.integer({ min: 1, max: 255 }),
      tos: fc.integer({ min: 0, max: 255 }),
      id: fc.integer({ min: 0, max: 65_535 }),
      dontFragment: fc.boolean(),
      payload: fc.integer({ min: 4, max: 60 }),
      rest: fc.uint8Array({ minLength: 60, maxLength: 60 }),
      outer: fc.record({
        ttl: fc.integer({ min: 1, max: 255 }),
        id: fc.integer({ min: 0, max: 65_535 }),
        dontFragment: fc.boolean(),
      }),
    })
    .map(({ peer, ports, rest, outer, ...fields }) => {
      const [from, to] = direction === 'encap' ? [US, peer[0]] : [peer[0], US];
      const bytes = packet(from, to, fields);
      bytes.set(rest.subarray(0, fields.payload), 20);
      bytes.set(
        ports.flatMap((port) => [port >> 8, port & 255]),
        20,
      );
      const sender = peer[1];
      if (type === 'vxlan') {
        const whole = frame(bytes);
        return { sender, bytes: direction === 'encap' ? whole : inVxlan(whole) };
      }
      if (direction === 'encap') return { sender, bytes };
      return { sender, bytes: tunnelled(sender, OUR_HOST, bytes, { ...outer, tos: fields.tos }) };
    });

/** None where tcpdump finds that it can't be, or nothing passes. */
function compile(text: string): number[] | undefined {
  try {
    const output = execFileSync('tcpdump', ['-ddd', '-y', 'RAW', text], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return output.trim().split(/\s+/).slice(1).map(Number);
  } catch {
    return undefined;
  }
}

function tracerOf(program: number[]): { tracer: Tracer; shown: TraceRecord[] } {
  const shown: TraceRecord[] = [];
  const most = { snapLen: 65_535, burstSnapLen: 65_535, recordsPerSecond: 50_000, bytesPerSecond: 256 << 20 };
  const shared = new SharedArrayBuffer(CELL_BYTES);
  const session = new TraceSession(
    { session: 1, program, dropsOnly: false, epochNs: 0n, shared, ...most },
    (_, records) => shown.push(...records),
  );
  return { tracer: new Tracer([session], 64), shown };
}

/** Walks a batch, and returns it judged. */
function walk(type: FanType, direction: Direction, tracer: Tracer, sent: readonly Sent[]): PacketBatch {
  const packets = sent.map(({ bytes }) => bytes);
  const senders = sent.map(({ sender }) => sender);
  if (type === 'ipip') return walkIpip(direction, tracer, packets);
  return direction === 'encap' ? vxlan.encap(tracer, packets) : vxlan.decap(tracer, packets, senders, 0, 0);
}

function walkIpip(direction: Direction, tracer: Tracer, packets: Uint8Array[]): PacketBatch {
  const counters = new Counters();
  const rx = batchOf(packets, FRAGMENT_ROOM);
  if (direction === 'encap') {
    const tx = new PacketBatch(512, rx.slab);
    const tooBig = new TooBig(counters, new IcmpReplies(counters), rx.slab, 64 * 2048);
    tracer.received();
    new EncapPath(counters, new PathMtuTable(), tooBig, table).process(fan, rx, 0, tx, 1);
    tracer.encapJudged(fan, rx, 0, rx.count, tx);
    tracer.encapSent(fan, rx, 0, rx.count, tx);
  } else {
    const out = [new PacketBatch(64, rx.slab)];
    tracer.decapReceived(rx);
    new DecapPath(counters, table).process(rx, out);
    tracer.decapJudged();
    tracer.decapWritten(rx, table.fans, out);
  }
  tracer.flush();
  return rx;
}

/** As the program reads it: all but the generation. */
function flowOf(bytes: Uint8Array): string {
  const ports = [6, 17].includes(bytes[9]!) ? [...bytes.subarray(20, 24)] : [];
  return [bytes[9], ...bytes.subarray(12, 20), ...ports].join();
}

/** The flows that are released as packets of them come to the daemon. */
function releasedFlows(
  type: FanType,
  direction: Direction,
  tracer: Tracer,
  packets: readonly Sent[],
): Set<string> {
  const released = new Set<string>();
  const untraced = new UntracedFlows(direction);
  const addFlow = ([, from, to, ports, protocol]: Uint32Array) => {
    const hasPorts = protocol === 6 || protocol === 17;
    const words = Uint32Array.of(from!, to!, ...(hasPorts ? [ports!] : []));
    const bytes = [...words].flatMap((word) => [
      word >>> 24,
      (word >>> 16) & 255,
      (word >>> 8) & 255,
      word & 255,
    ]);
    released.add([protocol, ...bytes].join());
  };
  untraced.begin(1);
  const rx = walk(type, direction, tracer, packets);
  const served = type === 'vxlan' ? vxlan.table.fans[0]! : fan;
  // A while apart, so that there is time to judge each flow.
  for (const nowMs of [1000, 2000, 3000]) {
    untraced.release(served, { addFlow } as unknown as FanProgram, tracer, rx, nowMs);
  }
  return released;
}

it.each<[FanType, Direction, number]>([
  ['ipip', 'encap', 0],
  ['ipip', 'decap', 20],
  ['vxlan', 'encap', 14],
  ['vxlan', 'decap', 50],
])(
  'of %s, %s: releases no flow of which the trace shows a packet, and many others',
  (type, direction, innerAt) => {
    const texts = [...byteFilters, ...fc.sample(filter, { numRuns: FILTERS, seed: 4 })];
    const packets = fc.sample(plain(type, direction), { numRuns: texts.length * PACKETS_A_FILTER, seed: 4 });
    let releases = 0;
    let shows = 0;
    for (const [i, text] of texts.entries()) {
      const program = compile(text);
      if (program === undefined) continue;
      const { tracer, shown } = tracerOf(program);
      const some = packets.slice(i * PACKETS_A_FILTER, (i + 1) * PACKETS_A_FILTER);
      const released = releasedFlows(type, direction, tracer, some);
      const seen = new Set(shown.map(({ data }) => flowOf(data.subarray(innerAt))));
      releases += released.size;
      shows += seen.size;
      expect({ text, both: [...seen].filter((flow) => released.has(flow)) }).toEqual({ text, both: [] });
    }
    expect(releases).toBeGreaterThan(500);
    expect(shows).toBeGreaterThan(500);
  },
  TIMEOUT_MS,
);
