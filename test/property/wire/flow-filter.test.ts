/** FlowFilter on random programs: "no" is never wrong, and it isn't always "yes". */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FlowFilter } from '../../../src/wire/flow-filter.js';
import { PacketFilter } from '../../../src/wire/packet-filter.js';
import { anyMatches } from '../../oracle/wire/slow-flow-filter.js';

/** Bytes of a packet, so few that what is loaded is often compared with what is there. */
const BYTES = 6;
const OPEN_BITS = 5;

const constant = fc.oneof(
  fc.integer({ min: 0, max: 9 }),
  fc.constantFrom(0x0f, 0xff, 0x1fff, 0xffff, 0x80000000, 0xffffffff),
);
const at = fc.integer({ min: 0, max: BYTES });
const line = (code: number, k = 0): number[] => [code, 0, 0, k];

const load = fc
  .tuple(fc.constantFrom(0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0xb1), at)
  .map(([code, k]) => line(code, k));
const move = fc.oneof(
  fc.tuple(fc.constantFrom(0x00, 0x01), constant).map(([code, k]) => line(code, k)),
  fc.constantFrom(0x80, 0x81, 0x07, 0x87).map((code) => line(code)),
  fc
    .tuple(fc.constantFrom(0x60, 0x61, 0x02, 0x03), fc.integer({ min: 0, max: 2 }))
    .map(([c, k]) => line(c, k)),
);
const compute = fc
  .tuple(fc.integer({ min: 0, max: 10 }), fc.boolean(), constant)
  .map(([operation, fromX, k]) => line((operation << 4) | (fromX ? 8 : 0) | 4, fromX ? 0 : Math.max(k, 1)));
/** Jumps are put right when it is known how many instructions follow. */
const jump = fc
  .tuple(fc.integer({ min: 0, max: 4 }), fc.boolean(), fc.nat(3), fc.nat(3), constant)
  .map(([operation, fromX, yes, no, k]) => [(operation << 4) | (fromX ? 8 : 0) | 5, yes, no, k]);
const end = fc.oneof(
  fc.constantFrom(0, 1).map((k) => line(0x06, k)),
  fc.constant(line(0x16)),
);

const program = fc
  .tuple(
    fc.array(fc.oneof({ weight: 3, arbitrary: load }, move, compute, { weight: 3, arbitrary: jump }, end), {
      maxLength: 14,
    }),
    end,
  )
  .map(([body, last]) => {
    const lines = [...body, last];
    return lines.flatMap(([code = 0, yes = 0, no = 0, k = 0], i) => {
      const behind = lines.length - i - 2;
      if ((code & 7) !== 5) return [code, 0, 0, k];
      if ((code & 0xf0) === 0) return [0x05, 0, 0, Math.min(k, behind)];
      return [code, Math.min(yes, behind), Math.min(no, behind), k];
    });
  });

const known = fc
  .tuple(
    fc.uint8Array({ minLength: BYTES, maxLength: BYTES, max: 12 }),
    fc.array(fc.tuple(fc.nat(BYTES - 1), fc.nat(7)), { maxLength: OPEN_BITS }),
  )
  .map(([bytes, open]) => {
    const mask = new Uint8Array(BYTES).fill(0xff);
    for (const [i, bit] of open) mask[i]! &= ~(1 << bit);
    return { bytes, known: mask };
  });

describe('a flow filter', () => {
  it('says no only where no packet passes', () => {
    let yes = 0;
    let no = 0;
    fc.assert(
      fc.property(program, known, (words, packet) => {
        const may = new FlowFilter(words).mayMatch(packet, 0);
        if (may) yes++;
        else no++;
        expect(may || !anyMatches(words, packet)).toBe(true);
      }),
      { numRuns: 5000 },
    );
    expect(Math.min(yes, no)).toBeGreaterThan(500);
  });

  it('is the filter itself where all is known that the program looks at', () => {
    const plain = program.filter((words) =>
      words.every((code, i) => i % 4 !== 0 || ![0x60, 0x61, 0x80, 0x81, 0x02, 0x03].includes(code)),
    );
    const bytes = fc.uint8Array({ minLength: 64, maxLength: 64, max: 12 });
    fc.assert(
      fc.property(plain, bytes, (words, packet) => {
        const exact = new PacketFilter(words);
        const expected = exact.matches(packet, 0, packet.length);
        const may = new FlowFilter(words).mayMatch({ bytes: packet, known: packet.map(() => 0xff) }, 0);
        expect(may || !expected).toBe(true);
        // A load by X may pass the end, where a longer packet is unknown.
        const passesEnd = words.some((code, i) => i % 4 === 0 && [0x40, 0x48, 0x50].includes(code));
        if (expected !== may) expect(passesEnd).toBe(true);
      }),
    );
  });
});
