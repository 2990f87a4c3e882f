/**
 * The programs of a fan over VXLAN, on real devices of the kernel: frames that containers send, and what the underlay
 * brings. A program may take a frame only where the walk sends it on, and then the frame is the same, byte for byte; all
 * others come to the daemon, whole, with what their outer headers said.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { formatAddress, parseAddress } from '../../src/addr/ipv4-address.js';
import { vxlanConfigOf } from '../../src/dataplane/kernel/kernel-path.js';
import { Counters } from '../../src/dataplane/tables/counters.js';
import { ForwardingTable } from '../../src/dataplane/tables/forwarding-table.js';
import { PeerTable } from '../../src/dataplane/tables/peer-table.js';
import { IcmpReplies } from '../../src/dataplane/walks/icmp-replies.js';
import { PathMtuTable } from '../../src/dataplane/walks/path-mtu.js';
import { VxlanDecap } from '../../src/dataplane/walks/vxlan-decap.js';
import { VxlanEncap } from '../../src/dataplane/walks/vxlan-encap.js';
import { Envelopes } from '../../src/io/devices/envelopes.js';
import { PacketBatch } from '../../src/io/packet-batch.js';
import { fanConfigWords } from '../../src/io/programs/fan-program.js';
import { foldSum, pseudoHeaderSum, sumWords } from '../../src/wire/checksum.js';
import { CE, decapEcn } from '../../src/wire/ecn.js';
import { applyTos } from '../../src/wire/ipip.js';
import {
  headerLen,
  PROTOCOL_ICMP,
  PROTOCOL_IPIP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  totalLength,
} from '../../src/wire/ipv4.js';
import { batchOf, bytesOf, fanSpec, packet } from '../unit/dataplane/packets.js';

const here = import.meta.dirname;
const BUILT = join(here, '../../native/build');
/** As vxlan-program-run.mjs makes them. */
const [TAP, UNDERLAY, VXLAN] = [10, 12, 14];
const [VNI, PORT] = [16_384_000, 8472];
const VXLAN_HEADER = `08000000${VNI.toString(16).padStart(6, '0')}00`;
const COOKIE = [0x01020304, 0x05060708, 0xfffefdfc];
const [FULL, OUTER, FRAME_OUTER] = [1450, 50, 36];
const OURS = '172.30.0.28';
const PEERS = ['172.30.0.27', '172.30.0.1', '172.30.1.2', '172.30.2.3'];
const TIMEOUT_MS = 120_000;

const table = new ForwardingTable([
  fanSpec('250.0.0.0/8', OURS, 16, {
    underlayMtu: FULL + OUTER,
    ttl: 64,
    dscp: 0,
    fragment: false,
    vxlan: { vni: VNI, port: PORT, layer2: false },
    kernelVxlan: { device: 'vx0', cookie: COOKIE },
  }),
]);
const fan = table.fans[0]!;

function configOf(direction: 'encap' | 'decap', direct: boolean): number[] {
  const at = { encapTo: VXLAN, decapTo: TAP, underlayIndex: UNDERLAY };
  return [
    ...fanConfigWords(vxlanConfigOf(fan, direction, at, [fan.address], { direct: direct ? 'all' : 'none' })),
  ];
}

interface CameOut {
  at: 'wire' | 'tap' | 'queue' | 'nowhere';
  frame: string;
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

interface Run {
  outgoing: CameOut[];
  incoming: CameOut[];
  counted: { packets: number; bytes: number }[];
  /** Frames that came by the VXLAN device. */
  byDevice: { in: number; out: number };
}

function run(frames: { outgoing?: Uint8Array[]; incoming?: Uint8Array[] }, direct: boolean): Run {
  const hex = (all: Uint8Array[] = []) => all.map(hexOf);
  const input = {
    encap: configOf('encap', direct),
    decap: configOf('decap', direct),
    at: PEERS,
    last: hexOf(lastFrame()),
    outgoing: hex(frames.outgoing),
    incoming: hex(frames.incoming),
  };
  const objects = ['vxlan_encap', 'vxlan_decap', 'vxlan_witness', 'vxlan_direct_decap'].map((name) =>
    join(BUILT, `${name}.bpf.o`),
  );
  const argv = [process.execPath, join(here, 'vxlan-program-run.mjs'), join(BUILT, 'Release/ufan.node')];
  const output = execFileSync('unshare', ['--net', ...argv, ...objects], {
    input: JSON.stringify(input),
    maxBuffer: 1 << 28,
  });
  return JSON.parse(output.toString()) as Run;
}

/** Most frames of most hosts are plain. */
function mostly<T, U>(usual: T, other: fc.Arbitrary<U>): fc.Arbitrary<T | U> {
  return fc.oneof({ weight: 6, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: other });
}

const [STATION, OTHER] = ['02fa00000001', '02fa00000002'];
const IPV4 = '0800';
const link = fc.record({
  to: mostly(STATION, fc.constantFrom('ffffffffffff', '01005e000001', '020000000009')),
  from: mostly(OTHER, fc.constantFrom('01fa00000002', '020000000007')),
  type: mostly(
    IPV4,
    fc.constantFrom('0806', '88cc', '81000005', '810000050800', '88a80005810000060800', '88b5'),
  ),
});
type Link = typeof link extends fc.Arbitrary<infer Value> ? Value : never;

const framed = ({ to, from, type }: Link, bytes: Uint8Array): Uint8Array =>
  Buffer.concat([Buffer.from(to + from + type, 'hex'), bytes]);
const isPlainLink = ({ to, from, type }: Link): boolean =>
  type === IPV4 && [to, from].every((mac) => (Number.parseInt(mac.slice(0, 2), 16) & 1) === 0);

const isIpv4 = ({ type }: Link): boolean => type === IPV4;

const SOURCES = ['250.0.28.2', '250.0.28.254', '250.0.28.0', '250.0.28.255', '250.0.27.2', '10.1.2.3'];
const TARGETS = ['250.0.27.2', '250.0.28.9', '250.0.0.1', '250.255.255.3', '250.1.2.3', '10.0.0.1'];
const payload = fc.oneof(fc.integer({ min: 4, max: 200 }), fc.integer({ min: 1425, max: 1435 }));
const ttl = mostly(64, fc.constantFrom(0, 1, 255));
const tos = fc.integer({ min: 0, max: 255 });
const protocol = mostly(17, fc.constantFrom(1, PROTOCOL_IPIP, PROTOCOL_TCP, 47));
const options = mostly({}, fc.constant({ options: new Uint8Array(4).fill(1) }));
const damage = mostly(undefined, fc.tuple(fc.integer({ min: 0, max: 19 }), fc.integer({ min: 1, max: 255 })));
const padding = mostly(0, fc.integer({ min: 1, max: 20 }));

function damaged(bytes: Uint8Array, how: [number, number] | undefined): Uint8Array {
  if (how) bytes[how[0]]! ^= how[1];
  return bytes;
}

type Soundness = 'right' | 'wrong' | 'none';
/** Of an inner packet: a datagram may also be shorter than its packet, RFC 9868. */
const soundness = mostly<Soundness | 'surplus', Soundness | 'surplus'>(
  'right',
  fc.constantFrom('wrong', 'none', 'surplus'),
);

/** Where the checksum of a protocol is, behind the IP header, and how long its own header is at least. */
const CHECKSUMS: Readonly<Record<number, { at: number; least: number }>> = {
  [PROTOCOL_ICMP]: { at: 2, least: 8 },
  [PROTOCOL_TCP]: { at: 16, least: 20 },
  [PROTOCOL_UDP]: { at: 6, least: 8 },
};

/** Sum of what the checksum is of; 0xffff where it is right. */
function payloadSum(packet: Uint8Array): number {
  const length = packet.length - 20;
  const view = new DataView(packet.buffer, packet.byteOffset);
  const pseudo =
    packet[9] === PROTOCOL_ICMP
      ? 0
      : pseudoHeaderSum(view.getUint32(12), view.getUint32(16), packet[9]!, length);
  return foldSum(pseudo + sumWords(packet, 20, length));
}

/** Gives a packet without options a checksum of its protocol, where that is known. */
function summed(packet: Uint8Array, how: Soundness | 'surplus'): Uint8Array {
  if (how === 'surplus' && packet[9] === PROTOCOL_UDP) return withSurplus(packet);
  const known = CHECKSUMS[packet[9]!];
  if (!known || packet[0] !== 0x45 || packet.length < 20 + known.least) return packet;
  const view = new DataView(packet.buffer, packet.byteOffset);
  if (packet[9] === PROTOCOL_UDP) view.setUint16(24, packet.length - 20);
  view.setUint16(20 + known.at, 0);
  const checksum = 0xffff ^ payloadSum(packet) || 0xffff;
  view.setUint16(20 + known.at, how === 'none' ? 0 : how === 'wrong' ? checksum ^ 0x1234 : checksum);
  return packet;
}

/** A datagram that ends before its packet does, its checksum right. */
function withSurplus(packet: Uint8Array): Uint8Array {
  const length = packet.length - 20;
  if (packet[0] !== 0x45 || length < 10) return packet;
  const view = new DataView(packet.buffer, packet.byteOffset);
  view.setUint16(24, length - 2);
  view.setUint16(26, 0);
  const pseudo = pseudoHeaderSum(view.getUint32(12), view.getUint32(16), PROTOCOL_UDP, length - 2);
  view.setUint16(26, 0xffff ^ foldSum(pseudo + sumWords(packet, 20, length - 2)) || 0xffff);
  return packet;
}

/** Whether an outer checksum can be told by the headers, and is then right; undefined where it can't. */
function toldRight(inner: Uint8Array): boolean | undefined {
  const known = CHECKSUMS[inner[9]!];
  if (!known || inner.length < 20 + known.least) return undefined;
  const isUdp = inner[9] === PROTOCOL_UDP;
  const length = (inner[24]! << 8) | inner[25]!;
  if (isUdp && length !== inner.length - 20) return undefined;
  return isUdp && (inner[26]! | inner[27]!) === 0 ? undefined : payloadSum(inner) === 0xffff;
}

const outgoing = fc
  .record({
    link,
    source: mostly('250.0.28.2', fc.constantFrom(...SOURCES)),
    target: mostly('250.0.27.2', fc.constantFrom(...TARGETS)),
    fields: fc.record({ payload, ttl, tos, protocol, dontFragment: fc.boolean() }),
    options,
    soundness,
    damage,
  })
  .map(({ link, source, target, fields, options, soundness, damage }) => ({
    link,
    inner: damaged(summed(packet(source, target, { ...fields, ...options }), soundness), damage),
  }));

/** Where the walk sends it as it is, "172.30.0.27", and with which TOS; undefined where it doesn't. */
function walkedOut(frame: Uint8Array): { exit: string; tos: number } | undefined {
  const counters = new Counters();
  const rx = batchOf([frame]);
  const tx = new PacketBatch(64, rx.slab);
  const walk = new VxlanEncap(
    counters,
    new PathMtuTable(),
    new IcmpReplies(counters),
    table,
    new PeerTable(),
  );
  walk.process(fan, rx, 0, tx, 1);
  return tx.count === 1 ? { exit: formatAddress(tx.address(0)), tos: tx.note(0) & 0xff } : undefined;
}

/** Without options, and nothing behind it. */
function isWhole(inner: Uint8Array): boolean {
  return headerLen(inner, 0) === 20 && totalLength(inner, 0) === inner.length;
}

const WAYS = [
  ['past the VXLAN device', true],
  ['by the VXLAN device', false],
] as const;

it.each(WAYS)(
  'encap, %s, takes what the walk sends as it is, and leaves all else to the daemon as it was',
  (_, direct) => {
    const sent = fc.sample(outgoing, { numRuns: 1000, seed: 22 });
    const frames = sent.map(({ link, inner }) => framed(link, inner));
    const { outgoing: out, counted, byDevice } = run({ outgoing: frames }, direct);
    let [taken, wrong] = [0, 0];
    let bytes = 0;
    for (const [i, { link, inner }] of sent.entries()) {
      // Of a packet that is marked for congestion the kernel would say outside that it can be.
      const isForKernel = isPlainLink(link) && isWhole(inner) && (inner[1]! & 3) !== CE;
      const walked = isForKernel ? walkedOut(frames[i]!) : undefined;
      const frame = Buffer.from(out[i]!.frame, 'hex');
      const at = walked === undefined ? 'queue' : 'wire';
      expect(`${out[i]!.at}: ${hexOf(frames[i]!)}`).toBe(`${at}: ${hexOf(frames[i]!)}`);
      const carried = walked === undefined ? frame : frame.subarray(14 + FRAME_OUTER);
      expect(hexOf(carried)).toBe(hexOf(frames[i]!));
      if (walked === undefined) continue;
      const outer = { source: OURS, target: walked.exit, ttl: 64, tos: walked.tos, port: PORT, vni: VNI };
      const isWrong = direct && toldRight(inner) === false;
      expect(outerOf(frame)).toEqual({ ...outer, checksum: isWrong ? 'wrong' : 'right' });
      wrong += Number(isWrong);
      taken++;
      bytes += inner.length;
    }
    expect(wrong).toBeLessThan(taken / 5);
    expect(taken).toBeGreaterThan(100);
    expect(sent.length - taken).toBeGreaterThan(100);
    expect(counted[0]).toEqual({ packets: taken, bytes });
    if (direct) expect(byDevice.out).toBeLessThan(taken / 2);
    else expect(byDevice.out).toBe(taken);
  },
  TIMEOUT_MS,
);

function outerOf(frame: Buffer) {
  const address = (at: number) => [...frame.subarray(at, at + 4)].join('.');
  const [ip, udp, vxlan] = [14, 34, 42];
  expect([frame[ip], frame[ip + 9], frame.readUInt32BE(vxlan)]).toEqual([0x45, 17, 0x08000000]);
  expect([frame.readUInt16BE(ip + 2), frame.readUInt16BE(udp + 4)]).toEqual([
    frame.length - 14,
    frame.length - 34,
  ]);
  expect(foldSum(sumWords(frame, ip, 20))).toBe(0xffff);
  // May be fragmented, as the kernel's own.
  expect(frame.readUInt16BE(ip + 6)).toBe(0);
  expect(frame.readUInt16BE(udp)).toBeGreaterThanOrEqual(32768);
  expect(frame.readUInt16BE(udp)).toBeLessThan(61000);
  return {
    checksum: checksumOf(frame.subarray(ip)),
    source: address(ip + 12),
    target: address(ip + 16),
    ttl: frame[ip + 8],
    tos: frame[ip + 1],
    port: frame.readUInt16BE(udp + 2),
    vni: frame.readUInt32BE(vxlan + 4) >>> 8,
  };
}

/** Of an outer packet, its UDP checksum. */
function checksumOf(packet: Uint8Array): Soundness {
  if ((packet[26]! | packet[27]!) === 0) return 'none';
  return payloadSum(packet) === 0xffff ? 'right' : 'wrong';
}

const PEER_SOURCES = ['250.0.27.254', '250.0.27.0', '250.0.27.255', '250.0.26.2', '250.0.28.2', '10.1.2.3'];
const PEER_HOSTS = ['172.30.0.26', '172.30.3.28', '172.30.0.1', '172.31.0.27'];

const incoming = fc
  .record({
    link,
    source: mostly('250.0.27.2', fc.constantFrom(...PEER_SOURCES)),
    target: mostly('250.0.28.2', fc.constantFrom(...SOURCES)),
    from: mostly('172.30.0.27', fc.constantFrom(...PEER_HOSTS)),
    to: mostly(OURS, fc.constant('10.9.9.1')),
    fields: fc.record({ payload, ttl, protocol }),
    tos,
    outerEcn: mostly(undefined, fc.integer({ min: 0, max: 3 })),
    vni: mostly(VNI, fc.constant(7)),
    flags: mostly(8, fc.constantFrom(0, 0x88)),
    soundness,
    outerSum: fc.constantFrom<Soundness>('none', 'right', 'right', 'wrong'),
    options,
    padding,
    damage,
  })
  .map(({ link, source, target, from, to, tos, outerEcn, vni, flags, fields, ...more }) => {
    const plain = summed(packet(source, target, { ...fields, tos, ...more.options }), more.soundness);
    const inner = damaged(Uint8Array.from([...plain, ...new Uint8Array(more.padding)]), more.damage);
    const frame = framed(link, inner);
    const outerTos = (tos & 0xfc) | (outerEcn ?? tos & 3);
    return { link, inner, frame, from, to, outerTos, vni, flags, outerSum: more.outerSum };
  });

function outerFrame(sent: Omit<Incoming, 'link' | 'inner'>): Uint8Array {
  const { frame, from, to, outerTos, vni, flags, outerSum } = sent;
  const udp = Buffer.alloc(16);
  udp.writeUInt16BE(40_000, 0);
  udp.writeUInt16BE(PORT, 2);
  udp.writeUInt16BE(16 + frame.length, 4);
  udp.writeUInt32BE(flags * 2 ** 24, 8);
  udp.writeUInt32BE(vni * 256, 12);
  const outer = packet(from, to, { payload: 16 + frame.length, tos: outerTos, ttl: 61 });
  outer.set([...udp, ...frame], 20);
  summed(outer, outerSum);
  return Buffer.concat([Buffer.from(`020000000001020000000002${IPV4}`, 'hex'), outer]);
}
type Incoming = typeof incoming extends fc.Arbitrary<infer Value> ? Value : never;

/** Of no protocol that anybody knows: it comes to the daemon. */
function lastFrame(): Uint8Array {
  const frame = Buffer.concat([Buffer.from(`${STATION}${OTHER}88b6`, 'hex'), Buffer.from('the last one')]);
  return outerFrame({
    frame,
    from: '172.30.0.27',
    to: OURS,
    outerTos: 0,
    vni: VNI,
    flags: 8,
    outerSum: 'none',
  });
}

/** What the walk lets come in, undefined where it doesn't; or that it is for the device to drop. */
function letIn(sent: Incoming): Uint8Array | 'dropped' | undefined {
  const { link, inner, frame, from, to, outerTos, vni, flags, outerSum } = sent;
  if (outerSum === 'wrong') return 'dropped';
  if (vni !== VNI || flags !== 8) return 'dropped';
  if ((outerTos & 3) === 3 && isIpv4(link) && (inner[1]! & 3) === 0) return 'dropped';
  if (!isPlainLink(link) || to !== OURS) return undefined;
  const header = Buffer.from(VXLAN_HEADER, 'hex');
  const rx = batchOf([Buffer.concat([header, frame])]);
  const out = new PacketBatch(64, rx.slab);
  rx.setAddress(0, parseAddress(from));
  rx.setTag(0, outerTos);
  const site = { address: fan.address, udpPort: PORT };
  new VxlanDecap(new Counters(), table, new PeerTable()).process(rx, site, [out]);
  const isTaken = out.count === 1 && isWhole(inner) && inner.length <= FULL;
  return isTaken ? bytesOf(out, 0) : undefined;
}

/** As the device has left the frame: the ECN of both headers in one. */
function withEcn({ frame, link, outerTos }: Incoming): Uint8Array {
  if (!isIpv4(link)) return frame;
  const ip = 14;
  const tos = decapEcn(outerTos, frame[ip + 1]!);
  const marked = frame.slice();
  applyTos(marked, ip, tos);
  return marked;
}

/** What Envelopes make of it: the outer source, TTL and TOS, and from the VXLAN header on. */
function opened(frame: Uint8Array) {
  const rx = batchOf([frame]);
  const out = new PacketBatch(64, rx.slab);
  new Envelopes(COOKIE, parseAddress(OURS)).takeOut(rx, out);
  expect([rx.count, out.count]).toEqual([0, 1]);
  const [source, tag] = [formatAddress(out.address(0)), out.tag(0)];
  return { source, ttl: tag >> 8, tos: tag & 0xff, bytes: hexOf(bytesOf(out, 0)) };
}

function asReceived(sent: Incoming) {
  const { from, to, outerTos } = sent;
  const bytes = VXLAN_HEADER + hexOf(withEcn(sent));
  return { source: to === OURS ? from : '0.0.0.0', ttl: 61, tos: outerTos, bytes };
}

it.each(WAYS)(
  'decap, %s, takes what the walk lets come in, and gives all else to the daemon with its outer headers',
  (_, direct) => {
    const sent = fc.sample(incoming, { numRuns: 2000, seed: 23 });
    const { incoming: out, counted, byDevice } = run({ incoming: sent.map(outerFrame) }, direct);
    const seen = { tap: 0, queue: 0, wire: 0, nowhere: 0 };
    let bytes = 0;
    for (const [i, each] of sent.entries()) {
      const expected = letIn(each);
      const frame = Buffer.from(out[i]!.frame, 'hex');
      const at = expected === 'dropped' ? 'nowhere' : expected === undefined ? 'queue' : 'tap';
      expect(`${out[i]!.at}: ${hexOf(each.frame)}`).toBe(`${at}: ${hexOf(each.frame)}`);
      seen[at]++;
      if (at === 'tap') {
        expect(hexOf(frame)).toBe(hexOf(expected as Uint8Array));
        bytes += each.inner.length;
      }
      if (at === 'queue') expect(opened(frame)).toEqual(asReceived(each));
    }
    expect(Math.min(seen.tap, seen.queue, seen.nowhere)).toBeGreaterThan(200);
    expect(counted[1]).toEqual({ packets: seen.tap, bytes });
    // Behind each comes one that is none for the programs.
    const taken = sent.length + seen.queue + seen.tap - byDevice.in;
    if (direct) expect(taken).toBeGreaterThan(seen.tap / 2);
    else expect(taken).toBe(0);
  },
  TIMEOUT_MS,
);
