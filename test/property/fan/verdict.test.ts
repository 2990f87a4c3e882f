/** The verdict in words is the packet paths' own: the same fans, the same addresses, the same reason or none. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { formatAddress } from '../../../src/addr/ipv4-address.js';
import { broadcastOf } from '../../../src/addr/prefix.js';
import { Counters } from '../../../src/dataplane/tables/counters.js';
import { ForwardingTable } from '../../../src/dataplane/tables/forwarding-table.js';
import { DecapPath } from '../../../src/dataplane/walks/decap-path.js';
import { EncapPath } from '../../../src/dataplane/walks/encap-path.js';
import { IcmpReplies } from '../../../src/dataplane/walks/icmp-replies.js';
import { PathMtuTable } from '../../../src/dataplane/walks/path-mtu.js';
import { FRAGMENT_ROOM, TooBig } from '../../../src/dataplane/walks/too-big.js';
import { fanOf, judgeDecap, judgeEncap } from '../../../src/fan/verdict.js';
import { PacketBatch } from '../../../src/io/packet-batch.js';
import { batchOf, fanSpec, packet, tunnelled } from '../../unit/dataplane/packets.js';

const SPECS = [
  [fanSpec('250.0.0.0/8', '172.30.0.28', 16)],
  [fanSpec('250.0.0.0/8', '172.30.0.28', 16), fanSpec('99.0.0.0/8', '172.30.0.28', 16, { counterBlock: 2 })],
  [fanSpec('240.0.0.0/5', '10.88.244.215', 20), fanSpec('99.0.0.0/8', '10.1.0.5', 16, { counterBlock: 2 })],
  [fanSpec('33.0.0.0/8', '10.111.1.2', 12)],
];

/** Addresses where verdicts turn: of overlays, slices and underlays, and their edges; and any other. */
function addressesOf(specs: (typeof SPECS)[number]): number[] {
  return specs.flatMap(({ mapping: { overlay, underlay, slice, address, gateway } }) => [
    ...[overlay, underlay, slice].flatMap((prefix) => [prefix.base, prefix.base + 1, broadcastOf(prefix)]),
    ...[address, address - 1, gateway, slice.base - 1, slice.base - 2, broadcastOf(slice) + 1],
    ...[broadcastOf(slice) + 2, broadcastOf(overlay) - 1, overlay.base + 2, address + 1],
  ]);
}

const hosts = fc.constantFrom(...SPECS).chain((specs) => {
  const special = addressesOf(specs).map((address) => address >>> 0);
  const address = fc.oneof(
    fc.constantFrom(...special, 0x7f000001, 0xe0000001),
    fc.integer({ min: 0, max: 0xffffffff }),
  );
  return fc.record({ specs: fc.constant(specs), from: address, to: address, sender: address });
});

/** The drop counter that grew in any block, or undefined. */
function reasonOf(counters: Counters): string | undefined {
  for (const block of [0, 1, 2]) {
    const [found] = Object.entries(counters.read(block)).filter(
      ([name, value]) => /^drop-/.test(name) && value > 0,
    );
    if (found) return found[0].slice('drop-'.length, -'-packets'.length);
  }
  return undefined;
}

it('of encap', () => {
  fc.assert(
    fc.property(hosts, ({ specs, from, to }) => {
      const fans = specs.map(({ mapping }) => mapping);
      const fan = fanOf(fans, to) ?? fans[0]!;
      const counters = new Counters();
      const table = new ForwardingTable(specs);
      const rx = batchOf([packet(formatAddress(from), formatAddress(to))], FRAGMENT_ROOM);
      const tooBig = new TooBig(counters, new IcmpReplies(counters), rx.slab, 64 * 2048);
      const path = new EncapPath(counters, new PathMtuTable(), tooBig, table);
      path.process(table.fans[fans.indexOf(fan)]!, rx, 0, new PacketBatch(64, rx.slab), 1);
      expect(judgeEncap(fans, fan, from, to)).toBe(reasonOf(counters));
    }),
    { numRuns: 1000 },
  );
});

it('of decap', () => {
  fc.assert(
    fc.property(hosts, ({ specs, from, to, sender }) => {
      const fans = specs.map(({ mapping }) => mapping);
      const here = fans[0]!;
      const chosen = fanOf(fans, from);
      const fan = chosen?.address === here.address ? chosen : here;
      const counters = new Counters();
      const inner = packet(formatAddress(from), formatAddress(to));
      const rx = batchOf([tunnelled(formatAddress(sender), formatAddress(here.address), inner)]);
      const out = specs.map(() => new PacketBatch(64, rx.slab));
      new DecapPath(counters, new ForwardingTable(specs)).process(rx, out);
      expect(judgeDecap(fans, fan, sender, from, to)).toBe(reasonOf(counters));
    }),
    { numRuns: 1000 },
  );
});
