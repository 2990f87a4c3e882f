/** Segmentation, merging and checksums of the addon against the slow oracle, on random flows. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MERGE_TCP, MERGE_UDP } from '../../src/io/devices/tun.js';
import { native } from '../../src/io/native.js';
import {
  CSUM_UNKNOWN,
  GSO_NONE,
  GSO_TCPV4,
  GSO_UDP_L4,
  NEEDS_CSUM,
  PacketBatch,
} from '../../src/io/packet-batch.js';
import {
  buildPacket,
  checksumOffset,
  type Flow,
  headerLength,
  slowChecksum,
  slowSegment,
  TCP,
  UDP,
} from '../oracle/segment.js';

const MTU = 1480;
const flows: fc.Arbitrary<Flow> = fc.record({
  protocol: fc.constantFrom(TCP, UDP),
  sourcePort: fc.integer({ min: 1, max: 65_535 }),
  id: fc.integer({ min: 0, max: 65_535 }),
  df: fc.boolean(),
  seq: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  options: fc.constantFrom(0, 12, 40),
});

/** Payload lengths with the tails that others got wrong: shorter than, equal to and one over the segment size. */
const cuts = fc
  .record({ gsoSize: fc.integer({ min: 8, max: 1400 }), whole: fc.integer({ min: 1, max: 44 }) })
  .chain(({ gsoSize, whole }) =>
    fc.record({
      gsoSize: fc.constant(gsoSize),
      length: fc
        .constantFrom(
          gsoSize * whole,
          gsoSize * whole - 1,
          gsoSize * whole + 1,
          gsoSize * whole - gsoSize / 2,
        )
        .map((length) => Math.max(1, Math.floor(length))),
    }),
  );

function payloadOf(length: number, salt: number): Uint8Array {
  return new Uint8Array(length).map((_, i) => (i * 31 + salt + (i >> 8)) & 0xff);
}

function slices(out: Uint8Array, ranges: Uint32Array): Uint8Array[] {
  return Array.from({ length: ranges.length / 2 }, (_, i) =>
    out.slice(ranges[i * 2]!, ranges[i * 2]! + ranges[i * 2 + 1]!),
  );
}

function batchOf(packets: readonly Uint8Array[]): PacketBatch {
  const batch = PacketBatch.create(packets.length, packets.length * 2048 + 70_000);
  let offset = 64;
  for (const packet of packets) {
    batch.slab.set(packet, offset);
    batch.setRange(batch.count, offset, packet.length);
    batch.setVnet(batch.count++, CSUM_UNKNOWN, GSO_NONE, 0, 0);
    offset += packet.length + 64;
  }
  return batch;
}

/** For comparisons: matching arrays byte by byte is slow. */
function hex(packets: readonly Uint8Array[]): string[] {
  return packets.map((packet) => Buffer.from(packet).toString('hex'));
}

/** Cuts a super-packet by the addon. */
function cut(packet: Uint8Array, flow: Flow, gsoSize: number): Uint8Array[] {
  const batch = batchOf([packet]);
  batch.setVnet(0, NEEDS_CSUM, flow.protocol === TCP ? GSO_TCPV4 : GSO_UDP_L4, gsoSize, headerLength(flow));
  batch.setCsum(0, 20, checksumOffset(flow));
  const out = new Uint8Array(packet.length * 12 + 70_000);
  return slices(out, native.segment(batch.slab, batch.descriptors, 0, out));
}

describe('segmentation', () => {
  test('is what the oracle does', () => {
    fc.assert(
      fc.property(flows, cuts, fc.constantFrom(0x10, 0x18, 0x19), (flow, { gsoSize, length }, flags) => {
        const payload = payloadOf(length, flow.sourcePort);
        const whole = buildPacket(flow, payload, { done: 0, nth: 0, flags, partial: true });
        expect(hex(cut(whole, flow, gsoSize))).toEqual(hex(slowSegment(flow, payload, gsoSize, flags)));
      }),
      { numRuns: 200 },
    );
  });

  test('completes a partial checksum', () => {
    fc.assert(
      fc.property(flows, fc.integer({ min: 0, max: 1400 }), (flow, length) => {
        const payload = payloadOf(length, flow.id);
        const batch = batchOf([buildPacket(flow, payload, { done: 0, nth: 0, partial: true })]);
        batch.setVnet(0, NEEDS_CSUM, GSO_NONE, 0, 0);
        batch.setCsum(0, 20, checksumOffset(flow));
        const out = new Uint8Array(2000);
        const [completed] = slices(out, native.segment(batch.slab, batch.descriptors, 0, out));
        expect(completed).toEqual(buildPacket(flow, payload, { done: 0, nth: 0 }));
        expect(batch.flags(0)).toBe(0);
      }),
    );
  });
});

describe('merging', () => {
  test('of one flow gives one super-packet, and cutting it gives the packets again', () => {
    fc.assert(
      fc.property(flows, cuts, (flow, { gsoSize, length }) => {
        const packets = slowSegment(flow, payloadOf(length, flow.seq), gsoSize, 0x18);
        const batch = batchOf(packets);
        const out = new Uint8Array(batch.slab.length + 10);
        const ranges = native.mergeForTun(
          batch.slab,
          batch.descriptors,
          batch.count,
          MTU,
          MERGE_TCP | MERGE_UDP,
          out,
        );
        const [written, ...more] = slices(out, ranges);
        expect(more).toEqual([]);
        const single = packets.length === 1;
        expect(written![0]).toBe(single ? 2 : NEEDS_CSUM);
        const restored = single ? [written!.slice(10)] : cut(written!.slice(10), flow, gsoSize);
        expect(hex(restored)).toEqual(hex(packets));
      }),
      { numRuns: 200 },
    );
  });

  test('keeps interleaved flows apart and in order', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 100 }), (order) => {
        const base: Flow = { protocol: TCP, sourcePort: 1, id: 9, df: true, seq: 0, options: 12 };
        const streams = [0, 1, 2].map((n) =>
          slowSegment({ ...base, sourcePort: 5000 + n }, payloadOf(20_000, n), 200),
        );
        const next = [0, 0, 0];
        const batch = batchOf(order.map((n) => streams[n]![next[n]!++]!));
        const out = new Uint8Array(batch.slab.length + 2000);
        const ranges = native.mergeForTun(batch.slab, batch.descriptors, batch.count, MTU, MERGE_TCP, out);
        const written = slices(out, ranges);
        expect(written.length).toBe(
          new Set(order).size + order.filter((n, i) => exceeds(order, n, i)).length,
        );
        for (const n of new Set(order)) {
          const parts = written.filter((bytes) => bytes[10 + 21] === ((5000 + n) & 0xff));
          const joined = parts.flatMap((bytes) => [...bytes.subarray(10 + 52)]);
          expect(joined).toEqual([...payloadOf(20_000, n).subarray(0, next[n]! * 200)]);
        }
      }),
    );
  });
});

/** Whether the i-th packet is the first of a further super-packet of its flow: one holds 64 segments. */
function exceeds(order: number[], n: number, i: number): boolean {
  const before = order.slice(0, i).filter((other) => other === n).length;
  return before > 0 && before % 64 === 0;
}

test('the checksum is RFC 1071', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3000 }), fc.nat(64), (bytes, offset) => {
      const start = Math.min(offset, bytes.length);
      expect(native.checksum(bytes, start, bytes.length - start)).toBe(slowChecksum(bytes.subarray(start)));
    }),
  );
});
