/** Decapsulation and encapsulation, packet for packet against the slow oracle; and one counter for each that is dropped. */
import fc from 'fast-check';
import { expect } from 'vitest';
import { formatAddress } from '../../../src/addr/ipv4-address.js';
import { Counters, HOST_BLOCK } from '../../../src/dataplane/tables/counters.js';
import { ForwardingTable } from '../../../src/dataplane/tables/forwarding-table.js';
import { PeerTable } from '../../../src/dataplane/tables/peer-table.js';
import { DecapPath } from '../../../src/dataplane/walks/decap-path.js';
import { EncapPath } from '../../../src/dataplane/walks/encap-path.js';
import { IcmpReplies } from '../../../src/dataplane/walks/icmp-replies.js';
import { PathMtuTable } from '../../../src/dataplane/walks/path-mtu.js';
import { FRAGMENT_ROOM, TooBig } from '../../../src/dataplane/walks/too-big.js';
import { PacketBatch } from '../../../src/io/packet-batch.js';
import { slowEncap } from '../../oracle/wire/slow-tunnel.js';
import { slowDelivered, slowExit, withChecksum } from '../../oracle/wire/slow-verdict.js';
import { reassemble } from '../../oracle/wire/slow-wire.js';
import { batchOf, bytesOf, fanSpec } from '../../unit/dataplane/packets.js';
import { innerPackets, OVERLAYS, outerPackets, SLOW_FANS, UNDERLAY_LENGTH, US } from '../packets.js';
import { CASES, type Target } from '../target.js';

const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('hex');

/** The reasons that it counted: a packet that was merged on its way counts as several, but all under one. */
function reasonsOf(counters: Counters): number {
  return [HOST_BLOCK, 1, 2]
    .flatMap((block) => Object.entries(counters.read(block)))
    .filter(([name, count]) => /^drop-.*-packets$/.test(name) && count > 0).length;
}

function tableOf(overlays: readonly string[], underlayMtu = 1500): ForwardingTable {
  return new ForwardingTable(
    overlays.map((overlay, i) =>
      fanSpec(overlay, US, UNDERLAY_LENGTH, { counterBlock: i + 1, underlayMtu, receiverGroup: i }),
    ),
  );
}

function decapsulate(outer: Uint8Array): void {
  const counters = new Counters();
  const table = tableOf(OVERLAYS);
  const rx = batchOf([outer]);
  const out = OVERLAYS.map(() => new PacketBatch(64, rx.slab));
  new DecapPath(counters, table, new PeerTable()).process(rx, out);
  const delivered = out.flatMap((batch) => (batch.count > 0 ? [bytesOf(batch, 0)] : []));
  const expected = slowDelivered(SLOW_FANS, outer);
  expect(delivered.length).toBeLessThan(2);
  const [inner] = delivered;
  const context = { outer: hex(outer) };
  expect({ ...context, inner: hex(inner && withChecksum(inner)) }).toEqual({
    ...context,
    inner: hex(expected),
  });
  expect({ ...context, reasons: reasonsOf(counters) }).toEqual({ ...context, reasons: expected ? 0 : 1 });
}

function encapsulate(inner: Uint8Array, underlayMtu: number): void {
  const counters = new Counters();
  const table = tableOf(OVERLAYS.slice(0, 1), underlayMtu);
  const rx = batchOf([inner], FRAGMENT_ROOM);
  const tx = new PacketBatch(512, rx.slab);
  const tooBig = new TooBig(counters, new IcmpReplies(counters), rx.slab, 64 * 2240);
  const path = new EncapPath(counters, new PathMtuTable(), tooBig, table, new PeerTable());
  path.process(table.fans[0]!, rx, 0, tx, 1);
  const sent = Array.from({ length: tx.count }, (_, i) => bytesOf(tx, i));
  const [fan] = SLOW_FANS;
  const exit = slowExit(fan!, inner);
  const context = { inner: hex(inner), underlayMtu, exit: exit && formatAddress(exit) };
  const doesFit = inner.length + 20 <= underlayMtu;
  const isSent = exit !== undefined && (doesFit || (inner[6]! & 0x40) === 0);
  expect({ ...context, reasons: reasonsOf(counters) }).toEqual({ ...context, reasons: isSent ? 0 : 1 });
  if (!isSent) expect({ ...context, sent: sent.map(hex) }).toEqual({ ...context, sent: [] });
  else if (doesFit) {
    expect({ ...context, sent: sent.map(hex) }).toEqual({ ...context, sent: [hex(slowEncap(fan!, inner))] });
  } else {
    expect(Math.max(...sent.map(({ length }) => length))).toBeLessThanOrEqual(underlayMtu);
    expect({ ...context, sent: hex(reassemble(sent)) }).toEqual({ ...context, sent: hex(inner) });
  }
}

export const decap: Target = {
  name: 'decap',
  check(seed) {
    fc.assert(fc.property(outerPackets, decapsulate), { seed, numRuns: CASES });
  },
};

export const encap: Target = {
  name: 'encap',
  check(seed) {
    const mtu = fc.constantFrom(1500, 1500, 600, 1000);
    fc.assert(fc.property(innerPackets, mtu, encapsulate), { seed, numRuns: CASES });
  },
};
