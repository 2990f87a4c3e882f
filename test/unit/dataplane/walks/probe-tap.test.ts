/** Decap takes out the probes of a peer, and only those: in the place of a drop, after every other check. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { parseAddress } from '../../../../src/addr/ipv4-address.js';
import { Counters } from '../../../../src/dataplane/tables/counters.js';
import { ForwardingTable } from '../../../../src/dataplane/tables/forwarding-table.js';
import { PeerTable } from '../../../../src/dataplane/tables/peer-table.js';
import { DecapPath } from '../../../../src/dataplane/walks/decap-path.js';
import { ProbeTap } from '../../../../src/dataplane/walks/probe-tap.js';
import { PacketBatch } from '../../../../src/io/packet-batch.js';
import { decodeProbe, encodeProbe, type Probe } from '../../../../src/wire/probe.js';
import { batchOf, fanSpec, nonZero, packet, tunnelled } from '../packets.js';

const [US, PEER] = ['172.30.0.28', '172.30.0.27'];

function probeOf(source: string, destination: string): Uint8Array {
  const ends = { source: parseAddress(source), destination: parseAddress(destination) };
  return encodeProbe({ ...ends, kind: 'probe', sequence: 7, nonce: '0123456789abcdef', length: 200 });
}

function decap(inners: Uint8Array[]) {
  const counters = new Counters();
  const taken: [string, number, Probe][] = [];
  const tap = new ProbeTap((fan, from, bytes) => taken.push([fan, from, decodeProbe(bytes, 0)]));
  const table = new ForwardingTable([fanSpec('250.0.0.0/8', US, 16)]);
  const path = new DecapPath(counters, table, new PeerTable(), tap);
  for (const inner of inners) {
    const rx = batchOf([tunnelled(PEER, US, inner)]);
    path.process(rx, [new PacketBatch(64, rx.slab)]);
  }
  return { taken, seen: nonZero(counters.read(1)) };
}

describe('the probe tap', () => {
  afterEach(() => void vi.useRealTimers());

  it('takes a probe, which counts nowhere', () => {
    const { taken, seen } = decap([probeOf('250.0.27.1', '250.0.28.0')]);
    expect(taken).toMatchObject([
      ['250.0.0.0/8', parseAddress(PEER) | 0, { sequence: 7, length: 200, nonce: '0123456789abcdef' }],
    ]);
    expect(seen).toEqual({});
  });

  it.each([
    ['a forged source', probeOf('250.0.26.1', '250.0.28.0'), 'source-forged'],
    ['another slice', probeOf('250.0.27.1', '250.0.29.0'), 'destination-outside-slice'],
    ['the broadcast address', probeOf('250.0.27.1', '250.0.28.255'), 'destination-outside-slice'],
    ['no probe in it', packet('250.0.27.1', '250.0.28.0'), 'destination-outside-slice'],
  ])('leaves a packet with %s to be dropped', (_, inner, reason) => {
    const { taken, seen } = decap([inner]);
    expect(taken).toEqual([]);
    expect(seen[`drop-${reason}-packets`]).toBe(1);
  });

  it('leaves a probe for a container alone', () => {
    expect(decap([probeOf('250.0.27.1', '250.0.28.2')])).toMatchObject({
      taken: [],
      seen: { 'decap-rx-packets': 1 },
    });
  });

  it('takes so many at once, and no more', () => {
    vi.useFakeTimers({ toFake: ['performance'], now: 60_000 });
    const flood = Array.from({ length: 600 }, () => probeOf('250.0.27.1', '250.0.28.0'));
    const { taken, seen } = decap(flood);
    expect(taken).toHaveLength(200);
    expect(seen['drop-destination-outside-slice-packets']).toBe(400);
  });
});
