/** The word-wise header functions against the byte-wise ones: the same judgement where a header is plain, the same bytes. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { KEEP } from '../../../src/base/drop-reason.js';
import { writeOuter } from '../../../src/wire/ipip.js';
import {
  checkInnerIpv4,
  checkOuterIpv4,
  destinationBits,
  emitIpv4,
  headerLen,
  PLAIN_HEADER,
  sourceBits,
  totalLength,
} from '../../../src/wire/ipv4.js';
import {
  isPlainInner,
  isPlainOuter,
  plainDestination,
  plainSource,
  plainTotalLength,
  writePlainOuter,
} from '../../../src/wire/plain-header.js';

const START = 8;
const u8 = fc.integer({ min: 0, max: 255 });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });

const header = fc.record({
  tos: u8,
  id: u16,
  dontFragment: fc.boolean(),
  moreFragments: fc.boolean(),
  fragmentOffset: fc.constantFrom(0, 0, 8, 65_528),
  ttl: fc.constantFrom(0, 1, 64, 255),
  protocol: fc.constantFrom(1, 4, 6, 17),
  source: u32,
  destination: u32,
  options: fc.constantFrom(new Uint8Array(0), new Uint8Array(0), new Uint8Array(4)),
});

/** A header that is right, and perhaps one byte of it damaged; `available` is about what is there. */
const packets = fc
  .record({
    fields: header,
    payload: fc.integer({ min: 0, max: 40 }),
    missing: fc.oneof(fc.constant(0), fc.integer({ min: -4, max: 45 })),
    damage: fc.option(fc.tuple(fc.integer({ min: 0, max: 19 }), u8), { freq: 2 }),
  })
  .map(({ fields, payload, missing, damage }) => {
    const bytes = new Uint8Array(128);
    const total = 20 + fields.options.length + payload;
    emitIpv4(bytes, START, { ...PLAIN_HEADER, ...fields, totalLength: total });
    if (damage) bytes[START + damage[0]]! ^= damage[1];
    return { bytes, available: Math.max(0, total - missing) };
  });

const wordsOf = (bytes: Uint8Array) => new Int32Array(bytes.buffer, 0, bytes.length >> 2);

it('judges a header of 20 bytes as the byte-wise checks do, and no other', () => {
  let plain = 0;
  fc.assert(
    fc.property(packets, ({ bytes, available }) => {
      const words = wordsOf(bytes);
      const usual = headerLen(bytes, START) === 20;
      const inner = isPlainInner(words, START >> 2, available);
      expect(inner).toBe(usual && checkInnerIpv4(bytes, START, available) === KEEP);
      expect(isPlainOuter(words, START >> 2, available)).toBe(
        usual && checkOuterIpv4(bytes, START, available) === KEEP,
      );
      expect(plainTotalLength(words, START >> 2)).toBe(totalLength(bytes, START));
      expect(plainSource(words, START >> 2)).toBe(sourceBits(bytes, START));
      expect(plainDestination(words, START >> 2)).toBe(destinationBits(bytes, START));
      if (inner) plain++;
    }),
    { numRuns: 5000 },
  );
  expect(plain).toBeGreaterThan(100);
});

it('writes the bytes that writeOuter writes, and no more', () => {
  fc.assert(
    fc.property(u16, u32, u32, u8, u8, u8, (totalLen, source, destination, tos, ttl, dirt) => {
      const words = new Uint8Array(64).fill(dirt);
      const expected = words.slice();
      writePlainOuter(wordsOf(words), START >> 2, totalLen, source | 0, destination | 0, tos, ttl);
      writeOuter(expected, START, totalLen, source, destination, tos, ttl, 0, true);
      expect(words).toEqual(expected);
    }),
  );
});
