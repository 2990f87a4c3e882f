/**
 * The wire layer against golden packets made by scapy (make-wire-vectors.py): what we write must be theirs to the
 * byte, in a buffer that was dirty, and what we read must be what they put in.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type DropReasonName, dropReasonName, KEEP } from '../../src/base/drop-reason.js';
import { createIcmpError, emitUnreachable, type IcmpError, readIcmpError } from '../../src/wire/icmpv4.js';
import { fragmentOuter, OUTER_LEN, writeOuter } from '../../src/wire/ipip.js';
import {
  checkInnerIpv4,
  checkOuterIpv4,
  decodeIpv4,
  emitIpv4,
  headerChecksum,
  type Ipv4Header,
} from '../../src/wire/ipv4.js';

interface Named {
  name: string;
  packet: string;
}

function vectors<T>(file: string): T[] {
  return JSON.parse(readFileSync(new URL(`wire/${file}.json`, import.meta.url), 'utf8'));
}

const bytesOf = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'));
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** A slab of 0xa5 with `bytes` at `offset`. */
function dirtySlab(size: number, offset: number, bytes: Uint8Array): Uint8Array {
  const slab = new Uint8Array(size).fill(0xa5);
  slab.set(bytes, offset);
  return slab;
}

interface Encapsulation extends Named {
  inner: string;
  source: number;
  destination: number;
  tos: number;
  ttl: number;
  id: number;
  dontFragment: boolean;
}

describe('writeOuter', () => {
  it.each(vectors<Encapsulation>('encapsulation'))('$name', (v) => {
    const inner = bytesOf(v.inner);
    const slab = dirtySlab(inner.length + 128, 64, inner);
    const total = inner.length + OUTER_LEN;
    writeOuter(slab, 44, total, v.source, v.destination, v.tos, v.ttl, v.id, v.dontFragment);
    expect(hexOf(slab.subarray(44, 44 + total))).toBe(v.packet);
    expect(slab[43]).toBe(0xa5);
    expect(slab[44 + total]).toBe(0xa5);
  });
});

interface HeaderVector extends Named {
  header: Omit<Ipv4Header, 'options'>;
  options: string;
  checksum: number;
}

describe('decodeIpv4 and emitIpv4', () => {
  it.each(vectors<HeaderVector>('headers'))('$name', (v) => {
    const packet = bytesOf(v.packet);
    const header = decodeIpv4(packet, 0);
    expect(header).toEqual({ ...v.header, options: bytesOf(v.options) });
    expect(headerChecksum(packet, 0)).toBe(v.checksum);
    const slab = dirtySlab(128, 0, new Uint8Array(0));
    const length = emitIpv4(slab, 8, header);
    expect(hexOf(slab.subarray(8, 8 + length))).toBe(hexOf(packet.subarray(0, length)));
    expect(slab[8 + length]).toBe(0xa5);
  });
});

describe('fragmentOuter', () => {
  interface Fragments {
    name: string;
    mtu: number;
    id: number;
    datagram: string;
    fragments: string[];
  }
  it.each(vectors<Fragments>('fragments'))('$name', (v) => {
    const datagram = bytesOf(v.datagram);
    const slab = dirtySlab(16_384, 64, datagram);
    const ranges = new Uint32Array(64);
    const count = fragmentOuter(slab, 64, datagram.length, v.mtu, v.id, 4096, 64, ranges);
    const cut = Array.from({ length: count }, (_, i) =>
      hexOf(slab.subarray(ranges[i * 2]!, ranges[i * 2]! + ranges[i * 2 + 1]!)),
    );
    expect(cut).toEqual(v.fragments);
  });
});

describe('emitUnreachable', () => {
  interface Unreachable extends Named {
    code: number;
    mtu: number;
    source: number;
    destination: number;
    offending: string;
  }
  it.each(vectors<Unreachable>('unreachables'))('$name', (v) => {
    const offending = bytesOf(v.offending);
    const slab = dirtySlab(1024, 0, new Uint8Array(0));
    const length = emitUnreachable(
      slab,
      8,
      v.code,
      v.mtu,
      v.source,
      v.destination,
      offending,
      0,
      offending.length,
    );
    expect(hexOf(slab.subarray(8, 8 + length))).toBe(v.packet);
    expect(slab[8 + length]).toBe(0xa5);
  });
});

describe('readIcmpError', () => {
  it.each(vectors<Named & { error: IcmpError }>('errors'))('$name', (v) => {
    const packet = bytesOf(v.packet);
    const slab = dirtySlab(2048, 64, packet);
    const error = createIcmpError();
    expect(readIcmpError(slab, 64, packet.length, error)).toBe(KEEP);
    expect({ ...error, innerOffset: error.innerOffset - 64 }).toEqual(v.error);
  });
});

describe('checks', () => {
  type Verdict = DropReasonName | 'keep';
  const nameOf = (reason: number): Verdict => (reason === KEEP ? 'keep' : dropReasonName(reason)!);
  it.each(vectors<Named & { asOuter: Verdict; asInner: Verdict }>('hostile'))('$name', (v) => {
    const packet = bytesOf(v.packet);
    expect(nameOf(checkOuterIpv4(packet, 0, packet.length))).toBe(v.asOuter);
    expect(nameOf(checkInnerIpv4(packet, 0, packet.length))).toBe(v.asInner);
  });
});
