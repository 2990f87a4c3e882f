/**
 * Captures written and read again: by our reader, whatever the bytes, and by tshark and capinfos, which find nothing
 * wrong. Files that are damaged end with an error that says so, never with another one.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FanError } from '../../../src/base/error.js';
import { readCapture } from '../../../src/trace/capture-reader.js';
import type { Frame } from '../../../src/trace/frame.js';
import {
  enhancedPacket,
  INBOUND,
  interfaceDescription,
  interfaceStatistics,
  LINKTYPE_IPV4,
  OUTBOUND,
  type PcapngPacket,
  sectionHeader,
} from '../../../src/trace/pcapng-writer.js';
import { packet } from '../../unit/dataplane/packets.js';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'ufan-captures-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** The file as a pipe would give it, in pieces of `size` bytes. */
async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function framesOf(bytes: Uint8Array, size = 1000): Promise<Frame[]> {
  const frames: Frame[] = [];
  for await (const frame of readCapture(pieces(bytes, size))) frames.push(frame);
  return frames;
}

const packets: fc.Arbitrary<PcapngPacket[]> = fc.array(
  fc.record({
    interfaceId: fc.constantFrom(0, 1),
    timeNs: fc.bigInt({ min: 0n, max: 2n ** 62n }),
    bytes: fc.uint8Array({ maxLength: 70 }),
    length: fc.integer({ min: 70, max: 70_000 }),
    direction: fc.constantFrom(INBOUND, OUTBOUND),
    comment: fc.string({ unit: 'grapheme', maxLength: 40 }),
    dropped: fc.integer({ min: 0, max: 2 ** 40 }),
  }),
  { maxLength: 12 },
);

function fileOf(some: readonly PcapngPacket[]): Buffer {
  return Buffer.concat([
    sectionHeader('ufan tests'),
    interfaceDescription('one', 'the first', 65_555),
    interfaceDescription('zwölf', '', 65_555),
    ...some.map(enhancedPacket),
    interfaceStatistics({
      interfaceId: 1,
      timeNs: 5n,
      received: 1,
      dropped: 2,
      osDropped: 3,
      comment: 'end',
    }),
  ]);
}

describe('pcapng', () => {
  it('comes back as it was written, in pieces of any size', async () => {
    await fc.assert(
      fc.asyncProperty(packets, fc.integer({ min: 1, max: 300 }), async (some, size) => {
        const frames = await framesOf(fileOf(some), size);
        expect(frames.map((frame) => ({ ...frame, bytes: Uint8Array.from(frame.bytes) }))).toEqual(
          some.map(({ interfaceId, timeNs, bytes, length, comment, dropped }, i) => ({
            number: i + 1,
            timeNs,
            linkType: LINKTYPE_IPV4,
            bytes,
            length,
            interfaceName: ['one', 'zwölf'][interfaceId],
            ...(comment !== '' && { comment }),
            ...(dropped > 0 && { dropped }),
          })),
        );
      }),
      { numRuns: 200 },
    );
  });

  it('is read by tshark and capinfos without a complaint', () => {
    const file = join(dir, 'written.pcapng');
    const inner = packet('250.0.28.2', '250.0.27.2', { protocol: 253 });
    const some = [0, 1, 0].map((interfaceId, i) => ({
      interfaceId,
      timeNs: 1_795_590_735_123_456_789n + BigInt(i),
      bytes: inner.subarray(0, inner.length - i),
      length: inner.length,
      direction: OUTBOUND,
      comment: `encap: sent ${i}`,
      dropped: i,
    }));
    writeFileSync(file, fileOf(some));
    const names = [
      'frame.interface_name',
      'frame.time_epoch',
      'frame.cap_len',
      'frame.len',
      'frame.comment',
      'ip.src',
    ];
    const rows = execFileSync(
      'tshark',
      ['-n', '-r', file, '-T', 'fields', ...names.flatMap((name) => ['-e', name])],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    );
    expect(rows.split('\n')[0]).toBe('one\t1795590735.123456789\t120\t120\tencap: sent 0\t250.0.28.2');
    expect(rows.split('\n')[1]).toBe('zwölf\t1795590735.123456790\t119\t120\tencap: sent 1\t250.0.28.2');
    const info = execFileSync('capinfos', ['-M', file], { encoding: 'utf8' });
    expect(info).toMatch(/Number of packets: +3\n/);
    expect(info).toMatch(/Capture application: +ufan tests/);
    expect(info).toMatch(/timestamp precision: +nanoseconds/);
    const tcpdump = execFileSync('tcpdump', ['-n', '-r', file], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    expect(tcpdump.trim().split('\n')).toHaveLength(3);
  });

  it('is read in the other byte order, with other time units, past blocks that are unknown', async () => {
    // Big-endian by hand: one section, microseconds by default, one packet and an unknown block before it.
    const big = (values: [number, 2 | 4][]) =>
      Buffer.concat(
        values.map(([value, size]) => {
          const bytes = Buffer.alloc(size);
          if (size === 2) bytes.writeUInt16BE(value);
          else bytes.writeUInt32BE(value);
          return bytes;
        }),
      );
    const section = big([
      [0x0a0d0d0a, 4],
      [28, 4],
      [0x1a2b3c4d, 4],
      [1, 2],
      [0, 2],
      [0xffffffff, 4],
      [0xffffffff, 4],
      [28, 4],
    ]);
    const described = big([
      [1, 4],
      [20, 4],
      [1, 2],
      [0, 2],
      [0, 4],
      [20, 4],
    ]);
    const unknown = big([
      [0x0bad, 4],
      [16, 4],
      [7, 4],
      [16, 4],
    ]);
    const epb = big([
      [6, 4],
      [36, 4],
      [0, 4],
      [0, 4],
      [1_500_000, 4],
      [3, 4],
      [3, 4],
      [0x01020300, 4],
      [36, 4],
    ]);
    const simple = big([
      [3, 4],
      [20, 4],
      [2, 4],
      [0x09080000, 4],
      [20, 4],
    ]);
    const frames = await framesOf(Buffer.concat([section, described, unknown, epb, simple, fileOf([])]));
    expect(frames.map(({ timeNs, linkType, bytes }) => [timeNs, linkType, [...bytes]])).toEqual([
      [1_500_000_000n, 1, [1, 2, 3]],
      [0n, 1, [9, 8]],
    ]);
  });
});

describe('pcap', () => {
  it.each([
    ['little-endian microseconds', true, 0xa1b2c3d4, 7000n],
    ['little-endian nanoseconds', true, 0xa1b23c4d, 7n],
    ['big-endian microseconds', false, 0xa1b2c3d4, 7000n],
    ['big-endian nanoseconds', false, 0xa1b23c4d, 7n],
  ])('%s', async (_, little, magic, ns) => {
    const words = [magic, 0, 0, 0, 65_535, 0xf0000001, 3, 7, 2, 90];
    const bytes = Buffer.alloc(words.length * 4 + 2, 5);
    words.forEach((word, i) => {
      if (little) bytes.writeUInt32LE(word, i * 4);
      else bytes.writeUInt32BE(word, i * 4);
    });
    expect(await framesOf(bytes, 3)).toEqual([
      { number: 1, timeNs: 3_000_000_000n + ns, linkType: 1, bytes: Buffer.from([5, 5]), length: 90 },
    ]);
  });
});

describe('a file that is none', () => {
  it.each([
    ['empty', Buffer.alloc(0), 'the file is empty'],
    ['text', Buffer.from('root:x:0:0'), 'neither pcap nor pcapng'],
    ['cut in a packet', fileOf([]).subarray(0, -6), 'cut short'],
    ['a block that is too long', Buffer.concat([fileOf([]), Buffer.alloc(8, 0x7f)]), 'damaged: a block of'],
    [
      'a packet of no interface',
      Buffer.concat([sectionHeader('x'), enhancedPacket(somePacket())]),
      'not described',
    ],
  ])('%s: says so', async (_, bytes, words) => {
    await expect(framesOf(bytes)).rejects.toThrow(words);
  });

  it('says after which packet', async () => {
    const file = fileOf([somePacket(), somePacket()]);
    await expect(framesOf(file.subarray(0, -1))).rejects.toThrow('the file is cut short after packet 2');
  });

  it('ends with a FanError, whatever the damage', async () => {
    const good = fileOf([somePacket(), somePacket()]);
    const damages = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(damages, fc.nat(good.length), async (changes, keep) => {
        const bytes = Buffer.from(good);
        for (const [at, value] of changes) bytes[at] = value;
        await framesOf(bytes.subarray(0, keep)).catch((error) => expect(error).toBeInstanceOf(FanError));
      }),
      { numRuns: 500 },
    );
  });
});

function somePacket(): PcapngPacket {
  const bytes = packet('250.0.28.2', '250.0.27.2');
  return {
    interfaceId: 0,
    timeNs: 1n,
    bytes,
    length: bytes.length,
    direction: INBOUND,
    comment: 'x',
    dropped: 1,
  };
}
