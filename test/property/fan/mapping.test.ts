import fc from 'fast-check';
import { expect, it } from 'vitest';
import { broadcastOf, contains, type Prefix, prefixOf } from '../../../src/addr/prefix.js';
import { bridgeName } from '../../../src/fan/fan-name.js';
import { createMapping, type FanMapping, sliceOf, underlayHostOf } from '../../../src/fan/mapping.js';
import { slowHost, slowSlice } from '../../oracle/fan/slow-mapping.js';

const u32 = fc.integer({ min: 0, max: 0xffffffff });

interface Case {
  overlay: Prefix;
  address: number;
  underlayLength: number;
  mapping: FanMapping;
}

/** Fans of every width that createMapping accepts. */
const fan = fc
  .tuple(u32, u32, fc.integer({ min: 1, max: 28 }), fc.integer({ min: 2, max: 29 }))
  .map(([overlayAddress, address, overlayLength, shift]): Case | undefined => {
    const overlay = prefixOf(overlayAddress, overlayLength);
    const underlayLength = Math.min(30, overlayLength + shift);
    try {
      return { overlay, address, underlayLength, mapping: createMapping(overlay, address, underlayLength) };
    } catch {
      return undefined;
    }
  })
  .filter((made) => made !== undefined);

it('slices and hosts agree with the slow mapping', () => {
  fc.assert(
    fc.property(fan, u32, ({ overlay, address, underlayLength, mapping }, bits) => {
      const slow = { overlayBase: overlay.base, overlayLength: overlay.length, address, underlayLength };
      const inOverlay = (overlay.base | (bits & (broadcastOf(overlay) ^ overlay.base))) >>> 0;
      expect(mapping.slice).toEqual({ base: slowSlice(slow), length: 32 + overlay.length - underlayLength });
      expect(underlayHostOf(mapping, inOverlay)).toBe(slowHost(slow, inOverlay));
    }),
  );
});

it('every address of a slice maps back to its host, and the slice is inside the overlay', () => {
  fc.assert(
    fc.property(fan, u32, u32, ({ mapping }, hostBits, addressBits) => {
      const { underlay, overlay } = mapping;
      const host = (underlay.base | (hostBits & (broadcastOf(underlay) ^ underlay.base))) >>> 0;
      const slice = sliceOf(mapping, host);
      const address = (slice.base | (addressBits & (broadcastOf(slice) ^ slice.base))) >>> 0;
      expect(underlayHostOf(mapping, address)).toBe(host);
      expect(contains(overlay, slice.base) && contains(overlay, broadcastOf(slice))).toBe(true);
    }),
  );
});

it('a slice has room for a gateway and a container, and its bridge a name that Linux takes', () => {
  fc.assert(
    fc.property(fan, ({ mapping: { slice, gateway } }) => {
      expect(slice.length).toBeLessThanOrEqual(30);
      expect(gateway).toBe(slice.base + 1);
      expect(bridgeName(slice, () => false)).toMatch(/^fan-[0-9a-f-]{1,11}$/);
    }),
  );
});

it('what createMapping does not accept it refuses with a FanError', () => {
  fc.assert(
    fc.property(
      u32,
      fc.integer({ min: 0, max: 32 }),
      u32,
      fc.integer({ min: -1, max: 34 }),
      (base, length, address, underlayLength) => {
        try {
          createMapping({ base, length }, address, underlayLength);
        } catch (error) {
          expect(error).toMatchObject({ name: 'FanError', message: expect.stringMatching(/^.{20,}$/) });
        }
      },
    ),
  );
});
