/** Dissection against the dataplane's rules: each reason that a capture can show, in frames of every link type. */
import { describe, expect, it } from 'vitest';
import { parsePrefix } from '../../../src/addr/prefix.js';
import { Dissection } from '../../../src/trace/dissect.js';
import type { Frame } from '../../../src/trace/frame.js';
import { fragmentOuter } from '../../../src/wire/ipip.js';
import { packet, tunnelled } from '../dataplane/packets.js';

const FANS = [
  { overlay: parsePrefix('250.0.0.0/8'), underlay: parsePrefix('172.30.0.0/16') },
  { overlay: parsePrefix('99.0.0.0/8'), underlay: parsePrefix('10.1.0.0/16') },
];
const RAW = 101;
const US = '172.30.0.28';
const PEER = '172.30.0.27';
const inner = packet('250.0.27.2', '250.0.28.2');
const good = tunnelled(PEER, US, inner);

function frame(bytes: Uint8Array, more: Partial<Frame> = {}): Frame {
  return { number: 1, timeNs: 0n, linkType: RAW, bytes, length: bytes.length, ...more };
}

function verdicts(...frames: Frame[]) {
  const dissection = new Dissection(FANS);
  const all = frames.map((one) => dissection.add(one));
  return {
    seen: all.map((one) => one && [one.path, one.verdict, one.reason]),
    summary: dissection.summary,
    all,
  };
}

function broken(at: number, value: number): Uint8Array {
  const bytes = good.slice();
  bytes[at] = value;
  return bytes;
}

describe('a tunnel packet', () => {
  it.each([
    ['good', good, undefined],
    ['of another fan', tunnelled('10.1.0.5', '10.1.0.6', packet('99.0.5.2', '99.0.6.2')), undefined],
    ['for the peer', tunnelled(US, PEER, packet('250.0.28.2', '250.0.27.2')), undefined],
    ['for nobody', tunnelled(PEER, '192.0.2.1', inner), 'outer-destination'],
    ['for the broadcast address', tunnelled(PEER, '172.30.255.255', inner), 'outer-destination'],
    ['of two fans', tunnelled('10.1.0.5', US, inner), 'outer-source'],
    ['from itself', tunnelled(US, US, inner), 'outer-source'],
    ['forged', tunnelled('172.30.0.77', US, inner), 'source-forged'],
    ['of our slice', tunnelled(PEER, US, packet('250.0.28.9', '250.0.28.2')), 'source-in-slice'],
    ['of loopback', tunnelled(PEER, US, packet('127.0.0.1', '250.0.28.2')), 'source-martian'],
    [
      'for another slice',
      tunnelled(PEER, US, packet('250.0.27.2', '250.0.29.2')),
      'destination-outside-slice',
    ],
    ['nested', tunnelled(PEER, US, tunnelled('250.0.27.2', '250.0.28.2', inner)), 'nested-ipip'],
    ['congested', tunnelled(PEER, US, inner, { tos: 3 }), 'ecn'],
    ['of IPv6', broken(20, 0x60), 'not-ipv4'],
    ['with a wrong inner checksum', broken(31, 0x77), 'inner-checksum'],
    ['with a wrong outer checksum', broken(11, 0x77), 'outer-malformed'],
    ['with a bad inner IHL', broken(20, 0x44), 'inner-malformed'],
    ['with no TTL left', tunnelled(PEER, US, packet('250.0.27.2', '250.0.28.2', { ttl: 0 })), 'inner-ttl'],
  ])('%s', (_, bytes, reason) => {
    const { seen, summary } = verdicts(frame(bytes));
    expect(seen).toEqual([['decap', reason === undefined ? 'accepted' : 'dropped', reason]]);
    expect(summary.reasons).toEqual(reason === undefined ? {} : { [reason]: 1 });
  });

  it('is judged whole where the capture has its headers only', () => {
    const { seen } = verdicts(
      frame(good.subarray(0, 44), { length: good.length }),
      frame(good.subarray(0, 30), { length: good.length }),
    );
    expect(seen).toEqual([
      ['decap', 'accepted', undefined],
      ['decap', 'cut', undefined],
    ]);
  });

  it('in fragments is judged with the last of them, in any order', () => {
    const big = tunnelled(PEER, US, packet('250.0.27.2', '250.0.28.2', { payload: 3000 }), { id: 7 });
    const slab = new Uint8Array(20_000);
    slab.set(big);
    const ranges = new Uint32Array(20);
    const count = fragmentOuter(slab, 0, big.length, 1500, 7, 8000, 64, ranges);
    const fragments = Array.from({ length: count }, (_, i) =>
      frame(slab.slice(ranges[2 * i]!, ranges[2 * i]! + ranges[2 * i + 1]!)),
    );
    const { seen, summary } = verdicts(...fragments.reverse(), fragments[0]!);
    expect(seen).toEqual([
      ['decap', 'fragment', undefined],
      ['decap', 'fragment', undefined],
      ['decap', 'accepted', undefined],
      ['decap', 'fragment', undefined],
    ]);
    expect(summary).toMatchObject({ accepted: 1, fragments: 3, incomplete: 1 });
  });
});

describe('a plain packet', () => {
  it.each([
    ['for a peer', '250.0.28.2', '250.0.27.2', ['encap', 'accepted', undefined]],
    ['for a neighbour', '250.0.28.2', '250.0.28.3', undefined],
    ['of no overlay', '10.0.0.1', '250.0.28.3', undefined],
    ['for the network', '250.0.28.2', '250.0.0.9', ['encap', 'dropped', 'underlay-network']],
    ['for the broadcast', '250.0.28.2', '250.255.255.9', ['encap', 'dropped', 'underlay-broadcast']],
    ['of no host', '250.0.0.2', '250.0.27.2', ['encap', 'dropped', 'source-not-ours']],
  ])('%s', (_, from, to, expected) => {
    const { seen, summary } = verdicts(frame(packet(from, to)));
    expect(seen).toEqual([expected]);
    expect(summary.other).toBe(expected === undefined ? 1 : 0);
  });
});

describe('frames', () => {
  const ethernet = (...type: number[]) => Uint8Array.of(...new Array(12).fill(2), ...type, ...good);
  it.each([
    ['Ethernet', 1, ethernet(8, 0)],
    ['Ethernet with a tag', 1, ethernet(0x81, 0, 0, 5, 8, 0)],
    ['Ethernet with two tags', 1, ethernet(0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0)],
    ['raw IPv4', 228, good],
    ['Linux cooked', 113, Uint8Array.of(...new Array(14).fill(0), 8, 0, ...good)],
    ['Linux cooked v2', 276, Uint8Array.of(8, 0, ...new Array(18).fill(0), ...good)],
  ])('%s', (_, linkType, bytes) => {
    expect(verdicts(frame(bytes, { linkType })).seen).toEqual([['decap', 'accepted', undefined]]);
  });

  it('that carry something else are counted', () => {
    const { seen, summary } = verdicts(
      frame(ethernet(0x86, 0xdd), { linkType: 1 }),
      frame(good, { linkType: 147 }),
      frame(new Uint8Array(0)),
      frame(good.subarray(0, 12)),
    );
    expect(seen).toEqual([undefined, undefined, undefined, undefined]);
    expect(summary).toMatchObject({ frames: 4, other: 4, unknownLink: 1, accepted: 0 });
  });

  it('are shown in layers, with the comment of the capture', () => {
    const { all } = verdicts(frame(good, { comment: 'decap: delivered' }));
    expect(all[0]?.comment).toBe('decap: delivered');
    expect(all[0]?.layers[0]).toMatch(/^IP 172\.30\.0\.27 > 172\.30\.0\.28: IPIP/);
    expect(all[0]?.layers[1]).toMatch(/^ {2}IP 250\.0\.27\.2 > 250\.0\.28\.2: UDP/);
  });
});
