/**
 * Packets and fans for dataplane tests: inner packets from their addresses, outer ones around them, in a batch as a
 * device would deliver it.
 */
import { parseAddress } from '../../../src/addr/ipv4-address.js';
import { parsePrefix } from '../../../src/addr/prefix.js';
import type { FanSpec } from '../../../src/dataplane/tables/fan-spec.js';
import { createMapping } from '../../../src/fan/mapping.js';
import { HEADROOM, PacketBatch } from '../../../src/io/packet-batch.js';
import {
  emitIpv4,
  type Ipv4Header,
  PLAIN_HEADER,
  PROTOCOL_IPIP,
  PROTOCOL_UDP,
} from '../../../src/wire/ipv4.js';

export function fanSpec(
  overlay: string,
  address: string,
  length: number,
  more: Partial<FanSpec> = {},
): FanSpec {
  return {
    id: overlay,
    mapping: createMapping(parsePrefix(overlay), parseAddress(address), length),
    tun: 'tun-test',
    bridge: 'fan-test',
    underlayDevice: 'eth0',
    io: ['raw'],
    ioNotes: [],
    decapRefused: undefined,
    vxlan: undefined,
    kernelVxlan: undefined,
    underlayMtu: 1500,
    minPathMtu: 576,
    counterBlock: 1,
    ttl: -1,
    dscp: -1,
    fragment: true,
    receiverGroup: 0,
    kernelFlows: { encap: -1, decap: -1 },
    kernelPeers: -1,
    pins: undefined,
    ...more,
  };
}

export type Fields = Partial<Omit<Ipv4Header, 'source' | 'destination'>> & { payload?: number };

/** A whole IPv4 packet; `payload` is its length in bytes. */
export function packet(source: string, destination: string, fields: Fields = {}): Uint8Array {
  const { payload = 100, ...rest } = fields;
  const bytes = new Uint8Array(20 + payload).map((_, i) => i * 7);
  emitIpv4(bytes, 0, {
    ...PLAIN_HEADER,
    totalLength: bytes.length,
    ttl: 64,
    protocol: PROTOCOL_UDP,
    ...rest,
    source: parseAddress(source),
    destination: parseAddress(destination),
  });
  return bytes;
}

/** `inner` in an outer header. */
export function tunnelled(
  source: string,
  destination: string,
  inner: Uint8Array,
  fields: Fields = {},
): Uint8Array {
  const outer = packet(source, destination, { protocol: PROTOCOL_IPIP, ...fields, payload: inner.length });
  outer.set(inner, 20);
  return outer;
}

/** A batch over a slab of its own with `spare` bytes behind the packets. */
export function batchOf(packets: readonly Uint8Array[], spare = 0): PacketBatch {
  const stride = 2240;
  const batch = new PacketBatch(64, new Uint8Array(64 * stride + spare));
  packets.forEach((bytes, i) => {
    batch.slab.set(bytes, i * stride + HEADROOM);
    batch.setRange(i, i * stride + HEADROOM, bytes.length);
  });
  batch.count = packets.length;
  return batch;
}

/** The bytes of packet i. */
export function bytesOf(batch: PacketBatch, i: number): Uint8Array {
  return batch.slab.slice(batch.offset(i), batch.offset(i) + batch.length(i));
}

/** The counters that are not 0. */
export function nonZero(counters: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(counters).filter(([, value]) => value !== 0));
}
