import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Prefix, prefixOf } from '../../../src/addr/prefix.js';
import { FanTable } from '../../../src/fan/fan-table.js';
import { slowLookup } from '../../oracle/fan/slow-mapping.js';

const u32 = fc.integer({ min: 0, max: 0xffffffff });
/** Prefixes close together, so that they nest and share bases. */
const crowded = fc
  .tuple(fc.integer({ min: 0, max: 15 }), fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 32 }))
  .map(([high, low, length]) => prefixOf(((high << 28) | low) >>> 0, length));
const spread = fc
  .tuple(u32, fc.integer({ min: 0, max: 32 }))
  .map(([address, length]) => prefixOf(address, length));

const overlays = fc.uniqueArray(fc.oneof(crowded, spread), {
  maxLength: 64,
  selector: ({ base, length }: Prefix) => `${base}/${length}`,
});

it('finds what a linear search for the longest prefix finds', () => {
  fc.assert(
    fc.property(overlays, fc.array(u32, { maxLength: 20 }), (prefixes, addresses) => {
      const table = new FanTable(prefixes.map((overlay) => ({ overlay })));
      const edges = prefixes.flatMap(({ base }) => [base, (base - 1) >>> 0, (base + 1) >>> 0]);
      for (const address of [...addresses, ...edges]) {
        expect(table.lookup(address)).toBe(slowLookup(prefixes, address));
      }
    }),
  );
});
