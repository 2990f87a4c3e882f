/**
 * Reads pcapng (IETF opsawg-pcapng): sections of either byte order, interfaces with their time units, enhanced, simple
 * and obsolete packets, comments. Other blocks are passed over, as the format asks (§3.1).
 */
import { FanError } from '../base/error.js';
import type { ByteSource } from './byte-source.js';
import { type Frame, MOST_RECORD } from './frame.js';
import {
  BYTE_ORDER_MAGIC,
  ENHANCED_PACKET,
  EPB_DROPCOUNT,
  IF_NAME,
  IF_TSRESOL,
  INTERFACE_DESCRIPTION,
  OPT_COMMENT,
  OPT_END,
  SECTION_HEADER,
  SIMPLE_PACKET,
} from './pcapng-writer.js';

/** The block before EPB was invented; files of old tools have it. */
const OBSOLETE_PACKET = 2;
const IF_TSOFFSET = 14;
const FRAME_LEN = 12;
const DEFAULT_RESOLUTION = 6;
const NS_PER_S = 1_000_000_000n;

interface Interface {
  linkType: number;
  name: string;
  snapLen: number;
  unitsPerSecond: bigint;
  offsetSeconds: bigint;
}

/** A block's body in the section's byte order. */
class Body {
  readonly bytes: Buffer;
  readonly little: boolean;

  constructor(bytes: Buffer, little: boolean) {
    this.bytes = bytes;
    this.little = little;
  }

  u16(at: number): number {
    this.need(at + 2);
    return this.little ? this.bytes.readUInt16LE(at) : this.bytes.readUInt16BE(at);
  }

  u32(at: number): number {
    this.need(at + 4);
    return this.little ? this.bytes.readUInt32LE(at) : this.bytes.readUInt32BE(at);
  }

  u64(at: number): bigint {
    this.need(at + 8);
    return this.little ? this.bytes.readBigUInt64LE(at) : this.bytes.readBigUInt64BE(at);
  }

  need(end: number): void {
    if (end > this.bytes.length) throw damaged('a block is too short');
  }

  /** Code → value, the first of each, from `at` on. */
  options(at: number): Map<number, Body> {
    const found = new Map<number, Body>();
    for (let from = at; from + 4 <= this.bytes.length; ) {
      const code = this.u16(from);
      const length = this.u16(from + 2);
      if (code === OPT_END) break;
      this.need(from + 4 + length);
      const value = this.bytes.subarray(from + 4, from + 4 + length);
      if (!found.has(code)) found.set(code, new Body(value, this.little));
      from += 4 + padded(length);
    }
    return found;
  }
}

/** `start`: the first four bytes, which were read to tell the format. */
export async function* readPcapng(source: ByteSource, start: Buffer): AsyncGenerator<Omit<Frame, 'number'>> {
  let little = true;
  let interfaces: Interface[] = [];
  let type: Buffer | undefined = start;
  for (; type !== undefined; type = await source.read(4)) {
    const isSection = type.readUInt32BE(0) === SECTION_HEADER;
    const head = await mustRead(source, isSection ? 8 : 4);
    if (isSection) {
      little = isLittle(head);
      interfaces = [];
    }
    const length = new Body(head, little).u32(0);
    const left = length - 4 - head.length;
    if (length < FRAME_LEN || left < 4 || length % 4 !== 0 || length > MOST_RECORD) {
      throw damaged(`a block of ${length} bytes`);
    }
    const block = await mustRead(source, left);
    const body = new Body(block.subarray(0, left - 4), little);
    if (isSection) continue;
    const kind = new Body(type, little).u32(0);
    if (kind === INTERFACE_DESCRIPTION) interfaces.push(readInterface(body));
    const frame = readPacket(kind, body, interfaces);
    if (frame) yield frame;
  }
}

function isLittle(head: Buffer): boolean {
  if (head.readUInt32LE(4) === BYTE_ORDER_MAGIC) return true;
  if (head.readUInt32BE(4) === BYTE_ORDER_MAGIC) return false;
  throw damaged('a section without its byte-order magic');
}

function readInterface(body: Body): Interface {
  const options = body.options(8);
  const resolution = options.get(IF_TSRESOL)?.bytes[0] ?? DEFAULT_RESOLUTION;
  const power = BigInt(resolution & 0x7f);
  const offset = options.get(IF_TSOFFSET);
  return {
    linkType: body.u16(0),
    snapLen: body.u32(4),
    name: options.get(IF_NAME)?.bytes.toString('utf8') ?? '',
    unitsPerSecond: resolution & 0x80 ? 2n ** power : 10n ** power,
    offsetSeconds: offset === undefined ? 0n : BigInt.asIntN(64, offset.u64(0)),
  };
}

function readPacket(
  kind: number,
  body: Body,
  interfaces: readonly Interface[],
): Omit<Frame, 'number'> | undefined {
  if (kind === SIMPLE_PACKET) return readSimple(body, interfaces[0]);
  if (kind !== ENHANCED_PACKET && kind !== OBSOLETE_PACKET) return undefined;
  const from = interfaces[kind === ENHANCED_PACKET ? body.u32(0) : body.u16(0)];
  if (from === undefined) throw damaged('a packet of an interface that was not described');
  const units = (BigInt(body.u32(4)) << 32n) | BigInt(body.u32(8));
  const captured = body.u32(12);
  body.need(20 + captured);
  const options = body.options(20 + padded(captured));
  const comment = options.get(OPT_COMMENT)?.bytes.toString('utf8');
  const dropped = kind === ENHANCED_PACKET ? options.get(EPB_DROPCOUNT)?.u64(0) : undefined;
  return {
    timeNs: from.offsetSeconds * NS_PER_S + (units * NS_PER_S) / from.unitsPerSecond,
    linkType: from.linkType,
    bytes: body.bytes.subarray(20, 20 + captured),
    length: Math.max(captured, body.u32(16)),
    interfaceName: from.name,
    ...(comment !== undefined && { comment }),
    ...(dropped !== undefined && { dropped: Number(dropped) }),
  };
}

/** No time, and the captured length only by the interface's limit, §4.4. */
function readSimple(body: Body, from: Interface | undefined): Omit<Frame, 'number'> {
  if (from === undefined) throw damaged('a packet before any interface');
  const length = body.u32(0);
  const captured = Math.min(length, from.snapLen || length, body.bytes.length - 4);
  const bytes = body.bytes.subarray(4, 4 + captured);
  return { timeNs: 0n, linkType: from.linkType, bytes, length, interfaceName: from.name };
}

async function mustRead(source: ByteSource, length: number): Promise<Buffer> {
  const bytes = await source.read(length);
  if (bytes === undefined) throw new FanError('unsupported', 'the file is cut short');
  return bytes;
}

function damaged(what: string): FanError {
  return new FanError('unsupported', `the file is damaged: ${what}`);
}

function padded(length: number): number {
  return (length + 3) & ~3;
}
