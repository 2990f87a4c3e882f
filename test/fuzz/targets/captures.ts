/** Capture files of any bytes: read, dissected and told, or an error that says what is wrong with them. */
import fc from 'fast-check';
import { expect } from 'vitest';
import { parseAddress } from '../../../src/addr/ipv4-address.js';
import { parsePrefix } from '../../../src/addr/prefix.js';
import { FanError } from '../../../src/base/error.js';
import { createMapping } from '../../../src/fan/mapping.js';
import { readCapture } from '../../../src/trace/capture-reader.js';
import { Dissection } from '../../../src/trace/dissect.js';
import {
  enhancedPacket,
  INBOUND,
  interfaceDescription,
  interfaceStatistics,
  type PcapngPacket,
  sectionHeader,
} from '../../../src/trace/pcapng-writer.js';
import { clockTime } from '../../../src/trace/stages.js';
import { innerPackets, OVERLAYS, outerPackets, UNDERLAY_LENGTH, US } from '../packets.js';
import { CASES, type Target } from '../target.js';

const LINK_TYPES = [1, 101, 113, 228, 12, 147, 276];
/** Where lengths and codes of both formats have their borders. */
const BORDERS = [0, 1, 3, 4, 0x7f, 0x80, 0xff];

const packets = fc.array(fc.oneof(innerPackets, outerPackets), { maxLength: 5 });

const pcapng = fc
  .record({ packets, comment: fc.string({ unit: 'binary', maxLength: 20 }) })
  .map(({ packets: some, comment }) =>
    Buffer.concat([
      sectionHeader('fuzz'),
      interfaceDescription('eth0', comment, 65_555),
      ...some.map((bytes, i) => enhancedPacket(recordOf(bytes, i, comment))),
      interfaceStatistics({ interfaceId: 0, timeNs: 5n, received: 1, dropped: 2, osDropped: 3, comment }),
    ]),
  );

function recordOf(bytes: Uint8Array, i: number, comment: string): PcapngPacket {
  const timeNs = 1_795_590_735_123_456_789n + BigInt(i);
  return { interfaceId: 0, timeNs, bytes, length: bytes.length, direction: INBOUND, comment, dropped: i };
}

const pcap = fc
  .record({ packets, linkType: fc.constantFrom(...LINK_TYPES), little: fc.boolean() })
  .map(({ packets: some, linkType, little }) => {
    const words = (...values: number[]) => {
      const bytes = Buffer.alloc(values.length * 4);
      for (const [i, value] of values.entries()) {
        if (little) bytes.writeUInt32LE(value >>> 0, i * 4);
        else bytes.writeUInt32BE(value >>> 0, i * 4);
      }
      return bytes;
    };
    const records = some.flatMap((bytes, i) => [words(i, 7, bytes.length, bytes.length + i), bytes]);
    return Buffer.concat([words(0xa1b2c3d4, 0x00040002, 0, 0, 65_535, linkType), ...records]);
  });

const files = fc
  .record({
    file: fc.oneof({ weight: 5, arbitrary: pcapng }, { weight: 3, arbitrary: pcap }, fc.uint8Array()),
    changes: fc.array(fc.tuple(fc.nat(2000), fc.oneof(fc.constantFrom(...BORDERS), fc.nat(255))), {
      maxLength: 5,
    }),
    cut: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(200)),
    piece: fc.integer({ min: 1, max: 700 }),
  })
  .map(({ file, changes, cut, piece }) => {
    const bytes = Buffer.from(file);
    for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
    return { bytes: bytes.subarray(0, Math.max(0, bytes.length - cut)), piece };
  });

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** As `fanctl dissect` does. */
async function dissect(bytes: Uint8Array, piece: number): Promise<void> {
  const mappings = OVERLAYS.map((overlay) =>
    createMapping(parsePrefix(overlay), parseAddress(US), UNDERLAY_LENGTH),
  );
  const dissection = new Dissection(mappings);
  let captured = 0;
  for await (const frame of readCapture(pieces(bytes, piece))) {
    captured += frame.bytes.length;
    const told = dissection.add(frame);
    if (told) expect(`${clockTime(told.timeNs)}${told.layers.join('')}`).not.toMatch(/\p{Cc}|undefined|NaN/u);
  }
  expect(captured).toBeLessThanOrEqual(bytes.length);
  const { frames, accepted, dropped, fragments, cut, other } = dissection.summary;
  expect(accepted + dropped + fragments + cut + other).toBe(frames);
}

export const captures: Target = {
  name: 'captures',
  async check(seed) {
    const property = fc.asyncProperty(files, async ({ bytes, piece }) => {
      await dissect(bytes, piece).catch((error) => {
        if (!(error instanceof FanError)) throw error;
      });
    });
    await fc.assert(property, { seed, numRuns: CASES });
  },
};
