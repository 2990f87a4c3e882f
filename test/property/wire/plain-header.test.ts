/** The plain header functions against the byte-wise ones: the same judgement where a header is plain, the same bytes. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { KEEP } from '../../../src/base/drop-reason.js';
import { writeOuter } from '../../../src/wire/ipip.js';
import { checkInnerIpv4, checkOuterIpv4, emitIpv4, headerLen, PLAIN_HEADER } from '../../../src/wire/ipv4.js';
import { isPlainInner, isPlainOuter, PLAIN_LEN, writePlainOuter } from '../../../src/wire/plain-header.js';

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

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, 0, bytes.length);

type Words = [number, number, number, number, number];

function wordsOf(bytes: Uint8Array): Words {
  const view = viewOf(bytes);
  return [0, 4, 8, 12, 16].map((at) => view.getInt32(START + at)) as Words;
}

it('judges a header of 20 bytes as the byte-wise checks do, and no other', () => {
  let plain = 0;
  fc.assert(
    fc.property(packets, ({ bytes, available }) => {
      const usual = headerLen(bytes, START) === PLAIN_LEN && available >= PLAIN_LEN;
      const [first, second, third, source, destination] = wordsOf(bytes);
      const inner = isPlainInner(first, second, third, source, destination, available);
      expect(inner).toBe(usual && checkInnerIpv4(bytes, START, available) === KEEP);
      expect(isPlainOuter(first, second, third, source, destination, available)).toBe(
        usual && checkOuterIpv4(bytes, START, available) === KEEP,
      );
      if (inner) plain++;
    }),
    { numRuns: 5000 },
  );
  expect(plain).toBeGreaterThan(100);
});

it('writes the bytes that writeOuter writes, and no more', () => {
  fc.assert(
    fc.property(u16, u32, u32, u8, u8, u8, (totalLen, source, destination, tos, ttl, dirt) => {
      const written = new Uint8Array(64).fill(dirt);
      const expected = written.slice();
      writePlainOuter(viewOf(written), START, totalLen, source | 0, destination | 0, tos, ttl);
      writeOuter(expected, START, totalLen, source, destination, tos, ttl, 0, true);
      expect(written).toEqual(expected);
    }),
  );
});
