/** Dissection of VXLAN: each reason that a capture can show, beside IP-in-IP of another fan, in frames and fragments. */
import { describe, expect, it } from 'vitest';
import { parsePrefix } from '../../../src/addr/prefix.js';
import { Dissection } from '../../../src/trace/dissect.js';
import { fragmentOuter } from '../../../src/wire/ipip.js';
import { arp, datagram, frame, inVxlan, MAC, OTHER, VXLAN } from '../dataplane/frames.js';
import { packet, tunnelled } from '../dataplane/packets.js';

const UNDERLAY = parsePrefix('172.30.0.0/16');
const FANS = [
  { overlay: parsePrefix('250.0.0.0/8'), underlay: UNDERLAY, vxlan: VXLAN },
  { overlay: parsePrefix('99.0.0.0/8'), underlay: UNDERLAY },
];
const [US, PEER] = ['172.30.0.28', '172.30.0.27'];
const [RAW, ETHERNET] = [101, 1];
const inner = packet('250.0.27.2', '250.0.28.2');
const good = datagram(PEER, US, inVxlan(frame(inner)));

function dissect(linkType: number, ...packets: (readonly [bytes: Uint8Array, length?: number])[]) {
  const dissection = new Dissection(FANS);
  const all = packets.map(([bytes, length = bytes.length]) =>
    dissection.add({ number: 1, timeNs: 0n, linkType, bytes, length }),
  );
  const seen = all.map((one) => one && [one.path, one.verdict, one.reason]);
  return { seen, summary: dissection.summary, layers: all.map((one) => one?.layers) };
}

const changed = (at: number, ...values: number[]) => {
  const bytes = good.slice();
  bytes.set(values, at);
  return bytes;
};
const sent = (bytes: Uint8Array, from = PEER, to = US, fields = {}) =>
  datagram(from, to, inVxlan(bytes), fields);

describe('VXLAN', () => {
  it.each([
    ['good', good, undefined],
    ['for the peer', sent(frame(packet('250.0.28.2', '250.0.27.2')), US, PEER), undefined],
    ['ARP', sent(arp('250.0.27.2', '250.0.28.2')), undefined],
    ['ARP of another host', sent(arp('250.0.99.2', '250.0.28.2')), 'source-forged'],
    ['ARP for another host', sent(arp('250.0.27.2', '250.0.29.2')), 'destination-outside-slice'],
    ['ARP in the name of another MAC', sent(arp('250.0.27.2', '250.0.28.2', OTHER)), 'arp-malformed'],
    ['for nobody', sent(frame(inner), PEER, '192.0.2.1'), 'outer-destination'],
    ['of no host of the underlay', sent(frame(inner), '10.1.0.5'), 'outer-source'],
    ['forged', sent(frame(inner), '172.30.0.77'), 'source-forged'],
    ['for another slice', sent(frame(packet('250.0.27.2', '250.0.29.2'))), 'destination-outside-slice'],
    ['congested', sent(frame(inner), PEER, US, { tos: 3 }), 'ecn'],
    ['of another VNI', changed(28 + 4, 0, 0, 7), 'vni'],
    ['with flags', changed(28, 0x88), 'vxlan-malformed'],
    ['for a group', sent(frame(inner, 0x0800, [1, 0, 0x5e, 0, 0, 1])), 'group-frame'],
    ['with a tag', sent(frame(inner, 0x8100)), 'vlan-tag'],
    ['of IPv6', sent(frame(inner, 0x86dd)), 'not-ipv4'],
    ['with a wrong inner checksum', changed(50 + 11, 0x77), 'inner-checksum'],
    ['with a wrong outer checksum', changed(11, 0x77), 'outer-malformed'],
    ['with a UDP length of nothing', changed(24, 0, 3), 'outer-malformed'],
  ])('%s', (_, bytes, reason) => {
    const { seen, summary } = dissect(RAW, [bytes]);
    expect(seen).toEqual([['decap', reason === undefined ? 'accepted' : 'dropped', reason]]);
    expect(summary.reasons).toEqual(reason === undefined ? {} : { [reason]: 1 });
  });

  it('is judged whole where the capture has its headers only', () => {
    const { seen } = dissect(RAW, [good.subarray(0, 70), good.length], [good.subarray(0, 60), good.length]);
    expect(seen.map((one) => one?.[1])).toEqual(['accepted', 'cut']);
  });

  it('in fragments is judged with the last of them, in any order', () => {
    const big = datagram(PEER, US, inVxlan(frame(packet('250.0.27.2', '250.0.28.2', { payload: 3000 }))), {
      id: 7,
    });
    const slab = new Uint8Array(20_000);
    slab.set(big);
    const ranges = new Uint32Array(20);
    const count = fragmentOuter(slab, 0, big.length, 1500, 7, 8000, 64, ranges);
    const fragments = Array.from({ length: count }, (_, i) => {
      const bytes = slab.slice(ranges[2 * i]!, ranges[2 * i]! + ranges[2 * i + 1]!);
      bytes[9] = 17;
      return [bytes] as const;
    });
    const { seen, summary } = dissect(RAW, ...fragments.reverse());
    expect(seen.map((one) => one?.[1])).toEqual(['fragment', 'fragment', 'accepted']);
    expect(summary).toMatchObject({ accepted: 1, fragments: 2, incomplete: 0 });
  });

  it('is none to another port, and IP-in-IP beside it is judged by its own fan', () => {
    const { seen } = dissect(
      RAW,
      [datagram(PEER, US, inVxlan(frame(inner)), {}, 4789)],
      [tunnelled(PEER, US, packet('99.0.27.2', '99.0.28.2'))],
      [tunnelled(PEER, US, inner)],
    );
    expect(seen).toEqual([
      undefined,
      ['decap', 'accepted', undefined],
      ['decap', 'dropped', 'source-forged'],
    ]);
  });

  it('is shown in layers', () => {
    const { layers } = dissect(RAW, [good], [sent(arp('250.0.27.2', '250.0.28.2'))]);
    expect(layers[0]?.slice(1, 5)).toEqual([
      '  UDP 40000 > 8472: length 142',
      '    VXLAN, vni 16384000',
      '      Ethernet 02:00:00:00:00:02 > 02:00:00:00:00:03: IPv4',
      expect.stringMatching(/^ {8}IP 250\.0\.27\.2 > 250\.0\.28\.2: UDP/),
    ]);
    expect(layers[1]?.at(-1)).toBe(
      '        ARP request: who has 250.0.28.2? 250.0.27.2 at 02:00:00:00:00:02 asks',
    );
  });
});

describe('a frame of the overlay', () => {
  const plain = (from: string, to: string) => frame(packet(from, to));
  it.each([
    ['for a peer', plain('250.0.28.2', '250.0.27.2'), ['encap', 'accepted', undefined]],
    ['for a neighbour', plain('250.0.28.2', '250.0.28.3'), undefined],
    ['for the network', plain('250.0.28.2', '250.0.0.9'), ['encap', 'dropped', 'underlay-network']],
    ['ARP for a peer', arp('250.0.28.2', '250.0.27.2'), ['encap', 'accepted', undefined]],
    ['ARP for a neighbour', arp('250.0.28.2', '250.0.28.3'), undefined],
    ['ARP of the underlay', arp('172.30.0.28', '172.30.0.27'), undefined],
    ['ARP that is cut short', arp('250.0.28.2', '250.0.27.2').subarray(0, 30), undefined],
    ['of a fan over IP-in-IP', plain('99.0.28.2', '99.0.27.2'), ['encap', 'accepted', undefined]],
  ])('%s', (_, bytes, expected) => {
    expect(dissect(ETHERNET, [bytes]).seen).toEqual([expected]);
  });

  it('for a group is no packet for a peer', () => {
    const bytes = plain('250.0.28.2', '250.0.27.2');
    bytes[0] = 1;
    expect(dissect(ETHERNET, [bytes]).seen).toEqual([['encap', 'dropped', 'group-frame']]);
    expect([...bytes.subarray(6, 12)]).toEqual(MAC);
  });
});
