import { expect, it } from 'vitest';
import { parseAddress } from '../../../src/addr/ipv4-address.js';
import { emitUnreachable, FRAGMENTATION_NEEDED, HOST_UNREACHABLE } from '../../../src/wire/icmpv4.js';
import { OUTER_LEN, writeOuter } from '../../../src/wire/ipip.js';
import { emitIpv4, type Ipv4Header, MIN_HEADER_LEN, PLAIN_HEADER } from '../../../src/wire/ipv4.js';
import { prettyPacket } from '../../../src/wire/pretty.js';

const HOST = parseAddress('172.30.0.28');
const PEER = parseAddress('172.30.0.27');

function inner(fields: Partial<Ipv4Header>, payload: readonly number[]): Uint8Array {
  const totalLength = MIN_HEADER_LEN + payload.length;
  const bytes = new Uint8Array(totalLength);
  const ends = { source: parseAddress('250.0.28.2'), destination: parseAddress('250.0.27.2') };
  emitIpv4(bytes, 0, { ...PLAIN_HEADER, ...ends, id: 51966, ttl: 63, totalLength, ...fields });
  bytes.set(payload, MIN_HEADER_LEN);
  return bytes;
}

function encapsulated(packet: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(OUTER_LEN + packet.length);
  writeOuter(bytes, 0, bytes.length, HOST, PEER, 0, 63, 0, true);
  bytes.set(packet, OUTER_LEN);
  return bytes;
}

const show = (bytes: Uint8Array) => prettyPacket(bytes, 0, bytes.length).split('\n');

const ECHO = inner({ protocol: 1 }, [8, 0, 0, 0, 0, 7, 0, 1]);
const SYN_ACK = [0xa8, 0xca, 0x14, 0x51, 0, 0, 0, 9, 0, 0, 0, 8, 0x50, 0x12, 0xfa, 0xf0, 0, 0, 0, 0];

it('shows an echo in a tunnel', () => {
  expect(show(encapsulated(ECHO))).toEqual([
    'IP 172.30.0.28 > 172.30.0.27: IPIP, tos 0x0, ttl 63, id 0, DF, length 48',
    '  IP 250.0.28.2 > 250.0.27.2: ICMP, tos 0x0, ttl 63, id 51966, length 28',
    '    ICMP echo request, id 7, seq 1, length 8',
  ]);
});

it.each<[string, Partial<Ipv4Header>, number[], string]>([
  [
    'TCP',
    { protocol: 6 },
    [...SYN_ACK, 1, 2],
    'TCP 43210 > 5201: Flags [S.], seq 9, ack 8, win 64240, length 2',
  ],
  ['TCP cut short', { protocol: 6 }, [1, 2], 'TCP [cut short at 2 bytes]'],
  ['UDP', { protocol: 17 }, [0, 53, 0, 99, 0, 10, 0, 0, 1, 2], 'UDP 53 > 99: length 2'],
  [
    'UDP with too little data',
    { protocol: 17 },
    [0, 53, 0, 99, 0, 20, 0, 0],
    'UDP 53 > 99: length 12 [0 bytes there]',
  ],
  ['UDP cut short', { protocol: 17 }, [0, 53], 'UDP [cut short at 2 bytes]'],
  ['ICMP cut short', { protocol: 1 }, [8], 'ICMP [cut short at 1 bytes]'],
  ['another ICMP', { protocol: 1 }, [13, 0, 0, 0, 0, 0, 0, 0], 'ICMP type 13 code 0, length 8'],
])('shows %s', (_, fields, payload, line) => {
  expect(show(inner(fields, payload))[1]).toBe(`  ${line}`);
});

it('shows what an ICMP error quotes', () => {
  const bytes = new Uint8Array(576);
  const quoted = encapsulated(ECHO);
  const length = emitUnreachable(bytes, 0, FRAGMENTATION_NEEDED, 1400, PEER, HOST, quoted, 0, quoted.length);
  expect(show(bytes.subarray(0, length))).toEqual([
    'IP 172.30.0.27 > 172.30.0.28: ICMP, tos 0xc0, ttl 64, id 0, DF, length 76',
    '  ICMP unreachable - need to frag (mtu 1400), length 56',
    '    IP 172.30.0.28 > 172.30.0.27: IPIP, tos 0x0, ttl 63, id 0, DF, length 48',
    '      IP 250.0.28.2 > 250.0.27.2: ICMP, tos 0x0, ttl 63, id 51966, length 28',
    '        ICMP echo request, id 7, seq 1, length 8',
  ]);
  emitUnreachable(bytes, 0, HOST_UNREACHABLE, 0, PEER, HOST, quoted, 0, quoted.length);
  expect(show(bytes.subarray(0, length))[1]).toBe('  ICMP host unreachable, length 56');
});

it('shows fragments and options', () => {
  const fragment = inner({ protocol: 4, moreFragments: true, fragmentOffset: 1480 }, [1, 2]);
  expect(show(fragment)).toEqual([
    'IP 250.0.28.2 > 250.0.27.2: IPIP, tos 0x0, ttl 63, id 51966, MF, fragment at 1480, length 22',
  ]);
  const options = inner({ protocol: 99, options: new Uint8Array(4), totalLength: 24 }, [0, 0, 0, 0]);
  expect(show(options)).toEqual([
    'IP 250.0.28.2 > 250.0.27.2: protocol 99, tos 0x0, ttl 63, id 51966, options 4, length 24',
  ]);
});

it.each<[string, Uint8Array, string]>([
  ['nothing', new Uint8Array(0), 'nothing'],
  ['IPv6', Uint8Array.of(0x60, 0), 'IP version 6, length 2'],
  ['a cut header', ECHO.subarray(0, 19), 'IP [cut short at 19 bytes]'],
  ['a bad checksum', ECHO.with(10, 0xff), 'length 28, [bad checksum]'],
  ['a small IHL', ECHO.with(0, 0x44), 'length 28, [bad IHL 4]'],
  ['an IHL beyond the packet', ECHO.with(0, 0x4f), 'length 28, [cut short at 28 bytes], [bad length]'],
  ['a total length beyond the packet', ECHO.with(3, 29), 'length 29, [bad checksum], [28 bytes there]'],
])('says what is wrong: %s', (_, bytes, text) => {
  expect(show(bytes)[0]!.endsWith(text)).toBe(true);
});
