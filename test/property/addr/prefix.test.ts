import fc from 'fast-check';
import { expect, it } from 'vitest';
import { formatAddress, parseAddress } from '../../../src/addr/ipv4-address.js';
import {
  broadcastOf,
  contains,
  containsPrefix,
  formatPrefix,
  maskOf,
  overlaps,
  parsePrefix,
  prefixOf,
} from '../../../src/addr/prefix.js';

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const length = fc.integer({ min: 0, max: 32 });
const prefix = fc.tuple(u32, length).map(([address, bits]) => prefixOf(address, bits));

it('an address survives text', () => {
  fc.assert(
    fc.property(u32, (address) => {
      expect(parseAddress(formatAddress(address))).toBe(address);
    }),
  );
});

it('a prefix survives text', () => {
  fc.assert(
    fc.property(prefix, (p) => {
      expect(parsePrefix(formatPrefix(p))).toEqual(p);
    }),
  );
});

it('any text is read or refused as bad-address, and what is read is the same text', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9./ ]{0,20}$/)), (text) => {
      try {
        expect(formatAddress(parseAddress(text))).toBe(text);
      } catch (error) {
        expect(error).toMatchObject({ code: 'bad-address' });
      }
    }),
  );
});

it('mask, base and broadcast agree with arithmetic on big integers', () => {
  fc.assert(
    fc.property(u32, length, (address, bits) => {
      const size = 2n ** BigInt(32 - bits);
      const base = BigInt(address) - (BigInt(address) % size);
      const p = prefixOf(address, bits);
      expect(BigInt(maskOf(bits))).toBe(2n ** 32n - size);
      expect(BigInt(p.base)).toBe(base);
      expect(BigInt(broadcastOf(p))).toBe(base + size - 1n);
    }),
  );
});

it('relations agree with intervals', () => {
  const near = fc.tuple(fc.integer({ min: 0, max: 255 }), length).map(([low, bits]) => prefixOf(low, bits));
  fc.assert(
    fc.property(fc.oneof(prefix, near), fc.oneof(prefix, near), (a, b) => {
      const [aLast, bLast] = [broadcastOf(a), broadcastOf(b)];
      expect(contains(a, b.base)).toBe(a.base <= b.base && b.base <= aLast);
      expect(containsPrefix(a, b)).toBe(a.base <= b.base && bLast <= aLast);
      expect(overlaps(a, b)).toBe(a.base <= bLast && b.base <= aLast);
    }),
  );
});
