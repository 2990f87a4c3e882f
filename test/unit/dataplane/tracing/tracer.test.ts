/** The tracer beside the packet walks: what it copies, the verdicts and errors that it finds, and what it must lose. */
import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../../../src/addr/ipv4-address.js';
import { DROP, dropReasonName } from '../../../../src/base/drop-reason.js';
import { Counters } from '../../../../src/dataplane/tables/counters.js';
import { ForwardingTable } from '../../../../src/dataplane/tables/forwarding-table.js';
import {
  CELL,
  CELL_BYTES,
  type TraceRecord,
  type TraceSpec,
} from '../../../../src/dataplane/tracing/protocol.js';
import { TraceSession } from '../../../../src/dataplane/tracing/session.js';
import { Tracer } from '../../../../src/dataplane/tracing/tracer.js';
import { DecapPath } from '../../../../src/dataplane/walks/decap-path.js';
import { EncapPath } from '../../../../src/dataplane/walks/encap-path.js';
import { IcmpReplies } from '../../../../src/dataplane/walks/icmp-replies.js';
import { PathMtuTable } from '../../../../src/dataplane/walks/path-mtu.js';
import { FRAGMENT_ROOM, TooBig } from '../../../../src/dataplane/walks/too-big.js';
import { GSO_UDP_L4, PacketBatch } from '../../../../src/io/packet-batch.js';
import { batchOf, fanSpec, packet, tunnelled } from '../packets.js';

const US = '172.30.0.28';
const PEER = '172.30.0.27';
const good = packet('250.0.28.2', '250.0.27.2');
const foreign = packet('250.0.99.2', '250.0.27.2');
const back = packet('250.0.27.2', '250.0.28.2');

/** Matches what tcpdump calls "src host 250.0.27.2". */
const FROM_PEER = [48, 0, 0, 0, 84, 0, 0, 240, 21, 0, 3, 64, 32, 0, 0, 12, 21, 0, 1, 0xfa001b02]
  .concat([6, 0, 0, 262144])
  .concat([6, 0, 0, 0]);
/** "ip proto 4". */
const TUNNELLED = [48, 0, 0, 9, 21, 0, 1, 4, 6, 0, 0, 262144, 6, 0, 0, 0];

function traced(more: Partial<TraceSpec> = {}) {
  const shared = new SharedArrayBuffer(CELL_BYTES);
  const records: TraceRecord[] = [];
  const spec: TraceSpec = {
    session: 7,
    program: [],
    dropsOnly: false,
    snapLen: 65_535,
    burstSnapLen: 65_535,
    recordsPerSecond: 100,
    bytesPerSecond: 1e6,
    epochNs: 10n ** 18n,
    shared,
    ...more,
  };
  const session = new TraceSession(spec, (number, some) => {
    expect(number).toBe(7);
    records.push(...some);
  });
  const tracer = new Tracer([session], 64);
  const lost = () => new Int32Array(shared)[CELL.lost];
  const verdicts = () => records.map(({ path, fan, reason }) => [path, fan, dropReasonName(reason)]);
  return { tracer, records, lost, verdicts };
}

/** Walks a batch out of the TUN; `fail` sets errors as a device would. */
function encap(
  tracer: Tracer,
  packets: Uint8Array[],
  options: { pathMtu?: number; txCapacity?: number; prepare?: (rx: PacketBatch) => void } = {},
  fail: (tx: PacketBatch) => void = () => {},
) {
  const counters = new Counters();
  const pathMtu = new PathMtuTable();
  if (options.pathMtu) pathMtu.learn(parseAddress(PEER), options.pathMtu, 1500, 0);
  const rx = batchOf(packets, FRAGMENT_ROOM);
  options.prepare?.(rx);
  const tx = new PacketBatch(options.txCapacity ?? 512, rx.slab);
  const table = new ForwardingTable([fanSpec('250.0.0.0/8', US, 16)]);
  const replies = new IcmpReplies(counters);
  replies.tracer = tracer;
  const path = new EncapPath(counters, pathMtu, new TooBig(counters, replies, rx.slab, 64 * 2048), table);
  const fan = table.fans[0]!;
  tracer.received();
  for (let taken = 0; taken < rx.count; ) {
    const from = taken;
    tx.count = 0;
    taken = path.process(fan, rx, taken, tx, 1);
    tracer.encapJudged(fan, rx, from, taken, tx);
    fail(tx);
    tracer.encapSent(fan, rx, from, taken, tx);
  }
  tracer.replied(fan, replies.batch);
  tracer.flush();
}

function decap(tracer: Tracer, packets: Uint8Array[], fail: (out: PacketBatch) => void = () => {}) {
  const specs = [fanSpec('250.0.0.0/8', US, 16), fanSpec('99.0.0.0/8', US, 16, { counterBlock: 2 })];
  const table = new ForwardingTable(specs);
  const rx = batchOf(packets);
  const out = specs.map(() => new PacketBatch(64, rx.slab));
  tracer.decapReceived(rx);
  new DecapPath(new Counters(), table).process(rx, out);
  tracer.decapJudged();
  fail(out[0]!);
  tracer.decapWritten(rx, table.fans, out);
  tracer.flush();
}

describe('encap', () => {
  it('shows each packet as it was read, its verdict and its outer header', () => {
    const { tracer, records, verdicts } = traced();
    encap(tracer, [good, foreign, good]);
    expect(verdicts()).toEqual([
      ['encap', '250.0.0.0/8', undefined],
      ['encap', '250.0.0.0/8', 'source-not-ours'],
      ['encap', '250.0.0.0/8', undefined],
    ]);
    const [first, second] = records;
    expect(first?.data).toEqual(good);
    expect(first?.outer?.slice(12)).toEqual(Uint8Array.of(172, 30, 0, 28, 172, 30, 0, 27));
    expect(second?.outer).toBeUndefined();
    expect(first?.readNs).toBeGreaterThan(10n ** 18n);
    expect(first?.doneNs).toBeGreaterThanOrEqual(first?.judgedNs ?? Number.POSITIVE_INFINITY);
  });

  it('keeps the order where a batch is sent in several goes', () => {
    const { tracer, records } = traced();
    const ids = [1, 2, 3, 4, 5].map((id) => packet('250.0.28.2', '250.0.27.2', { id }));
    encap(tracer, ids, { txCapacity: 2 });
    expect(records.map(({ data }) => data)).toEqual(ids);
    expect(records.every(({ outer }) => outer !== undefined)).toBe(true);
  });

  it('names what the kernel refused, and why', () => {
    const { tracer, records, verdicts } = traced();
    encap(tracer, [good, good, good], {}, (tx) => {
      tx.setError(1, 101);
      tx.setError(2, 90);
    });
    expect(verdicts().map(([, , reason]) => reason)).toEqual([undefined, 'send-failed', 'too-big']);
    expect(records.map(({ errno }) => errno)).toEqual([0, 101, 90]);
  });

  it('copies what is too big as the fragments that were sent, each datagram its own', () => {
    const { tracer, records } = traced();
    const big = packet('250.0.28.2', '250.0.27.2', { payload: 1400 });
    const superPacket = big.slice();
    superPacket.set([0, 9, 0, 9, 0x05, 0x78, 0, 0], 20);
    encap(tracer, [big, superPacket, good], {
      pathMtu: 600,
      prepare: (rx) => {
        rx.setVnet(1, 1, GSO_UDP_L4, 696, 28);
        rx.setCsum(1, 20, 6);
      },
    });
    expect(
      records.map(({ fragments, outer, packets }) => [fragments?.length, outer?.length, packets]),
    ).toEqual([
      [3, undefined, 1],
      [4, undefined, 2],
      [undefined, 20, 1],
    ]);
  });

  it('shows the answer to what is too big, and the one that the rate limit held back', () => {
    const { tracer, records, verdicts } = traced({ recordsPerSecond: 1000 });
    const big = packet('250.0.28.2', '250.0.27.2', { payload: 1000, dontFragment: true });
    encap(
      tracer,
      Array.from({ length: 33 }, () => big),
      { pathMtu: 600 },
    );
    const counts: Record<string, number> = {};
    for (const [path, , reason] of verdicts()) {
      counts[`${path} ${reason}`] = (counts[`${path} ${reason}`] ?? 0) + 1;
    }
    expect(counts).toEqual({ 'encap too-big': 33, 'reply undefined': 32, 'reply icmp-rate': 1 });
    const reply = records.find(({ path, reason }) => path === 'reply' && reason === 0);
    expect(reply?.data.slice(20, 22)).toEqual(Uint8Array.of(3, 4));
  });
});

describe('decap', () => {
  it('shows each packet as it was received, its fan, and the TOS that it got', () => {
    const { tracer, records, verdicts } = traced();
    const marked = tunnelled(PEER, US, packet('250.0.27.2', '250.0.28.2', { tos: 2 }), { tos: 3 });
    const sibling = tunnelled(PEER, US, packet('99.0.27.2', '99.0.28.2'));
    const elsewhere = tunnelled(PEER, '172.30.0.99', back);
    const before = marked.slice();
    decap(tracer, [marked, sibling, elsewhere, tunnelled('172.30.0.77', US, back)]);
    expect(verdicts()).toEqual([
      ['decap', '250.0.0.0/8', undefined],
      ['decap', '99.0.0.0/8', undefined],
      ['decap', undefined, 'outer-destination'],
      ['decap', '250.0.0.0/8', 'source-forged'],
    ]);
    expect(records[0]?.data).toEqual(before);
    expect(records.map(({ tos }) => tos)).toEqual([3, 0, undefined, undefined]);
  });

  it('names what the TUN refused', () => {
    const { tracer, records, verdicts } = traced({ dropsOnly: true });
    decap(tracer, [tunnelled(PEER, US, back), tunnelled(PEER, US, back)], (out) => out.setError(1, 5));
    expect(verdicts()).toEqual([['decap', '250.0.0.0/8', 'tun-write-failed']]);
    expect(records[0]?.errno).toBe(5);
  });

  it('bears anything that comes', () => {
    const { tracer, records } = traced();
    decap(tracer, [new Uint8Array(0), Uint8Array.of(0x4f), new Uint8Array(19).fill(0xff)]);
    expect(records.map(({ reason }) => reason)).toEqual(Array(3).fill(DROP['outer-malformed']));
  });
});

describe('what is asked for', () => {
  const program = FROM_PEER;
  it('matches the inner packet on both walks', () => {
    const { tracer, records } = traced({ program });
    encap(tracer, [good, packet('250.0.27.2', '250.0.28.2')]);
    decap(tracer, [tunnelled(PEER, US, back), tunnelled(PEER, US, packet('250.0.27.3', '250.0.28.2'))]);
    expect(records.map(({ path, reason }) => [path, dropReasonName(reason)])).toEqual([
      ['encap', 'source-not-ours'],
      ['decap', undefined],
    ]);
  });

  it('matches the outer packet on both walks', () => {
    const { tracer, records } = traced({ program: TUNNELLED });
    encap(tracer, [good, foreign]);
    decap(tracer, [tunnelled(PEER, US, back)]);
    expect(records.map(({ path }) => path)).toEqual(['encap', 'decap']);
  });

  it('may be the drops only, or one fan', () => {
    const drops = traced({ dropsOnly: true });
    encap(drops.tracer, [good, foreign]);
    decap(drops.tracer, [tunnelled(PEER, US, back), tunnelled('172.30.0.77', US, back)]);
    expect(drops.verdicts().map(([, , reason]) => reason)).toEqual(['source-not-ours', 'source-forged']);
    const fan = traced({ fan: '99.0.0.0/8' });
    encap(fan.tracer, [good]);
    decap(fan.tracer, [tunnelled(PEER, US, back), tunnelled(PEER, US, packet('99.0.27.2', '99.0.28.2'))]);
    expect(fan.verdicts()).toEqual([['decap', '99.0.0.0/8', undefined]]);
  });

  it('is cut to the snap length', () => {
    const { tracer, records } = traced({ snapLen: 28 });
    encap(tracer, [good]);
    expect(records[0]).toMatchObject({ data: good.slice(0, 28), length: good.length });
  });

  it('is lost beyond the rate, and counted', () => {
    const some = traced({ recordsPerSecond: 2 });
    encap(some.tracer, [good, good, good, good, good]);
    expect([some.records.length, some.lost()]).toEqual([2, 3]);
    const bytes = traced({ bytesPerSecond: 300 });
    encap(bytes.tracer, [good, good, good]);
    expect([bytes.records.length, bytes.lost()]).toEqual([2, 1]);
  });

  it('costs and loses nothing for packets of a fan that is not asked for', () => {
    const other = packet('99.0.27.2', '99.0.28.2');
    const { tracer, records, lost } = traced({ fan: '99.0.0.0/8', recordsPerSecond: 2 });
    for (let round = 0; round < 4; round++) decap(tracer, [tunnelled(PEER, US, back)]);
    expect(lost()).toBe(0);
    decap(tracer, [tunnelled(PEER, US, back), tunnelled(PEER, US, back), tunnelled(PEER, US, back)]);
    expect(lost()).toBe(0);
    decap(
      tracer,
      [other, other, other].map((inner) => tunnelled(PEER, US, inner)),
    );
    expect([records.length, lost()]).toEqual([2, 1]);
  });

  it('is lost while the main thread is behind', () => {
    const shared = new SharedArrayBuffer(CELL_BYTES);
    new Int32Array(shared)[CELL.waiting] = 1_000_000;
    const { tracer, records } = traced({ shared });
    encap(tracer, [good]);
    expect(records).toEqual([]);
    expect(new Int32Array(shared)[CELL.lost]).toBe(1);
  });
});
