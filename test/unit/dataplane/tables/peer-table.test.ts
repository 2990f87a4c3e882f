/** Peers and their counts against a Map: the same answers, whatever collides, and a bound. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { MAX_PEERS, type PeerCounts, PeerTable } from '../../../../src/dataplane/tables/peer-table.js';

const NOTHING = { txPackets: 0, txBytes: 0, rxPackets: 0, rxBytes: 0 };
const byKey = (peers: readonly PeerCounts[]) =>
  new Map(peers.map(({ block, address, ...counts }) => [`${block} ${address}`, counts]));

it('counts each peer of each fan by itself, both ways', () => {
  const peers = new PeerTable();
  const far = 0xac1e001b | 0;
  peers.sent(1, far, 2, 3000);
  peers.sent(1, far, 1, 40);
  peers.received(1, far, 5, 700);
  peers.sent(2, far, 1, 1);
  expect(byKey(peers.read())).toEqual(
    new Map([
      ['1 2887647259', { txPackets: 3, txBytes: 3040, rxPackets: 5, rxBytes: 700 }],
      ['2 2887647259', { ...NOTHING, txPackets: 1, txBytes: 1 }],
    ]),
  );
  peers.clear();
  expect(peers.read()).toEqual([]);
});

it('agrees with a Map for any sequence', () => {
  const event = fc.record({
    block: fc.nat({ max: 256 }),
    // Few addresses, so that they repeat, and neighbours, so that they collide.
    address: fc.oneof(fc.integer({ min: -40, max: 40 }), fc.integer()),
    sent: fc.boolean(),
    bytes: fc.nat({ max: 65_535 }),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 500 }), (events) => {
      const peers = new PeerTable();
      const oracle = new Map<string, Omit<PeerCounts, 'block' | 'address'>>();
      for (const { block, address, sent, bytes } of events) {
        if (sent) peers.sent(block, address, 1, bytes);
        else peers.received(block, address, 1, bytes);
        const key = `${block} ${address >>> 0}`;
        const counts = oracle.get(key) ?? { ...NOTHING };
        counts[sent ? 'txPackets' : 'rxPackets'] += 1;
        counts[sent ? 'txBytes' : 'rxBytes'] += bytes;
        oracle.set(key, counts);
      }
      expect(byKey(peers.read())).toEqual(oracle);
    }),
  );
});

it('begins anew where somebody scans the overlay', () => {
  const peers = new PeerTable();
  for (let host = 0; host < MAX_PEERS; host++) peers.sent(1, host, 1, 1);
  expect(peers.read()).toHaveLength(MAX_PEERS);
  peers.sent(1, MAX_PEERS, 7, 8);
  expect(peers.read()).toEqual([{ ...NOTHING, block: 1, address: MAX_PEERS, txPackets: 7, txBytes: 8 }]);
});
