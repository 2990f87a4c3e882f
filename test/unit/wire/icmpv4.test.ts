import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../../src/addr/ipv4-address.js';
import { DROP, KEEP } from '../../../src/base/drop-reason.js';
import { checksum } from '../../../src/wire/checksum.js';
import {
  createIcmpError,
  emitUnreachable,
  FRAGMENTATION_NEEDED,
  HOST_UNREACHABLE,
  ICMP_HEADER_LEN,
  MAX_ERROR_LEN,
  mayAnswerWithError,
  readIcmpError,
} from '../../../src/wire/icmpv4.js';
import { writeOuter } from '../../../src/wire/ipip.js';
import {
  emitIpv4,
  type Ipv4Header,
  MIN_HEADER_LEN,
  PLAIN_HEADER,
  PROTOCOL_ICMP,
  write16,
} from '../../../src/wire/ipv4.js';

const HOST = parseAddress('172.30.0.28');
const PEER = parseAddress('172.30.0.27');
const OURS = parseAddress('250.0.28.2');
const THEIRS = parseAddress('250.0.27.2');

function packet(
  fields: Partial<Ipv4Header>,
  payload: readonly number[] = [8, 0, 0, 0, 0, 0, 0, 0],
): Uint8Array {
  const totalLength = MIN_HEADER_LEN + payload.length;
  const bytes = new Uint8Array(totalLength);
  emitIpv4(bytes, 0, { ...PLAIN_HEADER, totalLength, source: OURS, destination: THEIRS, ...fields });
  bytes.set(payload, MIN_HEADER_LEN);
  return bytes;
}

describe('mayAnswerWithError', () => {
  const icmp = (type: number) => packet({ protocol: PROTOCOL_ICMP }, [type, 0, 0, 0, 0, 0, 0, 0]);
  it.each<[string, Uint8Array, boolean]>([
    ['UDP', packet({}), true],
    ['a first fragment', packet({ moreFragments: true }), true],
    ['a later fragment', packet({ fragmentOffset: 8 }), false],
    ['an echo request', icmp(8), true],
    ['an echo reply', icmp(0), true],
    ['an address mask reply', icmp(18), true],
    ['a type past 31', icmp(35), true],
    ['destination unreachable', icmp(3), false],
    ['source quench', icmp(4), false],
    ['redirect', icmp(5), false],
    ['time exceeded', icmp(11), false],
    ['parameter problem', icmp(12), false],
    ['ICMP without its type', packet({ protocol: PROTOCOL_ICMP }, []), false],
    ['a cut header', packet({}).subarray(0, 19), false],
    ['to a group', packet({ destination: parseAddress('224.0.0.251') }), false],
    ['to the limited broadcast', packet({ destination: 0xffffffff }), false],
    ['from a group', packet({ source: parseAddress('239.1.1.1') }), false],
    ['from loopback', packet({ source: parseAddress('127.0.0.1') }), false],
    ['from 0.0.0.0', packet({ source: 0 }), false],
    ['from the limited broadcast', packet({ source: 0xffffffff }), false],
  ])('%s', (_, bytes, expected) => {
    expect(mayAnswerWithError(bytes, 0, bytes.length)).toBe(expected);
  });
});

/** An error from the path about an outer packet of `innerLen` bytes inside. */
function pathError(innerLen = 100): Uint8Array {
  const ours = new Uint8Array(MIN_HEADER_LEN + innerLen);
  writeOuter(ours, 0, ours.length, HOST, PEER, 0, 64, 9, false);
  const bytes = new Uint8Array(MAX_ERROR_LEN);
  const length = emitUnreachable(bytes, 0, FRAGMENTATION_NEEDED, 1400, PEER, HOST, ours, 0, ours.length);
  return bytes.slice(0, length);
}

/** Rewrites the ICMP checksum after a test has changed the message. */
function recheck(bytes: Uint8Array): Uint8Array {
  write16(bytes, MIN_HEADER_LEN + 2, 0);
  write16(bytes, MIN_HEADER_LEN + 2, checksum(bytes, MIN_HEADER_LEN, bytes.length - MIN_HEADER_LEN));
  return bytes;
}

const QUOTE = MIN_HEADER_LEN + ICMP_HEADER_LEN;

describe('readIcmpError', () => {
  it('reads what emitUnreachable wrote', () => {
    const bytes = pathError();
    const error = createIcmpError();
    expect(readIcmpError(bytes, 0, bytes.length, error)).toBe(KEEP);
    expect(error).toEqual({
      type: 3,
      code: 4,
      mtu: 1400,
      source: HOST,
      destination: PEER,
      protocol: 4,
      id: 9,
      innerOffset: QUOTE + MIN_HEADER_LEN,
      innerLen: 100,
    });
  });

  it('names no MTU for other errors', () => {
    const bytes = pathError();
    bytes[MIN_HEADER_LEN + 1] = HOST_UNREACHABLE;
    const error = { ...createIcmpError(), mtu: 99 };
    expect(readIcmpError(recheck(bytes), 0, bytes.length, error)).toBe(KEEP);
    expect(error.mtu).toBe(0);
  });

  it.each<[string, (bytes: Uint8Array) => Uint8Array]>([
    ['another protocol', (b) => packet({}, [...b.subarray(MIN_HEADER_LEN)])],
    ['a wrong ICMP checksum', (b) => b.fill(b[40]! ^ 1, 40, 41)],
    ['an echo reply', (b) => recheck(b.fill(0, MIN_HEADER_LEN, MIN_HEADER_LEN + 1))],
    ['a type past 31', (b) => recheck(b.fill(35, MIN_HEADER_LEN, MIN_HEADER_LEN + 1))],
    [
      'no whole header in the quote',
      () => packet({ protocol: PROTOCOL_ICMP }, [3, 1, 0xfc, 0xfe, ...Array(23).fill(0)]),
    ],
    ['a quote that is not IPv4', (b) => recheck(b.fill(0x65, QUOTE, QUOTE + 1))],
    ['a quote with IHL 4', (b) => recheck(b.fill(0x44, QUOTE, QUOTE + 1))],
    ['a quoted header longer than the quote', () => recheck(pathError(0).fill(0x4f, QUOTE, QUOTE + 1))],
    ['a quoted total length under its header', (b) => recheck(b.fill(0, QUOTE + 2, QUOTE + 4))],
    ['a packet that is cut short', (b) => b.subarray(0, b.length - 1)],
  ])('refuses %s and leaves the record as it was', (_, change) => {
    const bytes = change(pathError());
    const error = createIcmpError();
    expect(readIcmpError(bytes, 0, bytes.length, error)).toBe(DROP['icmp-invalid']);
    expect(error).toEqual(createIcmpError());
  });
});
