import { expect, it } from 'vitest';
import { checksum, foldSum, pseudoHeaderSum, sumWords, updateChecksum } from '../../../src/wire/checksum.js';

/** The example of RFC 1071 §3. */
const EXAMPLE = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);

it('gives the sum of the example in RFC 1071', () => {
  expect(sumWords(EXAMPLE, 0, 8)).toBe(0x2ddf0);
  expect(foldSum(0x2ddf0)).toBe(0xddf2);
  expect(checksum(EXAMPLE, 0, 8)).toBe(0x220d);
});

it('pads an odd length with a zero, not with the next byte', () => {
  expect(checksum(Uint8Array.of(1, 2, 3, 0xff), 0, 3)).toBe(checksum(Uint8Array.of(1, 2, 3, 0), 0, 4));
});

it('updates the example of RFC 1624 §4 right where RFC 1141 went wrong', () => {
  expect(updateChecksum(0xdd2f, 0x5555, 0x3285)).toBe(0x0000);
});

it('takes the most that 64 kB can sum up to', () => {
  const ones = new Uint8Array(65_535).fill(0xff);
  const pseudo = pseudoHeaderSum(0xffffffff, 0xffffffff, 255, 65_535);
  // 65,534 bytes of ones and the pseudo header's addresses sum to 0 modulo 65,535; 0xff00 + 255 + 65,535 stay.
  expect(checksum(ones, 0, ones.length, pseudo)).toBe(0);
});

it('pseudoHeaderSum counts each field', () => {
  expect(pseudoHeaderSum(0x00010002, 0x00030004, 6, 20)).toBe(1 + 2 + 3 + 4 + 6 + 20);
});
