import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../../src/addr/ipv4-address.js';
import { KEEP } from '../../../src/base/drop-reason.js';
import { checksum, pseudoHeaderSum } from '../../../src/wire/checksum.js';
import { encodeEcho, readEchoReply } from '../../../src/wire/icmp-echo.js';
import { checkInnerIpv4, dontFragment, PROTOCOL_UDP } from '../../../src/wire/ipv4.js';
import { decodeProbe, encodeProbe, isProbe, LEAST_PROBE_LEN, type Probe } from '../../../src/wire/probe.js';

const PROBE: Probe = {
  kind: 'probe',
  source: parseAddress('250.0.28.1'),
  destination: parseAddress('250.0.27.0'),
  sequence: 0xbeef,
  nonce: '00112233445566ff',
  length: LEAST_PROBE_LEN,
};

describe('a probe', () => {
  it.each([
    [LEAST_PROBE_LEN, 'probe'],
    [1480, 'reply'],
    [65_535, 'probe'],
  ] as const)('of %i bytes is a whole packet, and what was put in', (length, kind) => {
    const bytes = encodeProbe({ ...PROBE, length, kind });
    expect(bytes.length).toBe(length);
    expect(checkInnerIpv4(bytes, 0, bytes.length)).toBe(KEEP);
    expect(dontFragment(bytes, 0)).toBe(true);
    const sum = pseudoHeaderSum(PROBE.source, PROBE.destination, PROTOCOL_UDP, length - 20);
    expect(checksum(bytes, 20, length - 20, sum)).toBe(0);
    expect(isProbe(bytes, 0)).toBe(true);
    expect(decodeProbe(bytes.subarray(0, LEAST_PROBE_LEN), 0)).toEqual({ ...PROBE, length, kind });
  });

  it.each([
    ['another protocol', 9, 6],
    ['options', 0, 0x46],
    ['a fragment', 6, 0x20],
    ['another port', 23, 0],
    ['another magic', 28, 0],
    ['a later version', 32, 2],
    ['an unknown kind', 33, 2],
    ['a length too short', 3, LEAST_PROBE_LEN - 1],
  ])('is not what has %s', (_, at, value) => {
    const bytes = encodeProbe(PROBE);
    bytes[at] = value;
    expect(isProbe(bytes, 0)).toBe(false);
  });
});

describe('an echo', () => {
  const echo = { source: 1, destination: 2, id: 0x1234, sequence: 0xff01 };
  it('is a request, and no reply', () => {
    const bytes = encodeEcho(echo);
    expect(bytes.length).toBe(84);
    expect(checksum(bytes, 20, 64)).toBe(0);
    expect(readEchoReply(bytes)).toBeUndefined();
  });
  it('comes back with its id and sequence; damaged it does not', () => {
    const bytes = encodeEcho(echo);
    bytes[20] = 0;
    // The type is in the high byte of its word.
    bytes[22] = bytes[22]! + 8;
    expect(readEchoReply(bytes)).toEqual({ source: 1, id: 0x1234, sequence: 0xff01 });
    bytes[40] = 1;
    expect(readEchoReply(bytes)).toBeUndefined();
    expect(readEchoReply(bytes.subarray(0, 27))).toBeUndefined();
  });
});
