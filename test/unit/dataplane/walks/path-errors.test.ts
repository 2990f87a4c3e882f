import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../../../src/addr/ipv4-address.js';
import { Counters, HOST_BLOCK } from '../../../../src/dataplane/tables/counters.js';
import type { FanSpec } from '../../../../src/dataplane/tables/fan-spec.js';
import { ForwardingTable } from '../../../../src/dataplane/tables/forwarding-table.js';
import { IcmpOrigin } from '../../../../src/dataplane/walks/icmp-origin.js';
import { IcmpReplies } from '../../../../src/dataplane/walks/icmp-replies.js';
import { PathErrors } from '../../../../src/dataplane/walks/path-errors.js';
import { PathMtuTable } from '../../../../src/dataplane/walks/path-mtu.js';
import { SentSizes } from '../../../../src/dataplane/walks/sent-sizes.js';
import { checksum } from '../../../../src/wire/checksum.js';
import { decodeIpv4 } from '../../../../src/wire/ipv4.js';
import { batchOf, bytesOf, type Fields, fanSpec, nonZero, packet, tunnelled } from '../packets.js';

const US = '172.30.0.28';
const PEER = '172.30.0.27';
/** In the /12 of our address, not in its /16. */
const FAR = '172.20.0.9';
const ROUTER = '172.30.0.1';
const SOURCE_PORT = 40_000;
const [LO, ETH0, BRIDGE] = [1, 2, 7];
const FULL = 1480 - 20;
const inner = packet('250.0.28.2', '250.0.27.2', { dontFragment: true, payload: FULL });
const ours = (to = PEER, what = inner, fields: Fields = { dontFragment: true }) =>
  tunnelled(US, to, what, fields);

/** An ICMP error from the router about one of our packets, of which `quoted` bytes are quoted. */
function icmpError(
  type: number,
  code: number,
  mtu: number,
  about = ours(),
  quoted = Math.min(about.length, 548),
  from = ROUTER,
): Uint8Array {
  const icmp = new Uint8Array(8 + quoted);
  icmp.set([type, code, 0, 0, 0, 0, mtu >> 8, mtu & 255]);
  icmp.set(about.subarray(0, quoted), 8);
  const sum = checksum(icmp, 0, icmp.length);
  icmp.set([sum >> 8, sum & 255], 2);
  const bytes = packet(from, US, { protocol: 1, payload: icmp.length });
  bytes.set(icmp, 20);
  return bytes;
}

interface Circumstances {
  /** Index of the device that it comes in by. */
  device?: number;
  /** Bytes that the peer was sent of late. */
  sent?: number;
  /** The peer is behind a router. */
  routed?: boolean;
  spec?: Partial<FanSpec>;
  /** Fans behind that one. */
  more?: FanSpec[];
}

function rig({ device = ETH0, sent = 1500, routed = false, spec = {}, more = [] }: Circumstances = {}) {
  const counters = new Counters();
  const specs = [fanSpec('250.0.0.0/8', US, 16, spec), ...more];
  const [table, vxlanTable] = [false, true].map(
    (isVxlan) => new ForwardingTable(specs.filter(({ vxlan }) => (vxlan !== undefined) === isVxlan)),
  );
  const pathMtu = new PathMtuTable();
  const replies = new IcmpReplies(counters);
  const sizes = new SentSizes();
  const peer = parseAddress(PEER) | 0;
  if (sent > 0) for (const to of [peer, parseAddress(FAR) | 0]) sizes.note(to, sent);
  sizes.replacePorts([], [SOURCE_PORT]);
  const origin = new IcmpOrigin({ indexOf: () => ETH0, isRouted: () => routed });
  const largestSent = (_: number, to: number) => sizes.largest(to);
  const isSentFrom = (_: unknown, port: number) => sizes.isSentFrom(port);
  const parts = { counters, pathMtu, replies, origin, largestSent, isSentFrom, speaks: true };
  const errors = new PathErrors(parts, table!, vxlanTable!);
  const receive = (bytes: Uint8Array, nowMs = 1) => {
    const rx = batchOf([bytes]);
    rx.setTag(0, device);
    return errors.process(rx, 0, nowMs);
  };
  return {
    receive,
    replies: replies.batch,
    mtu: () => pathMtu.lookup(peer, 1500, 1),
    counted: (block = 1) => nonZero(counters.read(block)),
    host: () => nonZero(counters.read(HOST_BLOCK)),
  };
}

const VXLAN = { vni: 16_384_000, port: 8472, layer2: false };
const [STATION, OTHER] = [Buffer.from('020000000002', 'hex'), Buffer.from('020000000003', 'hex')];

interface Outer {
  to?: string;
  port?: number;
  vni?: number;
  flags?: number;
  type?: number;
  station?: Buffer;
  sourcePort?: number;
  df?: boolean;
  /** Of UDP, more than there is. */
  longer?: number;
}

/** A packet in VXLAN as a fan of ours sends it, but for what is said. */
function overVxlan(
  what = packet('250.0.28.2', '250.0.27.2', { dontFragment: true, payload: 1450 - 20 }),
  {
    to = PEER,
    port = 8472,
    vni = VXLAN.vni,
    flags = 8,
    type = 0x0800,
    station = STATION,
    sourcePort = SOURCE_PORT,
    df = false,
    longer = 0,
  }: Outer = {},
): Uint8Array {
  const headers = Buffer.alloc(8 + 8 + 14);
  headers.writeUInt16BE(sourcePort, 0);
  headers.writeUInt16BE(port, 2);
  headers.writeUInt16BE(headers.length + what.length + longer, 4);
  headers.writeUInt32BE(flags * 2 ** 24, 8);
  headers.writeUInt32BE(vni * 256, 12);
  headers.set([...OTHER, ...station], 16);
  headers.writeUInt16BE(type, 28);
  const outer = packet(US, to, { payload: headers.length + what.length, dontFragment: df });
  outer.set([...headers, ...what], 20);
  return outer;
}

function receive(bytes: Uint8Array, circumstances: Circumstances = {}) {
  const { receive: take, replies, mtu, counted, host } = rig(circumstances);
  const fan = take(bytes);
  return { fan, replies, mtu: mtu(), counters: counted(), host: host() };
}

describe('an ICMP error about our packet', () => {
  it('"too big" is learnt and relayed with MTU − 20', () => {
    const { replies, mtu, counters, fan } = receive(icmpError(3, 4, 1400));
    expect(mtu).toBe(1400);
    expect(fan).toBeDefined();
    const reply = bytesOf(replies, 0);
    expect(decodeIpv4(reply, 0)).toMatchObject({
      source: parseAddress('250.0.27.2'),
      destination: parseAddress('250.0.28.2'),
    });
    expect([reply[20], reply[21], (reply[26]! << 8) | reply[27]!]).toEqual([3, 4, 1380]);
    expect(counters).toEqual({ 'icmp-rx-packets': 1, 'icmp-tx-packets': 1 });
  });

  it.each([0, 8, 19, 27])('"too big" with %i inner bytes quoted is only learnt', (quoted) => {
    const { replies, mtu } = receive(icmpError(3, 4, 1400, undefined, 20 + quoted));
    expect(mtu).toBe(1400);
    expect(replies.count).toBe(0);
  });

  it.each([
    [11, 0],
    [3, 0],
    [3, 1],
    [3, 2],
  ])('%i/%i becomes host unreachable', (type, code) => {
    const { replies } = receive(icmpError(type, code, 0));
    expect(Array.from(bytesOf(replies, 0).slice(20, 22))).toEqual([3, 1]);
  });

  it.each([
    [3, 3],
    [3, 5],
    [5, 1],
    [4, 0],
    [12, 0],
  ])('%i/%i is counted and not relayed', (type, code) => {
    const { replies, counters } = receive(icmpError(type, code, 0));
    expect(replies.count).toBe(0);
    expect(counters).toEqual({ 'icmp-rx-packets': 1 });
  });

  it('about another protocol is none of our business', () => {
    const { host, counters } = receive(icmpError(3, 1, 0, packet(US, PEER)));
    expect({ ...host, ...counters }).toEqual({});
  });
});

describe('a quote', () => {
  const from = (source: string) => packet(source, '250.0.27.2', { payload: FULL });
  const to = (destination: string) => packet('250.0.28.2', destination, { payload: FULL });
  const lying = (at: number, value: number) => {
    const bytes = ours();
    bytes[at] = value;
    return bytes;
  };
  const forged: [string, Uint8Array, number?][] = [
    ['another source', tunnelled('172.30.0.99', PEER, inner, { dontFragment: true })],
    ['a peer that the inner destination does not map to', ours('172.30.0.26')],
    ['ourselves as the peer', ours(US)],
    ['the broadcast address as the peer', ours('172.30.255.255'), 28],
    ['a peer outside the underlay', ours('8.8.8.8'), 28],
    ['an inner source that is not ours', ours(PEER, from('250.0.26.2'))],
    ['an inner source that is not ours, and no destination', ours(PEER, from('250.0.26.2')), 20 + 16],
    ['an inner destination outside the overlay', ours(PEER, to('8.8.8.8'))],
    ['an inner packet that is not IPv4', lying(20, 0x65), 28],
    ['an inner length that is not what fills the outer one', lying(22, 1), 28],
    ['options, which we never send', lying(0, 0x46)],
  ];
  it.each(forged)('with %s is refused', (_, about, quoted) => {
    const { replies, mtu, host } = receive(icmpError(3, 4, 1400, about, quoted));
    expect(mtu).toBe(1500);
    expect(replies.count).toBe(0);
    expect(host).toEqual({ 'drop-icmp-invalid-packets': 1 });
  });

  it.each<[string, Uint8Array]>([
    ['without DF', icmpError(3, 4, 1400, ours(PEER, inner, {}))],
    ['that fits the path', icmpError(3, 4, 1400, ours(PEER, packet('250.0.28.2', '250.0.27.2')))],
  ])('%s is of no packet that was too big', (_, bytes) => {
    const { mtu, counters } = receive(bytes);
    expect([mtu, counters]).toEqual([1500, { 'drop-icmp-implausible-packets': 1 }]);
  });
});

describe('an ICMP error about a packet of VXLAN', () => {
  const ofFan = { spec: { vxlan: VXLAN } };

  it('"too big" is learnt and relayed with MTU − 50, in a frame to who sent it', () => {
    const { replies, mtu, counters } = receive(icmpError(3, 4, 1400, overVxlan()), ofFan);
    expect(mtu).toBe(1400);
    expect(counters).toEqual({ 'icmp-rx-packets': 1, 'icmp-tx-packets': 1 });
    const reply = bytesOf(replies, 0);
    expect([...reply.subarray(0, 14)]).toEqual([...STATION, ...OTHER, 8, 0]);
    expect(decodeIpv4(reply, 14)).toMatchObject({
      source: parseAddress('250.0.27.2'),
      destination: parseAddress('250.0.28.2'),
    });
    expect([reply[34], reply[35], (reply[40]! << 8) | reply[41]!]).toEqual([3, 4, 1350]);
  });

  it.each([8, 15, 16, 29, 30, 49, 57])(
    '"too big" with %i bytes behind the outer header is only learnt',
    (quoted) => {
      const { replies, mtu } = receive(icmpError(3, 4, 1400, overVxlan(), 20 + quoted), ofFan);
      expect([mtu, replies.count]).toEqual([1400, 0]);
    },
  );

  it('also of a first fragment', () => {
    const fragment = overVxlan(undefined, { longer: 100 });
    fragment[6] = 0x20;
    fragment.set([0, 0], 10);
    const sum = checksum(fragment, 0, 20);
    fragment.set([sum >> 8, sum & 255], 10);
    fragment.set([(1550 >> 8) & 255, 1550 & 255], 20 + 30 + 2);
    expect(receive(icmpError(3, 4, 1400, fragment), ofFan).mtu).toBe(1400);
  });

  it.each([
    ['also of a frame that is padded to 60 bytes', 46, 'icmp-rx-packets'],
    ['not of one with more behind its packet', 47, 'drop-icmp-invalid-packets'],
  ])('%s', (_, filled, counted) => {
    const short = packet('250.0.28.2', '250.0.27.2', { payload: 20 });
    const padded = Buffer.concat([short, Buffer.alloc(filled - short.length)]);
    const { counters, host } = receive(icmpError(3, 1, 0, overVxlan(padded)), ofFan);
    expect({ ...counters, ...host }).toHaveProperty(counted, 1);
  });

  it.each([
    [11, 0],
    [3, 0],
    [3, 1],
    [3, 2],
    [3, 3],
  ])('%i/%i becomes host unreachable', (type, code) => {
    const { replies } = receive(icmpError(type, code, 0, overVxlan()), ofFan);
    expect(Array.from(bytesOf(replies, 0).slice(34, 36))).toEqual([3, 1]);
  });

  it('about ARP nobody is told', () => {
    const arp = overVxlan(new Uint8Array(28), { type: 0x0806 });
    const { replies, counters } = receive(icmpError(3, 1, 0, arp), ofFan);
    expect([replies.count, counters]).toEqual([0, { 'icmp-rx-packets': 1 }]);
  });

  it.each<[string, Uint8Array, number?]>([
    ['another port', overVxlan(undefined, { port: 4789 })],
    ['too few bytes to have one', overVxlan(), 27],
  ])('to %s is none of our business', (_, about, quoted) => {
    const { host, counters } = receive(icmpError(3, 4, 1400, about, quoted), ofFan);
    expect({ ...host, ...counters }).toEqual({});
  });

  const from = (source: string) => packet(source, '250.0.27.2', { payload: 1430 });
  const to = (target: string) => packet('250.0.28.2', target, { payload: 1430 });
  it.each<[string, Uint8Array, number?]>([
    ['another VNI', overVxlan(undefined, { vni: 7 })],
    ['flags that we never set', overVxlan(undefined, { flags: 0x88 })],
    ['a length that is not what fills the outer one', overVxlan(undefined, { longer: 1 }), 28],
    ['a frame of another kind', overVxlan(undefined, { type: 0x86dd })],
    ['a frame from a group', overVxlan(undefined, { station: Buffer.from('010000000002', 'hex') })],
    ['a peer that the inner destination does not map to', overVxlan(undefined, { to: '172.30.0.26' })],
    ['ourselves as the peer', overVxlan(undefined, { to: US }), 28],
    ['an inner source that is not ours', overVxlan(from('250.0.26.2'))],
    ['an inner source that is not ours, and no destination', overVxlan(from('250.0.26.2')), 20 + 30 + 16],
    ['an inner destination outside the overlay', overVxlan(to('8.8.8.8'))],
  ])('with %s is refused', (_, about, quoted) => {
    const { replies, mtu, host } = receive(icmpError(3, 4, 1400, about, quoted), ofFan);
    expect([mtu, replies.count, host]).toEqual([1500, 0, { 'drop-icmp-invalid-packets': 1 }]);
  });

  it.each<[string, number, Circumstances]>([
    ['below 576', 575, {}],
    ['of what is longer than the peer was sent', 1400, { sent: 1400 }],
    ['of what is longer than the packet quoted', 1500, { sent: 1600 }],
  ])('%s is not believed', (_, announced, circumstances) => {
    const { mtu, counters } = receive(icmpError(3, 4, announced, overVxlan()), {
      ...circumstances,
      ...ofFan,
    });
    expect([mtu, counters]).toEqual([1500, { 'drop-icmp-implausible-packets': 1 }]);
  });

  it.each<[string, Outer]>([
    ['with DF, which ours never have', { df: true }],
    ['from another port than ours', { sourcePort: SOURCE_PORT + 1 }],
  ])('of a packet %s, it is not believed, however short the quote', (_, outer) => {
    for (const quoted of [28, undefined]) {
      for (const [type, code, announced] of [[3, 4, 1400] as const, [3, 1, 0] as const]) {
        const error = icmpError(type, code, announced, overVxlan(undefined, outer), quoted);
        const { mtu, replies, counters } = receive(error, ofFan);
        expect([mtu, replies.count, counters]).toEqual([1500, 0, { 'drop-icmp-implausible-packets': 1 }]);
      }
    }
  });

  it('from a stranger it is not believed', () => {
    const { mtu, counters } = receive(icmpError(3, 4, 1400, overVxlan(), undefined, '8.8.8.8'), ofFan);
    expect([mtu, counters]).toEqual([1500, { 'drop-icmp-source-packets': 1 }]);
  });
});

describe('a quote that ends before the inner addresses', () => {
  it.each([
    ['IP-in-IP', undefined, ours(FAR)],
    ['VXLAN', VXLAN, overVxlan(undefined, { to: FAR })],
  ])('is of the fan that has its peer, of several at our address: %s', (_, vxlan, about) => {
    const terms = vxlan && { ...vxlan, vni: 7 };
    const wider = fanSpec('240.0.0.0/8', US, 12, { vxlan: terms, counterBlock: 2, minPathMtu: 1000 });
    const fans = rig({ spec: { vxlan }, more: [wider] });
    fans.receive(icmpError(3, 4, 999, about, 28));
    fans.receive(icmpError(3, 4, 1000, about, 28));
    expect(fans.counted(2)).toEqual({ 'drop-icmp-implausible-packets': 1, 'icmp-rx-packets': 1 });
    expect({ ...fans.counted(1), ...fans.host() }).toEqual({});
  });
});

describe('a path MTU', () => {
  it.each([0, 67, 68, 575])('of %i is not believed', (announced) => {
    const { replies, mtu, counters } = receive(icmpError(3, 4, announced));
    expect([mtu, replies.count, counters]).toEqual([1500, 0, { 'drop-icmp-implausible-packets': 1 }]);
  });

  it.each([
    [576, 576, 576],
    [300, 301, 301],
    [300, 299, 1500],
  ])('is believed down to min-path-mtu: %i, told %i', (minPathMtu, announced, learnt) => {
    expect(receive(icmpError(3, 4, announced), { spec: { minPathMtu } }).mtu).toBe(learnt);
  });

  it.each([
    [0, 1400],
    [1400, 1400],
    [900, 1000],
  ])('is not believed where the peer was sent %i bytes of late, told %i', (sent, announced) => {
    const { mtu, replies, counters } = receive(icmpError(3, 4, announced), { sent });
    expect([mtu, replies.count, counters]).toEqual([1500, 0, { 'drop-icmp-implausible-packets': 1 }]);
  });

  it('any other error is not believed of a peer that was sent nothing', () => {
    const { replies, counters } = receive(icmpError(3, 1, 0), { sent: 0 });
    expect([replies.count, counters]).toEqual([0, { 'drop-icmp-implausible-packets': 1 }]);
  });
});

describe('an ICMP error comes', () => {
  const tooBigFrom = (from: string) => icmpError(3, 4, 1400, undefined, undefined, from);

  it.each<[string, string, Circumstances, number]>([
    ['the peer itself', PEER, {}, 1400],
    ['a host of the underlay', '172.30.7.7', {}, 1400],
    ['a router far away, to a peer behind a router', '8.8.8.8', { routed: true }, 1400],
    ['a stranger, to a peer on the link', '8.8.8.8', {}, 1500],
    ['a container', '250.0.28.9', { routed: true }, 1500],
    ['a container of another host', '250.0.27.9', { routed: true }, 1500],
    ['ourselves', US, {}, 1500],
    ['ourselves, by lo', US, { device: LO }, 1500],
    ['loopback', '127.0.0.1', { routed: true }, 1500],
    ['a group', '224.0.0.5', { routed: true }, 1500],
    ['no address', '0.0.0.0', { routed: true }, 1500],
    ['the broadcast address', '172.30.255.255', { routed: true }, 1500],
    ['the router, by the bridge', ROUTER, { device: BRIDGE }, 1500],
  ])('from %s', (_, from, circumstances, learnt) => {
    const { mtu, counters } = receive(tooBigFrom(from), circumstances);
    const expected =
      learnt === 1500 ? { 'drop-icmp-source-packets': 1 } : { 'icmp-rx-packets': 1, 'icmp-tx-packets': 1 };
    expect([mtu, counters]).toEqual([learnt, expected]);
  });

  it('from our own kernel where it found no neighbour', () => {
    const { replies } = receive(icmpError(3, 1, 0, undefined, undefined, US), { device: LO });
    expect(replies.count).toBe(1);
  });
});

describe('rates', () => {
  const drain = (fan: ReturnType<typeof rig>) => {
    fan.replies.count = 0;
  };

  it('one sender of errors does not use up what is there for the others', () => {
    const fan = rig();
    for (let i = 0; i < 2000; i++) {
      fan.receive(icmpError(3, 4, 1400));
      drain(fan);
    }
    expect(fan.counted()['icmp-tx-packets']).toBe(50);
    expect(fan.counted()['drop-icmp-rate-packets']).toBe(1950);
    const about = ours(PEER, packet('250.0.28.3', '250.0.27.2', { dontFragment: true, payload: FULL }));
    expect(fan.receive(icmpError(3, 4, 1400, about, undefined, '172.30.0.2'))).toBeDefined();
  });

  it('nor does one container', () => {
    const fan = rig();
    for (let i = 0; i < 200; i++) {
      fan.receive(icmpError(3, 4, 1400, undefined, undefined, `172.30.1.${i}`));
      drain(fan);
    }
    expect(fan.counted()['icmp-tx-packets']).toBe(50);
    const about = ours(PEER, packet('250.0.28.3', '250.0.27.2', { dontFragment: true, payload: FULL }));
    expect(fan.receive(icmpError(3, 4, 1400, about, undefined, '172.30.0.2'))).toBeDefined();
  });
});
