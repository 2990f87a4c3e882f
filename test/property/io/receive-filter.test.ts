/** Of several workers' filters exactly one takes each packet, whatever is in it, and all of a flow the same one. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { receiveFilter } from '../../../src/io/receive-filter.js';
import { PacketFilter } from '../../../src/wire/packet-filter.js';

const OUTER_LEN = 20;
/** The kernel hands over no packet whose outer header isn't whole. */
const outerHeaders = fc
  .record({ ihl: fc.integer({ min: 5, max: 15 }), fill: fc.uint8Array({ minLength: 60, maxLength: 60 }) })
  .map(({ ihl, fill }) => Uint8Array.of(0x40 | ihl, ...fill.subarray(1, ihl * 4)));

interface Inner {
  source: number;
  destination: number;
  protocol: number;
  ports: number;
  ihl: number;
  fragment: number;
}
const anyInner = fc.record({
  source: fc.nat(0xffffffff),
  destination: fc.nat(0xffffffff),
  protocol: fc.constantFrom(6, 17, 1, 4, 132),
  ports: fc.nat(0xffffffff),
  ihl: fc.integer({ min: 0, max: 15 }),
  fragment: fc.constantFrom(0, 0, 0x4000, 0x2000, 1, 0x1fff),
});

function innerPacket({ source, destination, protocol, ports, ihl, fragment }: Inner): Uint8Array {
  const bytes = new Uint8Array(Math.max(ihl * 4, 20) + 8);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, 0x40 | ihl);
  view.setUint16(6, fragment);
  view.setUint8(9, protocol);
  view.setUint32(12, source);
  view.setUint32(16, destination);
  view.setUint32(Math.max(ihl * 4, 20), ports);
  return bytes;
}

function filtersOf(count: number): PacketFilter[] {
  return Array.from(
    { length: count },
    (_, index) => new PacketFilter([...receiveFilter([], { index, count })]),
  );
}

/** The workers that take the packet. */
function takers(filters: readonly PacketFilter[], packet: Uint8Array): number[] {
  return filters.flatMap((filter, index) => (filter.matches(packet, 0, packet.length) ? [index] : []));
}

function behind(outer: Uint8Array, inner: Uint8Array): Uint8Array {
  return Uint8Array.of(...outer, ...inner);
}

const PLAIN_OUTER = Uint8Array.of(0x45, ...new Array(OUTER_LEN - 1).fill(0));
const inner: Inner = { source: 1, destination: 2, protocol: 17, ports: 3, ihl: 5, fragment: 0 };

describe('the filters of all workers', () => {
  it('take each packet once: random bytes, and cut off anywhere', () => {
    const payload = fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      fc.tuple(anyInner, fc.nat(70)).map(([fields, length]) => innerPacket(fields).subarray(0, length)),
    );
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 16 }), outerHeaders, payload, (count, outer, bytes) => {
        expect(takers(filtersOf(count), behind(outer, bytes))).toHaveLength(1);
      }),
      { numRuns: 3000 },
    );
  });

  it('keep a flow together: neither the outer header nor anything but addresses and ports counts', () => {
    fc.assert(
      fc.property(
        anyInner,
        outerHeaders,
        outerHeaders,
        fc.uint8Array({ maxLength: 99 }),
        (fields, a, b, more) => {
          const filters = filtersOf(5);
          const one = takers(filters, behind(a, innerPacket(fields)));
          expect(takers(filters, behind(b, Uint8Array.of(...innerPacket(fields), ...more)))).toEqual(one);
        },
      ),
    );
  });

  it('keep the fragments of a datagram together, whatever stands where ports would', () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.nat(0xffffffff), (first, second) => {
        const filters = filtersOf(7);
        const one = takers(
          filters,
          behind(PLAIN_OUTER, innerPacket({ ...inner, ports: first, fragment: 0x2000 })),
        );
        const two = takers(
          filters,
          behind(PLAIN_OUTER, innerPacket({ ...inner, ports: second, fragment: 185 })),
        );
        expect(two).toEqual(one);
      }),
    );
  });

  it('give what has no inner header to the first worker', () => {
    for (const length of [0, 1, 19]) {
      expect(takers(filtersOf(4), behind(PLAIN_OUTER, new Uint8Array(length)))).toEqual([0]);
    }
  });

  it.each([2, 3, 4, 16])('share flows evenly between %i, also where only the port differs, by 2', (count) => {
    const filters = filtersOf(count);
    const taken = new Array(count).fill(0);
    const flows = 1000 * count;
    for (let i = 0; i < flows; i++) {
      const ports = ((32_768 + ((2 * i) % 28_000)) << 16) | (9000 + Math.floor((2 * i) / 28_000));
      const packet = behind(PLAIN_OUTER, innerPacket({ ...inner, source: 0xfa001b02, ports: ports >>> 0 }));
      taken[takers(filters, packet)[0]!]++;
    }
    for (const each of taken) expect(Math.abs(each - 1000)).toBeLessThan(200);
  });
});

it('of a worker alone lets everything in', () => {
  const [filter] = filtersOf(1);
  expect(filter!.matches(new Uint8Array(0), 0, 0)).toBe(true);
});

it('begins with what it ignores: an address on a device, but for what has options', () => {
  const program = [...receiveFilter([[3, 0xac1e001c]], { index: 0, count: 1 })];
  expect(program).toEqual([
    ...[0x20, 0, 0, 0xfffff008],
    ...[0x15, 0, 5, 3],
    ...[0x20, 0, 0, 16],
    ...[0x15, 0, 3, 0xac1e001c],
    ...[0x30, 0, 0, 0],
    ...[0x15, 0, 1, 0x45],
    ...[0x06, 0, 0, 0],
    ...[0x06, 0, 0, 0xffffffff],
  ]);
});
