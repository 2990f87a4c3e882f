import fc from 'fast-check';
import { expect, it } from 'vitest';
import { checksum, foldSum, pseudoHeaderSum, sumWords, updateChecksum } from '../../../src/wire/checksum.js';
import { write16, write32 } from '../../../src/wire/ipv4.js';
import { slowChecksum } from '../../oracle/wire/slow-wire.js';

const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const bytes = fc.uint8Array({ maxLength: 200 });

it('checksum agrees with the slow one, at any offset', () => {
  fc.assert(
    fc.property(bytes, bytes, bytes, (before, data, after) => {
      const all = Uint8Array.of(...before, ...data, ...after);
      expect(checksum(all, before.length, data.length)).toBe(slowChecksum(data));
    }),
  );
});

it('goes on from the sum of an even first part', () => {
  fc.assert(
    fc.property(bytes, bytes, (first, second) => {
      const even = first.subarray(0, first.length & ~1);
      const all = Uint8Array.of(...even, ...second);
      expect(checksum(second, 0, second.length, sumWords(even, 0, even.length))).toBe(slowChecksum(all));
    }),
  );
});

it('the pseudo header sums as its 12 bytes do', () => {
  fc.assert(
    fc.property(u32, u32, fc.integer({ min: 0, max: 255 }), u16, (source, destination, protocol, length) => {
      const header = new Uint8Array(12);
      write32(header, 0, source);
      write32(header, 4, destination);
      header[9] = protocol;
      write16(header, 10, length);
      const sum = foldSum(pseudoHeaderSum(source, destination, protocol, length));
      expect(~sum & 0xffff).toBe(slowChecksum(header));
    }),
  );
});

it('an updated checksum is the one computed anew', () => {
  fc.assert(
    fc.property(bytes, fc.nat(), u16, (data, place, word) => {
      // A version/IHL byte keeps the sum from being 0, as in every IPv4 header.
      const header = Uint8Array.of(0x45, ...data, ...(data.length % 2 === 0 ? [0] : []));
      const at = (place % (header.length / 2)) * 2;
      const newWord = at === 0 ? word | 0x4000 : word;
      const old = checksum(header, 0, header.length);
      const oldWord = (header[at]! << 8) | header[at + 1]!;
      write16(header, at, newWord);
      expect(updateChecksum(old, oldWord, newWord)).toBe(slowChecksum(header));
    }),
  );
});
