import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../../../src/addr/ipv4-address.js';
import { Counters, HOST_BLOCK } from '../../../../src/dataplane/tables/counters.js';
import { ForwardingTable } from '../../../../src/dataplane/tables/forwarding-table.js';
import { PeerTable } from '../../../../src/dataplane/tables/peer-table.js';
import { DecapPath } from '../../../../src/dataplane/walks/decap-path.js';
import { PacketBatch } from '../../../../src/io/packet-batch.js';
import { decodeIpv4, emitIpv4, headerChecksumValid, PROTOCOL_IPIP } from '../../../../src/wire/ipv4.js';
import { batchOf, bytesOf, fanSpec, nonZero, packet, tunnelled } from '../packets.js';

const US = '172.30.0.28';
const PEER = '172.30.0.27';
const inner = packet('250.0.27.2', '250.0.28.2');

const DF = { dontFragment: true };

function decap(packets: Uint8Array[], specs = [fanSpec('250.0.0.0/8', US, 16)]) {
  const counters = new Counters();
  const table = new ForwardingTable(specs);
  const rx = batchOf(packets);
  const out = specs.map(() => new PacketBatch(64, rx.slab));
  const peers = new PeerTable();
  new DecapPath(counters, table, peers).process(rx, out);
  return {
    out,
    peers,
    fan: nonZero(counters.read(1)),
    host: nonZero(counters.read(HOST_BLOCK)),
    counters,
    table,
  };
}

function broken(change: (bytes: Uint8Array) => void): Uint8Array {
  const bytes = tunnelled(PEER, US, inner.slice());
  change(bytes);
  return bytes;
}

describe('decap', () => {
  it('leaves out the outer header of a good packet', () => {
    const { out, fan } = decap([tunnelled(PEER, US, inner)]);
    expect(out[0]!.count).toBe(1);
    expect(bytesOf(out[0]!, 0)).toEqual(inner);
    expect(fan).toEqual({ 'decap-rx-packets': 1, 'decap-rx-bytes': 120 });
  });

  it.each([
    [4, 0, 'drop-outer-malformed-packets'],
    [24, 1, 'drop-inner-malformed-packets'],
  ])('reads no further than the slab where %i bytes are there at its end', (length, block, reason) => {
    const outer = tunnelled(PEER, US, inner.slice(0, 4));
    const rx = new PacketBatch(1, new Uint8Array(64 + length));
    rx.slab.set(outer.subarray(0, length), 64);
    rx.setRange(0, 64, length);
    rx.count = 1;
    const counters = new Counters();
    const table = new ForwardingTable([fanSpec('250.0.0.0/8', US, 16)]);
    new DecapPath(counters, table).process(rx, [new PacketBatch(1, rx.slab)]);
    expect(counters.read(block)[reason]).toBe(1);
  });

  it('counts under its sender what it accepts, and nothing else', () => {
    const { peers } = decap([
      tunnelled(PEER, US, inner),
      tunnelled(PEER, US, inner),
      tunnelled('172.30.0.99', US, inner),
    ]);
    expect(peers.read()).toEqual([
      { block: 1, address: parseAddress(PEER), txPackets: 0, txBytes: 0, rxPackets: 2, rxBytes: 240 },
    ]);
  });

  it('leaves out padding behind the inner packet', () => {
    const padded = new Uint8Array(130);
    padded.set(inner);
    expect(bytesOf(decap([tunnelled(PEER, US, padded)]).out[0]!, 0)).toEqual(inner);
  });

  const hostile: [string, Uint8Array][] = [
    ['source-forged', tunnelled('172.30.0.99', US, inner)],
    ['source-forged', tunnelled(PEER, US, packet('8.8.8.8', '250.0.28.2'))],
    ['source-in-slice', tunnelled(PEER, US, packet('250.0.28.9', '250.0.28.2'))],
    ['destination-outside-slice', tunnelled(PEER, US, packet('250.0.27.2', '250.0.29.2'))],
    ['destination-outside-slice', tunnelled(PEER, US, packet('250.0.27.2', '10.0.0.1'))],
    ['destination-outside-slice', tunnelled(PEER, US, packet('250.0.27.2', '250.0.28.0'))],
    ['destination-outside-slice', tunnelled(PEER, US, packet('250.0.27.2', '250.0.28.255'))],
    ['nested-ipip', tunnelled(PEER, US, packet('250.0.27.2', '250.0.28.2', { protocol: PROTOCOL_IPIP }))],
    ['inner-checksum', broken((b) => (b[30]! ^= 1))],
    ['inner-malformed', broken((b) => (b[20] = 0x44))],
    ['inner-malformed', broken((b) => (b[22] = 0x10))],
    ['inner-malformed', tunnelled(PEER, US, inner.slice(0, 12))],
    ['not-ipv4', broken((b) => (b[20] = 0x65))],
    ['inner-ttl', tunnelled(PEER, US, packet('250.0.27.2', '250.0.28.2', { ttl: 0 }))],
    ['source-martian', tunnelled(PEER, US, packet('127.0.0.1', '250.0.28.2'))],
    ['source-martian', tunnelled(PEER, US, packet('224.0.0.5', '250.0.28.2'))],
    ['source-martian', tunnelled(PEER, US, packet('255.255.255.255', '250.0.28.2'))],
    ['source-martian', tunnelled(PEER, US, packet('0.1.2.3', '250.0.28.2'))],
    ['source-martian', tunnelled(PEER, US, packet('250.0.27.0', '250.0.28.2'))],
    ['source-martian', tunnelled(PEER, US, packet('250.0.27.255', '250.0.28.2'))],
    ['ecn', tunnelled(PEER, US, inner, { tos: 3 })],
    ['outer-source', tunnelled('10.0.0.1', US, inner)],
    ['outer-source', tunnelled(US, US, inner)],
    ['outer-source', tunnelled('172.30.255.255', US, packet('250.255.255.2', '250.0.28.2'))],
  ];
  it.each(hostile)('drops as %s', (reason, bytes) => {
    const { out, fan } = decap([bytes]);
    expect(out[0]!.count).toBe(0);
    expect(fan[`drop-${reason}-packets`]).toBe(1);
    expect(Object.keys(fan).filter((name) => name.startsWith('drop-'))).toHaveLength(1);
    expect(fan['decap-rx-packets']).toBe(1);
  });

  const strangers: [string, Uint8Array][] = [
    ['outer-destination', tunnelled(PEER, '172.30.0.30', inner)],
    ['outer-malformed', new Uint8Array(12).fill(0x45)],
    ['outer-malformed', broken((b) => (b[0] = 0x43))],
    ['outer-malformed', broken((b) => (b[0] = 0x65))],
    ['outer-malformed', broken((b) => (b[2] = 0x40))],
    ['outer-malformed', broken((b) => (b[6] = 0x20))],
  ];
  it.each(strangers)('counts %s under the host', (reason, bytes) => {
    const { out, host, fan } = decap([bytes]);
    expect(out[0]!.count).toBe(0);
    expect(host[`drop-${reason}-packets`]).toBe(1);
    expect(fan).toEqual({});
  });

  it('carries congestion inward and keeps the checksum right', () => {
    const ect = packet('250.0.27.2', '250.0.28.2', { tos: 0xb8 | 2 });
    const { out } = decap([tunnelled(PEER, US, ect, { tos: 3 })]);
    const bytes = bytesOf(out[0]!, 0);
    expect(decodeIpv4(bytes, 0).tos).toBe(0xb8 | 3);
    expect(headerChecksumValid(bytes, 0)).toBe(true);
  });

  it('accepts outer options', () => {
    const plain = tunnelled(PEER, US, inner);
    const withOptions = new Uint8Array(plain.length + 4);
    withOptions.set(inner, 24);
    const options = Uint8Array.of(1, 1, 1, 0);
    emitIpv4(withOptions, 0, { ...decodeIpv4(plain, 0), totalLength: withOptions.length, options });
    expect(bytesOf(decap([withOptions]).out[0]!, 0)).toEqual(inner);
  });

  it('tells fans on one address apart by the inner source', () => {
    const specs = [fanSpec('250.0.0.0/8', US, 16), fanSpec('251.0.0.0/8', US, 16, { counterBlock: 2 })];
    const other = packet('251.0.27.2', '251.0.28.2');
    const { out, counters } = decap([tunnelled(PEER, US, other), tunnelled(PEER, US, inner)], specs);
    expect(bytesOf(out[0]!, 0)).toEqual(inner);
    expect(bytesOf(out[1]!, 0)).toEqual(other);
    expect(counters.read(2)['decap-rx-packets']).toBe(1);
  });

  it('counts a merged super-packet as its segments, failed writes as drops', () => {
    const { out, counters, table, fan } = decap([
      tunnelled(PEER, US, packet('250.0.27.2', '250.0.28.2', { payload: 1900, protocol: 17 }), DF),
      tunnelled(PEER, US, inner),
    ]);
    expect(fan).toEqual({ 'decap-rx-packets': 3, 'decap-rx-bytes': 1920 + 28 + 120 });
    out[0]!.descriptors[7] = 22;
    new DecapPath(counters, table).settle(table.fans[0]!, out[0]!, 1);
    const after = counters.read(1);
    expect(after['drop-tun-write-failed-packets']).toBe(2);
    expect(after['decap-tx-packets']).toBe(1);
    expect(after['decap-tx-bytes']).toBe(120);
  });

  it('counts a datagram that came in outer fragments, so without DF, as one packet', () => {
    const long = packet('250.0.27.2', '250.0.28.2', { payload: 1900, protocol: 17 });
    expect(decap([tunnelled(PEER, US, long)]).fan).toEqual({
      'decap-rx-packets': 1,
      'decap-rx-bytes': 1920,
    });
  });
});
