import { describe, expect, it } from 'vitest';
import { applyTos, fragmentArea, fragmentCount, fragmentOuter, writeOuter } from '../../../src/wire/ipip.js';
import { headerChecksumValid, tos } from '../../../src/wire/ipv4.js';

function datagramSlab(totalLen: number, size: number): Uint8Array {
  const slab = new Uint8Array(size).fill(0xa5);
  writeOuter(slab, 64, totalLen, 0xac1e001c, 0xac1e001b, 0, 64, 1, false);
  return slab;
}

describe('fragmentOuter', () => {
  it('leaves a datagram that fits in one piece', () => {
    const slab = datagramSlab(1500, 8192);
    const ranges = new Uint32Array(2);
    expect(fragmentOuter(slab, 64, 1500, 1500, 7, 2048, 64, ranges)).toBe(1);
    expect([...ranges]).toEqual([2048 + 64, 1500]);
  });

  it.each([
    ['an MTU under 68', 67, 2048, 256],
    ['no room in the ranges', 1400, 2048, 3],
    ['no room in the slab', 1400, 8192 - fragmentArea(2000, 1400, 64) + 4, 256],
  ])('writes nothing where there is %s', (_, mtu, area, pairs) => {
    const slab = datagramSlab(2000, 8192);
    const before = slab.slice();
    expect(fragmentOuter(slab, 64, 2000, mtu, 7, area, 64, new Uint32Array(pairs))).toBe(0);
    expect(slab).toEqual(before);
  });

  it('fits the area to the byte', () => {
    const slab = datagramSlab(2000, 8192);
    const area = 8192 - fragmentArea(2000, 1400, 64);
    expect(fragmentCount(2000, 1400)).toBe(2);
    expect(fragmentOuter(slab, 64, 2000, 1400, 7, area, 64, new Uint32Array(4))).toBe(2);
  });
});

it('applyTos changes the TOS and keeps the checksum right', () => {
  const slab = datagramSlab(1500, 128);
  applyTos(slab, 64, 3);
  expect(tos(slab, 64)).toBe(3);
  expect(headerChecksumValid(slab, 64)).toBe(true);
});
