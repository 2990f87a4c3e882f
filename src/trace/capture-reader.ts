/**
 * Reads captures: pcap of either byte order, with microseconds or nanoseconds, and pcapng. Takes any bytes; what is no
 * capture, or breaks off, ends with a FanError that says where.
 */
import { FanError } from '../base/error.js';
import { ByteSource } from './byte-source.js';
import { type Frame, MOST_RECORD } from './frame.js';
import { readPcapng } from './pcapng-reader.js';
import { SECTION_HEADER } from './pcapng-writer.js';

const MICROSECONDS = 0xa1b2c3d4;
const NANOSECONDS = 0xa1b23c4d;
const PCAP_HEADER_LEN = 24;
const RECORD_HEADER_LEN = 16;
/** The upper bits tell of frame check sequences. */
const LINK_TYPE_MASK = 0x0fffffff;

/** The frames of a capture, in order. Throws FanError unsupported. */
export async function* readCapture(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Frame> {
  const source = new ByteSource(chunks);
  const magic = await source.read(4);
  if (magic === undefined) throw new FanError('unsupported', 'the file is empty');
  let number = 0;
  try {
    for await (const frame of framesOf(source, magic)) yield { ...frame, number: ++number };
  } catch (error) {
    if (!(error instanceof FanError)) throw error;
    const where = number > 0 ? ` after packet ${number}` : '';
    throw new FanError(error.code, `${error.message}${where}`, { cause: error });
  }
}

function framesOf(source: ByteSource, magic: Buffer): AsyncGenerator<Omit<Frame, 'number'>> {
  if (magic.readUInt32BE(0) === SECTION_HEADER) return readPcapng(source, magic);
  for (const little of [true, false]) {
    const value = little ? magic.readUInt32LE(0) : magic.readUInt32BE(0);
    if (value === MICROSECONDS) return readPcap(source, little, 1000n);
    if (value === NANOSECONDS) return readPcap(source, little, 1n);
  }
  throw new FanError('unsupported', 'the file is neither pcap nor pcapng');
}

async function* readPcap(
  source: ByteSource,
  little: boolean,
  unitNs: bigint,
): AsyncGenerator<Omit<Frame, 'number'>> {
  const u32 = (bytes: Buffer, at: number) => (little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at));
  const header = await source.read(PCAP_HEADER_LEN - 4);
  if (header === undefined) throw new FanError('unsupported', 'the file is cut short');
  const linkType = u32(header, 16) & LINK_TYPE_MASK;
  for (;;) {
    const record = await source.read(RECORD_HEADER_LEN);
    if (record === undefined) return;
    const captured = u32(record, 8);
    if (captured > MOST_RECORD) throw new FanError('unsupported', `a record of ${captured} bytes: damaged`);
    const bytes = captured === 0 ? new Uint8Array(0) : await source.read(captured);
    if (bytes === undefined) throw new FanError('unsupported', 'the file is cut short');
    const timeNs = BigInt(u32(record, 0)) * 1_000_000_000n + BigInt(u32(record, 4)) * unitNs;
    yield { timeNs, linkType, bytes, length: Math.max(captured, u32(record, 12)) };
  }
}
