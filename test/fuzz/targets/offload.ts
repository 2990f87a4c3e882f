/** Segmentation and merging of the addon against the slow oracle: flows, flows that were tampered with, and any bytes. */
import fc from 'fast-check';
import { expect } from 'vitest';
import { MERGE_TCP, MERGE_UDP } from '../../../src/io/devices/tun.js';
import { native } from '../../../src/io/native.js';
import {
  CSUM_UNKNOWN,
  GSO_NONE,
  GSO_TCPV4,
  GSO_UDP_L4,
  NEEDS_CSUM,
  PacketBatch,
} from '../../../src/io/packet-batch.js';
import {
  buildPacket,
  checksumOffset,
  type Flow,
  headerLength,
  slowChecksum,
  slowSegment,
  TCP,
  UDP,
} from '../../oracle/segment.js';
import { innerPackets } from '../packets.js';
import { CASES, type Target } from '../target.js';

const MTU = 1480;
const VNET = 10;

const flows: fc.Arbitrary<Flow> = fc.record({
  protocol: fc.constantFrom(TCP, UDP),
  sourcePort: fc.constantFrom(1, 5000, 5001, 65_535),
  id: fc.nat(0xffff),
  df: fc.boolean(),
  seq: fc.oneof(fc.nat(0xffffffff), fc.constantFrom(0xffffffff, 0xfffffc00)),
  options: fc.constantFrom(0, 0, 12, 40),
});

const payloads = fc.record({
  flow: flows,
  payload: fc.uint8Array({ minLength: 1, maxLength: 6000 }),
  gsoSize: fc.integer({ min: 100, max: 1400 }),
  flags: fc.constantFrom(0x10, 0x18, 0x19, 0x11),
});

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

function slices(out: Uint8Array, ranges: Uint32Array): Uint8Array[] {
  return Array.from({ length: ranges.length / 2 }, (_, i) =>
    out.slice(ranges[i * 2]!, ranges[i * 2]! + ranges[i * 2 + 1]!),
  );
}

const hex = (packets: readonly Uint8Array[]) => packets.map((bytes) => Buffer.from(bytes).toString('hex'));

function segmentWhole({
  flow,
  payload,
  gsoSize,
  flags,
}: typeof payloads extends fc.Arbitrary<infer T> ? T : never): void {
  const whole = buildPacket(flow, payload, { done: 0, nth: 0, flags, partial: true });
  const batch = batchOf([whole]);
  batch.setVnet(0, NEEDS_CSUM, flow.protocol === TCP ? GSO_TCPV4 : GSO_UDP_L4, gsoSize, headerLength(flow));
  batch.setCsum(0, 20, checksumOffset(flow));
  const out = new Uint8Array(200_000);
  const made = slices(out, native.segment(batch.slab, batch.descriptors, 0, out));
  expect(hex(made)).toEqual(hex(slowSegment(flow, payload, gsoSize, flags)));
}

/** Facts that contradict the packet: refused by name, or cut within the room that there is. */
function segmentAny(bytes: Uint8Array, facts: readonly number[]): void {
  const batch = batchOf([bytes]);
  const [flags, gsoType, gsoSize, headerLen, start, offset] = facts;
  batch.setVnet(0, flags!, gsoType!, gsoSize!, headerLen!);
  batch.setCsum(0, start!, offset!);
  const out = new Uint8Array(70_000);
  try {
    const ranges = native.segment(batch.slab, batch.descriptors, 0, out);
    for (let i = 0; i < ranges.length; i += 2) {
      expect(ranges[i]! + ranges[i + 1]!).toBeLessThanOrEqual(out.length);
    }
  } catch (error) {
    expect(['EINVAL', 'ENOBUFS']).toContain((error as NodeJS.ErrnoException).code);
  }
}

/** What the kernel would make of a packet for the TUN: cut by the slow way of buildPacket's fields, read from it. */
function expand(written: Uint8Array): Uint8Array[] {
  const header = new DataView(written.buffer, written.byteOffset, VNET);
  const [gsoType, headerLen, gsoSize] = [
    header.getUint8(1),
    header.getUint16(2, true),
    header.getUint16(4, true),
  ];
  const packet = written.slice(VNET);
  if (gsoType === GSO_NONE) return [packet];
  const batch = batchOf([packet]);
  batch.setVnet(0, header.getUint8(0), gsoType, gsoSize, headerLen);
  batch.setCsum(0, header.getUint16(6, true), header.getUint16(8, true));
  const out = new Uint8Array(200_000);
  return slices(out, native.segment(batch.slab, batch.descriptors, 0, out));
}

/** The ID of a packet with DF means nothing (RFC 6864 §4.1): it is left out, and the checksum that it is part of. */
function withoutId(bytes: Uint8Array): Uint8Array {
  const plain = bytes.slice();
  if (plain.length < 20 || (plain[6]! & 0x40) === 0) return plain;
  if (slowChecksum(plain.subarray(0, Math.min(plain.length, (plain[0]! & 15) * 4))) !== 0) return plain;
  plain.fill(0, 4, 6);
  plain.fill(0, 10, 12);
  return plain;
}

/** Several flows in one batch, some packets changed: each comes out again as it went in, those of a flow in order. */
function merge(packets: readonly Uint8Array[]): void {
  const batch = batchOf(packets);
  const out = new Uint8Array(batch.slab.length + packets.length * VNET);
  const ranges = native.mergeForTun(
    batch.slab,
    batch.descriptors,
    batch.count,
    MTU,
    MERGE_TCP | MERGE_UDP,
    out,
  );
  const restored = slices(out, ranges).flatMap(expand);
  const flowOf = (bytes: Uint8Array) => hex([bytes.subarray(9, 10), bytes.subarray(12, 24)]).join();
  const byFlow = (some: readonly Uint8Array[]) =>
    some
      .map((bytes, i) => ({ flow: flowOf(bytes), i, bytes: hex([withoutId(bytes)])[0]! }))
      .sort((a, b) => (a.flow < b.flow ? -1 : a.flow > b.flow ? 1 : a.i - b.i))
      .map(({ bytes }) => bytes);
  expect(byFlow(restored)).toEqual(byFlow(packets));
}

const streams = fc
  .record({
    sources: fc.array(payloads, { minLength: 1, maxLength: 4 }),
    order: fc.array(fc.nat(3), { minLength: 2, maxLength: 60 }),
    strangers: fc.array(innerPackets, { maxLength: 3 }),
    changes: fc.array(fc.tuple(fc.nat(59), fc.nat(99), fc.nat(255)), { maxLength: 4 }),
  })
  .map(({ sources, order, strangers, changes }) => {
    const queues = sources.map(({ flow, payload, gsoSize, flags }) =>
      slowSegment(flow, payload, gsoSize, flags),
    );
    const packets = order.flatMap((n) => queues[n % queues.length]!.splice(0, 1));
    for (const [nth, at, value] of changes) {
      const packet = packets[nth % packets.length];
      if (packet) packet[at % packet.length] = value;
    }
    packets.splice(packets.length >> 1, 0, ...strangers);
    return packets;
  });

const u16 = fc.oneof(fc.constantFrom(0, 1, 6, 16, 20, 28, 40, 1400, 0xffff), fc.nat(0xffff));
const facts = fc.tuple(fc.nat(255), fc.constantFrom(0, 1, 5, 0x81, 255), u16, u16, u16, u16);

export const offload: Target = {
  name: 'offload',
  check(seed) {
    const given = { seed, numRuns: CASES / 4 };
    fc.assert(fc.property(payloads, segmentWhole), given);
    fc.assert(fc.property(fc.oneof(innerPackets, fc.uint8Array({ minLength: 1 })), facts, segmentAny), given);
    fc.assert(fc.property(streams, merge), given);
  },
};
