/**
 * Any bytes at all: checks, readers behind a check and the pretty-printer never throw and never look outside what
 * they were told is there. A guarded array tells: it throws on every index that was not given to them.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { DROP, KEEP } from '../../../src/base/drop-reason.js';
import { createIcmpError, mayAnswerWithError, readIcmpError } from '../../../src/wire/icmpv4.js';
import { applyTos } from '../../../src/wire/ipip.js';
import { checkInnerIpv4, checkOuterIpv4, decodeIpv4 } from '../../../src/wire/ipv4.js';
import { prettyPacket } from '../../../src/wire/pretty.js';
import { slowChecksum } from '../../oracle/wire/slow-wire.js';

/** `bytes` at `offset` of a larger array of which nothing else may be read. */
function guarded(bytes: Uint8Array, offset: number): Uint8Array {
  const all = new Uint8Array(offset + bytes.length + 64);
  all.set(bytes, offset);
  return new Proxy(all, {
    get(target, key) {
      const index = typeof key === 'string' && /^[0-9]+$/.test(key) ? Number(key) : undefined;
      if (index !== undefined && (index < offset || index >= offset + bytes.length)) {
        throw new Error(`byte ${index - offset} of ${bytes.length} was read`);
      }
      const value = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** Random bytes that mostly look like IPv4 at first, with right checksums now and then, and ICMP inside. */
const packet = fc
  .record({
    bytes: fc.oneof(fc.uint8Array({ maxLength: 120 }), fc.uint8Array({ minLength: 68, maxLength: 120 })),
    first: fc.option(fc.constantFrom(0x45, 0x45, 0x45, 0x46, 0x4f, 0x44, 0x60)),
    total: fc.option(fc.constantFrom(0, 0, 0, -1, 1)),
    protocol: fc.option(fc.constantFrom(1, 1, 4, 6, 17)),
    whole: fc.boolean(),
    type: fc.option(fc.constantFrom(0, 3, 4, 5, 8, 11, 12)),
  })
  .map(({ bytes, first, total, protocol, whole, type }) => {
    if (bytes.length < 48) return bytes;
    const headerLen = first === null ? 20 : (first & 15) * 4;
    if (first !== null) bytes[0] = first;
    if (total !== null) bytes.set([0, Math.max(0, bytes.length + total)], 2);
    if (protocol !== null) bytes[9] = protocol;
    if (whole) bytes.fill(0, 6, 8);
    if (headerLen < 20 || headerLen + 28 > bytes.length) return bytes;
    if (type !== null) bytes[headerLen] = type;
    bytes[headerLen + 8] = 0x45;
    bytes.fill(0, 10, 12);
    bytes.fill(0, headerLen + 2, headerLen + 4);
    const header = slowChecksum(bytes.subarray(0, headerLen));
    const message = slowChecksum(bytes.subarray(headerLen));
    bytes.set([header >> 8, header & 255], 10);
    bytes.set([message >> 8, message & 255], headerLen + 2);
    return bytes;
  });

const OFFSET = 8;
const RUNS = { numRuns: 3000 };

it('the checks stay inside and return their own reasons', () => {
  const inner = [KEEP, DROP['not-ipv4'], DROP['inner-malformed'], DROP['inner-checksum'], DROP['inner-ttl']];
  fc.assert(
    fc.property(packet, (bytes) => {
      const view = guarded(bytes, OFFSET);
      expect([...inner, DROP['nested-ipip']]).toContain(checkInnerIpv4(view, OFFSET, bytes.length));
      expect([KEEP, DROP['outer-malformed']]).toContain(checkOuterIpv4(view, OFFSET, bytes.length));
    }),
    RUNS,
  );
});

it('what a check keeps can be decoded and changed', () => {
  fc.assert(
    fc.property(packet, (bytes) => {
      if (checkInnerIpv4(bytes, 0, bytes.length) !== KEEP) return;
      const header = decodeIpv4(guarded(bytes, OFFSET), OFFSET);
      expect(header.totalLength).toBeLessThanOrEqual(bytes.length);
      applyTos(bytes, 0, header.tos ^ 3);
      expect(checkInnerIpv4(bytes, 0, bytes.length)).toBe(KEEP);
    }),
    RUNS,
  );
});

it('ICMP errors: what is read lies inside, and is never answered', () => {
  let read = 0;
  const error = createIcmpError();
  fc.assert(
    fc.property(packet, (bytes) => {
      const view = guarded(bytes, OFFSET);
      const mayAnswer = mayAnswerWithError(view, OFFSET, bytes.length);
      if (readIcmpError(view, OFFSET, bytes.length, error) !== KEEP) return;
      read++;
      expect(mayAnswer).toBe(false);
      expect(error.innerLen).toBeGreaterThanOrEqual(0);
      expect(error.innerOffset).toBeGreaterThanOrEqual(OFFSET + 48);
      expect(error.innerOffset + error.innerLen).toBeLessThanOrEqual(OFFSET + bytes.length);
    }),
    RUNS,
  );
  expect(read).toBeGreaterThan(0);
});

it('the pretty-printer has a line for anything', () => {
  fc.assert(
    fc.property(packet, fc.integer({ min: -4, max: 4 }), (bytes, more) => {
      const text = prettyPacket(bytes, 0, bytes.length + more);
      expect(text).toMatch(/^(IP|nothing)/);
      expect(text).not.toMatch(/undefined|NaN/);
      expect(text.split('\n').length).toBeLessThanOrEqual(7);
    }),
    RUNS,
  );
});
