/**
 * What is measured: the packet path's steps, each beside a slow oracle that gives the same. `check` proves that they do
 * before either is timed.
 */
import { deepStrictEqual } from 'node:assert/strict';
import { parseAddress } from '../../src/addr/ipv4-address.js';
import { parsePrefix } from '../../src/addr/prefix.js';
import { createMapping, mappingBits, underlayHostBits } from '../../src/fan/mapping.js';
import { MERGE_TCP } from '../../src/io/devices/tun.js';
import { native } from '../../src/io/native.js';
import { CSUM_UNKNOWN, GSO_NONE, GSO_TCPV4, NEEDS_CSUM, PacketBatch } from '../../src/io/packet-batch.js';
import { checksum } from '../../src/wire/checksum.js';
import { type SlowFan, slowHost } from '../../test/oracle/fan/slow-mapping.js';
import { buildPacket, type Flow, headerLength, slowSegment, TCP } from '../../test/oracle/segment.js';
import { slowDecap, slowEncap } from '../../test/oracle/wire/slow-tunnel.js';
import { slowChecksum } from '../../test/oracle/wire/slow-wire.js';
import { bytesOf } from '../../test/unit/dataplane/packets.js';
import { BATCH, decapRig, encapRig, hostsOf } from './packets.js';

export interface MicroCase {
  name: string;
  title: string;
  /** Packets (or addresses) that one call of `fast`, and of `slow`, deals with. */
  packets: number;
  fast(): void;
  slow(): void;
  /** Throws where the two differ. */
  check(): void;
}

const FAN: SlowFan = {
  overlayBase: parseAddress('250.0.0.0'),
  overlayLength: 8,
  address: parseAddress('172.30.0.28'),
  underlayLength: 16,
};
const SUMMED = 1480;
const MTU = 1480;
/** A TUN's super-packet of one TCP flow, cut for an MTU of 1480. */
const FLOW: Flow = { protocol: TCP, sourcePort: 40_000, id: 1, df: true, seq: 1, options: 12 };
const GSO_SIZE = MTU - headerLength(FLOW);
const SEGMENTS = 44;
const PAYLOAD = new Uint8Array(GSO_SIZE * SEGMENTS).map((_, i) => i * 31 + (i >> 8));

/** Keeps results from being optimised away. */
const sink = new Int32Array(1);

function map(): MicroCase {
  const mapping = mappingBits(createMapping(parsePrefix('250.0.0.0/8'), FAN.address, FAN.underlayLength));
  const addresses = hostsOf(BATCH).map((host) => (FAN.overlayBase + host * 256 + 2) | 0);
  return {
    name: 'map',
    title: 'map an overlay address to its host',
    packets: BATCH,
    fast: () => {
      for (let i = 0; i < addresses.length; i++) sink[0]! ^= underlayHostBits(mapping, addresses[i]!);
    },
    slow: () => {
      for (const address of addresses) sink[0]! ^= slowHost(FAN, address >>> 0);
    },
    check: () => {
      const fast = addresses.map((address) => underlayHostBits(mapping, address) >>> 0);
      deepStrictEqual(
        fast,
        addresses.map((address) => slowHost(FAN, address >>> 0)),
      );
    },
  };
}

function encap(): MicroCase {
  const { packets, after, run } = encapRig(hostsOf(BATCH));
  const slow = () => packets.map((inner) => slowEncap(FAN, inner));
  return {
    name: 'encap',
    title: 'encap: check, map, header',
    packets: BATCH,
    fast: run,
    slow,
    check: () => {
      run();
      deepStrictEqual(
        packets.map((_, i) => bytesOf(after, i)),
        slow(),
      );
    },
  };
}

function decap(): MicroCase {
  const { packets, after, run } = decapRig(hostsOf(BATCH));
  const slow = () => packets.map((outer) => slowDecap(FAN, outer));
  return {
    name: 'decap',
    title: 'decap: every check, unwrap',
    packets: BATCH,
    fast: run,
    slow,
    check: () => {
      run();
      deepStrictEqual(
        packets.map((_, i) => bytesOf(after, i)),
        slow(),
      );
    },
  };
}

function sum(name: string, title: string, fastSum: (bytes: Uint8Array) => number): MicroCase {
  const bytes = PAYLOAD.slice(0, SUMMED);
  return {
    name,
    title: `checksum of ${SUMMED} bytes, ${title}`,
    packets: 1,
    fast: () => {
      sink[0]! ^= fastSum(bytes);
    },
    slow: () => {
      sink[0]! ^= slowChecksum(bytes);
    },
    check: () => deepStrictEqual(fastSum(bytes), slowChecksum(bytes)),
  };
}

function segment(): MicroCase {
  const whole = buildPacket(FLOW, PAYLOAD, { done: 0, nth: 0, partial: true });
  const batch = PacketBatch.create(1, whole.length + 64);
  batch.slab.set(whole, 64);
  batch.setRange(0, 64, whole.length);
  batch.setVnet(0, NEEDS_CSUM, GSO_TCPV4, GSO_SIZE, headerLength(FLOW));
  batch.setCsum(0, 20, 16);
  batch.count = 1;
  const out = new Uint8Array(whole.length * 2);
  const fast = () => native.segment(batch.slab, batch.descriptors, 0, out);
  const slow = () => slowSegment(FLOW, PAYLOAD, GSO_SIZE);
  return {
    name: 'segment',
    title: 'segment 64 kB of TCP, checksums included',
    packets: SEGMENTS,
    fast,
    slow,
    check: () => deepStrictEqual(slices(out, fast()), slow()),
  };
}

function merge(): MicroCase {
  const packets = slowSegment(FLOW, PAYLOAD, GSO_SIZE);
  const batch = PacketBatch.create(packets.length, packets.length * 2048);
  packets.forEach((bytes, i) => {
    batch.slab.set(bytes, i * 2048);
    batch.setRange(i, i * 2048, bytes.length);
    batch.setVnet(i, CSUM_UNKNOWN, GSO_NONE, 0, 0);
  });
  batch.count = packets.length;
  const out = new Uint8Array(batch.slab.length + 4096);
  const fast = () => native.mergeForTun(batch.slab, batch.descriptors, batch.count, MTU, MERGE_TCP, out);
  const slow = () => slowMerge(packets);
  return {
    name: 'merge',
    title: 'merge segments of a TCP flow, checksums verified',
    packets: SEGMENTS,
    fast,
    slow,
    // The written packet has a virtio_net_hdr of 10 bytes in front.
    check: () =>
      deepStrictEqual(
        slices(out, fast()).map((bytes) => bytes.slice(10)),
        [slow()],
      ),
  };
}

/** The super-packet whose segments these are. */
function slowMerge(packets: readonly Uint8Array[]): Uint8Array {
  const header = headerLength(FLOW);
  const payload = packets.flatMap((bytes) => [...bytes.slice(header)]);
  return buildPacket(FLOW, Uint8Array.from(payload), { done: 0, nth: 0, partial: true });
}

function slices(out: Uint8Array, ranges: Uint32Array): Uint8Array[] {
  return Array.from({ length: ranges.length / 2 }, (_, i) => {
    return out.slice(ranges[i * 2]!, ranges[i * 2]! + ranges[i * 2 + 1]!);
  });
}

export function microCases(): MicroCase[] {
  return [
    map(),
    encap(),
    decap(),
    sum('checksum', 'TypeScript', (bytes) => checksum(bytes, 0, bytes.length)),
    sum('checksum-native', 'native', (bytes) => native.checksum(bytes, 0, bytes.length)),
    segment(),
    merge(),
  ];
}
