/** Captures at wire size: what the addon sends of a super-packet, byte for byte, and checksums that were left partial. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { native } from '../../../src/io/native.js';
import { GSO_TCPV4, GSO_UDP_L4, NEEDS_CSUM, PacketBatch } from '../../../src/io/packet-batch.js';
import { completeChecksum, cutToWireSize } from '../../../src/trace/wire-size.js';
import { OUTER_LEN, writeOuter } from '../../../src/wire/ipip.js';
import {
  buildPacket,
  checksumOffset,
  type Flow,
  headerLength,
  slowSegment,
  TCP,
  UDP,
} from '../../oracle/segment.js';

const flows: fc.Arbitrary<Flow> = fc.record({
  protocol: fc.constantFrom(TCP, UDP),
  sourcePort: fc.integer({ min: 1, max: 65_535 }),
  id: fc.integer({ min: 0, max: 65_535 }),
  df: fc.boolean(),
  seq: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  options: fc.constantFrom(0, 12, 40),
});
const payloads = fc.uint8Array({ minLength: 1, maxLength: 4000 });

describe('cutToWireSize', () => {
  it('makes what the slow reference makes', () => {
    fc.assert(
      fc.property(flows, payloads, fc.integer({ min: 8, max: 1400 }), (flow, payload, size) => {
        const whole = buildPacket(flow, payload, { done: 0, nth: 0, flags: 0x19, partial: true });
        expect(cutToWireSize(whole, 0, size)).toEqual(slowSegment(flow, payload, size, 0x19));
      }),
    );
  });

  it('makes what the addon makes, and gives each its outer header', () => {
    fc.assert(
      fc.property(flows, payloads, fc.integer({ min: 8, max: 1400 }), (flow, payload, size) => {
        const inner = buildPacket(flow, payload, { done: 0, nth: 0, flags: 0x98, partial: true });
        const bytes = new Uint8Array(OUTER_LEN + inner.length);
        bytes.set(inner, OUTER_LEN);
        writeOuter(bytes, 0, bytes.length, 0xac1e001c, 0xac1e001b, 2, 63, 0, true);
        const cut = cutToWireSize(bytes, OUTER_LEN, size) ?? [];
        const batch = PacketBatch.create(1, inner.length);
        batch.slab.set(inner);
        batch.setRange(0, 0, inner.length);
        batch.setVnet(
          0,
          NEEDS_CSUM,
          flow.protocol === TCP ? GSO_TCPV4 : GSO_UDP_L4,
          size,
          headerLength(flow),
        );
        const out = new Uint8Array(1 << 20);
        const ranges = native.segment(batch.slab, batch.descriptors, 0, out);
        expect(cut).toHaveLength(ranges.length / 2);
        cut.forEach((packet, i) => {
          const start = ranges[2 * i]!;
          expect(packet.slice(OUTER_LEN)).toEqual(out.slice(start, start + ranges[2 * i + 1]!));
          const outer = new Uint8Array(OUTER_LEN);
          writeOuter(outer, 0, packet.length, 0xac1e001c, 0xac1e001b, 2, 63, 0, true);
          expect(packet.slice(0, OUTER_LEN)).toEqual(outer);
        });
      }),
      { numRuns: 50 },
    );
  });

  it('leaves alone what is no TCP or UDP', () => {
    const packet = buildPacket(
      { protocol: TCP, sourcePort: 1, id: 1, df: true, seq: 1, options: 0 },
      new Uint8Array(9),
      { done: 0, nth: 0 },
    );
    packet[9] = 1;
    expect(cutToWireSize(packet, 0, 4)).toBeUndefined();
  });
});

describe('completeChecksum', () => {
  it('completes one that is partial, whoever says so', () => {
    fc.assert(
      fc.property(flows, payloads, fc.boolean(), (flow, payload, known) => {
        const packet = buildPacket(flow, payload, { done: 0, nth: 0, partial: true });
        completeChecksum(packet, 0, packet.length, known);
        expect(packet).toEqual(buildPacket(flow, payload, { done: 0, nth: 0 }));
      }),
    );
  });

  it('keeps one that is right, and one that is wrong', () => {
    fc.assert(
      fc.property(flows, payloads, fc.integer({ min: 0, max: 0xffff }), (flow, payload, damage) => {
        const packet = buildPacket(flow, payload, { done: 0, nth: 0 });
        const partial = buildPacket(flow, payload, { done: 0, nth: 0, partial: true });
        const at = 20 + checksumOffset(flow);
        packet[at]! ^= damage >> 8;
        packet[at + 1]! ^= damage & 255;
        fc.pre(packet[at] !== partial[at] || packet[at + 1] !== partial[at + 1]);
        const before = packet.slice();
        completeChecksum(packet, 0, packet.length, false);
        expect(packet).toEqual(before);
      }),
    );
  });

  it('bears any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), (bytes, known) => {
        completeChecksum(bytes, 0, bytes.length, known);
        cutToWireSize(bytes, 0, 8);
      }),
    );
  });
});
