/** Filters as tcpdump compiles them: tcpdump's own answer is the oracle, for its programs on packets of every kind. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PacketFilter } from '../../../src/wire/packet-filter.js';
import { packet, tunnelled } from '../dataplane/packets.js';

let dir: string;
let file: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'ufan-filter-'));
  file = join(dir, 'packets.pcap');
  writeFileSync(file, pcapOf(PACKETS));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function tcp(source: string, destination: string, ports: number[], flags: number): Uint8Array {
  const bytes = packet(source, destination, { protocol: 6, payload: 60, tos: 0x10 });
  bytes.set([ports[0]! >> 8, ports[0]! & 255, ports[1]! >> 8, ports[1]! & 255], 20);
  bytes[32] = 0x50;
  bytes[33] = flags;
  return bytes;
}

const PACKETS = [
  packet('250.0.28.2', '250.0.27.2'),
  packet('250.0.27.2', '250.0.28.2', { dontFragment: true, ttl: 3, options: new Uint8Array(8).fill(1) }),
  packet('10.0.0.1', '10.0.0.255', { payload: 1400, fragmentOffset: 64 }),
  packet('250.0.28.2', '224.0.0.5', { protocol: 1, payload: 8 }),
  tcp('250.0.28.2', '250.0.27.2', [40_000, 443], 2),
  tcp('250.0.27.2', '250.0.28.2', [443, 40_000], 0x12),
  tcp('250.0.27.3', '250.0.28.2', [80, 40_001], 0x11),
  tunnelled('172.30.0.28', '172.30.0.27', tcp('250.0.28.2', '250.0.27.2', [40_000, 443], 0x18)),
  packet('1.2.3.4', '5.6.7.8', { payload: 2 }),
  new Uint8Array(40).fill(0x60),
  Uint8Array.of(0x45, 0),
];

const FILTERS = [
  'host 250.0.27.2',
  'src net 250.0.0.0/16 and not dst host 250.0.28.2',
  'tcp port 443',
  'tcp[tcpflags] & (tcp-syn|tcp-fin) != 0',
  'udp',
  'icmp or ip proto 4',
  'ip proto 4 and ip[20+16:4] = 0xfa001b02',
  'ip[8] < 5',
  'greater 200',
  'less 50 and not port 443',
  'ip[6:2] & 0x1fff != 0',
  'portrange 40000-40001',
  'ip broadcast or ip multicast',
  'ip[2:2] - ((ip[0]&0xf)<<2) - ((tcp[12]&0xf0)>>2) = 40',
  'len / 7 * 7 = len or len % 5 = 3',
  '(ip[1] ^ 0x10) = 0 and (ip[9] | 1) = 7',
  'host 250.0.27.2 or host 250.0.27.3 or net 10 or tcp dst port 40001',
  'ip6 or dst port 53',
];

/** Little-endian pcap of raw IP packets. */
function pcapOf(packets: readonly Uint8Array[]): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(65_535, 16);
  header.writeUInt32LE(101, 20);
  const records = packets.map((bytes, i) => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(i, 0);
    record.writeUInt32LE(bytes.length, 8);
    record.writeUInt32LE(bytes.length, 12);
    return Buffer.concat([record, bytes]);
  });
  return Buffer.concat([header, ...records]);
}

function compile(filter: string): number[] {
  const text = execFileSync('tcpdump', ['-ddd', '-y', 'RAW', filter], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return text.trim().split(/\s+/).slice(1).map(Number);
}

/** Indices of the packets that tcpdump passes: its timestamps are the index. */
function byTcpdump(filter: string): number[] {
  const text = execFileSync('tcpdump', ['-n', '-tt', '-r', file, filter], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return [...text.matchAll(/^(\d+)\.000000 /gm)].map((match) => Number(match[1]));
}

const RET = (k: number) => [0x06, 0, 0, k];

describe('a filter', () => {
  it.each(FILTERS)('%s passes what tcpdump passes', (text) => {
    const filter = new PacketFilter(compile(text));
    // Somewhere in a larger slab, as packets are.
    const passed = PACKETS.flatMap((bytes, i) => {
      const slab = new Uint8Array(bytes.length + 100).fill(0xaa);
      slab.set(bytes, 64);
      return filter.matches(slab, 64, bytes.length) ? [i] : [];
    });
    expect(passed).toEqual(byTcpdump(text));
  });

  it('never throws, never hangs, never reads outside the packet', () => {
    const filters = FILTERS.map((text) => new PacketFilter(compile(text)));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
        const [before, after] = [0x00, 0xff].map((fill) => {
          const slab = new Uint8Array(bytes.length + 128).fill(fill);
          slab.set(bytes, 64);
          return filters.map((filter) => filter.matches(slab, 64, bytes.length));
        });
        expect(before).toEqual(after);
      }),
    );
  });

  it.each([
    [
      'memory: store, load',
      [0x00, 0, 0, 7, 0x02, 0, 0, 3, 0x61, 0, 0, 3, 0x87, 0, 0, 0, 0x16, 0, 0, 0],
      true,
    ],
    ['memory starts at 0', [0x60, 0, 0, 3, 0x16, 0, 0, 0], false],
    ['shift by 32', [0x00, 0, 0, 1, 0x64, 0, 0, 32, 0x16, 0, 0, 0], false],
    ['division by X = 0', [0x00, 0, 0, 1, 0x3c, 0, 0, 0, ...RET(1)], false],
    ['jump if bits in common', [0x00, 0, 0, 6, 0x45, 0, 1, 2, ...RET(1), ...RET(0)], true],
    ['negation', [0x00, 0, 0, 1, 0x84, 0, 0, 0, 0x15, 0, 1, 0xffffffff, ...RET(1), ...RET(0)], true],
    ['length into X', [0x81, 0, 0, 0, 0x87, 0, 0, 0, 0x15, 0, 1, 3, ...RET(1), ...RET(0)], true],
  ])('%s', (_, program, passes) => {
    expect(new PacketFilter(program).matches(new Uint8Array(3), 0, 3)).toBe(passes);
  });

  it.each([
    ['nothing', [], 'whole number'],
    ['half an instruction', [6, 0], 'whole number'],
    ['no return at the end', [0x00, 0, 0, 1], 'does not end'],
    ['a jump past the end', [0x15, 0, 1, 1, ...RET(1)], 'jump past the end'],
    ['an endless jump', [0x05, 0, 0, 0xffffffff, ...RET(1)], 'jump past the end'],
    ['an unknown code', [0x99, 0, 0, 0, ...RET(1)], 'unknown code 0x99'],
    ['an unknown jump', [0x55, 0, 0, 0, ...RET(1)], 'unknown jump'],
    ['an unknown operation', [0xb4, 0, 0, 0, ...RET(1)], 'unknown operation'],
    ['a division by 0', [0x34, 0, 0, 0, ...RET(1)], 'division by 0'],
    ['memory that is not there', [0x60, 0, 0, 16, ...RET(1)], 'memory word'],
    ['a number of 33 bits', [0x00, 0, 0, 2 ** 32, ...RET(1)], 'no 32-bit'],
    ['too many instructions', Array(4097).fill(RET(1)).flat(), 'between 1 and 4096'],
  ])('is refused with %s', (_, program, fault) => {
    expect(() => new PacketFilter(program)).toThrow(fault);
  });
});
