/**
 * Properties of made packets: what is written is read back, from buffers that were dirty; fragments put together
 * again are the datagram; a TOS that is changed in place leaves a right checksum.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { KEEP } from '../../../src/base/drop-reason.js';
import { applyTos, fragmentArea, fragmentCount, fragmentOuter, writeOuter } from '../../../src/wire/ipip.js';
import {
  checkInnerIpv4,
  decodeIpv4,
  emitIpv4,
  headerChecksumValid,
  type Ipv4Header,
  isFragment,
} from '../../../src/wire/ipv4.js';
import { reassemble, slowChecksum } from '../../oracle/wire/slow-wire.js';

const u8 = fc.integer({ min: 0, max: 255 });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const options = fc.integer({ min: 0, max: 10 }).chain((words) => {
  return fc.uint8Array({ minLength: words * 4, maxLength: words * 4 });
});

const header: fc.Arbitrary<Ipv4Header> = fc.record({
  tos: u8,
  totalLength: fc.integer({ min: 60, max: 65_535 }),
  id: u16,
  dontFragment: fc.boolean(),
  moreFragments: fc.boolean(),
  fragmentOffset: fc.integer({ min: 0, max: 8191 }).map((units) => units * 8),
  ttl: u8,
  protocol: u8,
  source: u32,
  destination: u32,
  options,
});

it('a header survives the wire, written into a dirty buffer', () => {
  fc.assert(
    fc.property(header, fc.nat(20), u8, (made, offset, dirt) => {
      const bytes = new Uint8Array(100).fill(dirt);
      const length = emitIpv4(bytes, offset, made);
      expect(decodeIpv4(bytes, offset)).toEqual(made);
      expect(slowChecksum(bytes.subarray(offset, offset + length))).toBe(0);
      const outside = [...bytes.subarray(0, offset), ...bytes.subarray(offset + length)];
      expect(outside.every((byte) => byte === dirt)).toBe(true);
    }),
  );
});

it('writeOuter writes what emitIpv4 writes', () => {
  fc.assert(
    fc.property(header, u8, (made, dirt) => {
      const plain = {
        ...made,
        options: new Uint8Array(0),
        moreFragments: false,
        fragmentOffset: 0,
        protocol: 4,
      };
      const { totalLength, source, destination, tos, ttl, id, dontFragment } = plain;
      const fast = new Uint8Array(24).fill(dirt);
      const slow = new Uint8Array(24).fill(dirt);
      writeOuter(fast, 2, totalLength, source, destination, tos, ttl, id, dontFragment);
      emitIpv4(slow, 2, plain);
      expect(fast).toEqual(slow);
    }),
  );
});

it('applyTos leaves a valid header that differs in nothing else', () => {
  fc.assert(
    fc.property(header, u8, (made, tos) => {
      const bytes = new Uint8Array(60);
      emitIpv4(bytes, 0, made);
      applyTos(bytes, 0, tos);
      expect(headerChecksumValid(bytes, 0)).toBe(true);
      expect(decodeIpv4(bytes, 0)).toEqual({ ...made, tos });
    }),
  );
});

it('fragments put together again are the datagram', () => {
  const sizes = fc.tuple(fc.integer({ min: 1, max: 9000 }), fc.integer({ min: 68, max: 9000 }));
  fc.assert(
    fc.property(sizes, fc.integer({ min: 1, max: 0xffff }), fc.nat(16), ([size, mtu], id, words) => {
      const totalLen = 20 + size;
      const headroom = words * 4;
      const area = 9100 & ~3;
      const slab = new Uint8Array(area + fragmentArea(totalLen, mtu, headroom));
      for (let i = 0; i < slab.length; i++) slab[i] = Math.imul(i, 2654435761) >>> 24;
      writeOuter(slab, 44, totalLen, 1, 2, 3, 4, 0, true);
      const payload = slab.slice(64, 64 + size);
      const ranges = new Uint32Array(2 * fragmentCount(totalLen, mtu));
      const count = fragmentOuter(slab, 44, totalLen, mtu, id, area, headroom, ranges);
      expect(count).toBe(ranges.length / 2);
      const fragments = Array.from({ length: count }, (_, i) => {
        return slab.slice(ranges[i * 2]!, ranges[i * 2]! + ranges[i * 2 + 1]!);
      });
      expect(Buffer.compare(reassemble(fragments), payload)).toBe(0);
      for (const fragment of fragments) {
        expect(fragment.length).toBeLessThanOrEqual(mtu);
        const made = decodeIpv4(fragment, 0);
        expect(made).toMatchObject({
          id,
          tos: 3,
          ttl: 4,
          protocol: 4,
          source: 1,
          destination: 2,
          dontFragment: false,
        });
        expect(made.totalLength).toBe(fragment.length);
        expect(headerChecksumValid(fragment, 0)).toBe(true);
        expect(isFragment(fragment, 0)).toBe(count > 1);
      }
      // Each starts at a multiple of 4 and has its headroom to itself.
      for (let i = 0; i < count; i++) {
        const end = i === 0 ? area : ranges[i * 2 - 2]! + ranges[i * 2 - 1]!;
        expect(ranges[i * 2]! % 4).toBe(0);
        expect(ranges[i * 2]! - end).toBeGreaterThanOrEqual(headroom);
      }
    }),
    { numRuns: 60 },
  );
});

it('an emitted packet passes the inner check', () => {
  fc.assert(
    fc.property(header, (made) => {
      const bytes = new Uint8Array(made.totalLength);
      emitIpv4(bytes, 0, { ...made, ttl: made.ttl || 1, protocol: made.protocol === 4 ? 6 : made.protocol });
      expect(checkInnerIpv4(bytes, 0, bytes.length)).toBe(KEEP);
    }),
  );
});
