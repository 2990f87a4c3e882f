/**
 * Which I/O modes this kernel can do, found out by packets: a program of its own, run in a network namespace that ends
 * with it (io-probe-client.ts). Between the ends of a veth pair it sends a super-packet as packet mode does, and a
 * datagram into a TUN with the encap program of bpf mode; both have to come out at the other end as IP-in-IP. With the
 * decap program at that end, a datagram in IP-in-IP has to come in by the TUN.
 *
 * The same of a fan over VXLAN, in one: a datagram into its TAP has to come out in VXLAN at the other end, where a second fan
 * has its devices, and in by the TAP of that.
 *
 * Prints {"packet": …, "bpf": …, "decap": …, "vxlan": …}: null, or why it doesn't work.
 */
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseAddress } from '../../addr/ipv4-address.js';
import { parsePrefix } from '../../addr/prefix.js';
import { errorText } from '../../base/error.js';
import { createMapping } from '../../fan/mapping.js';
import type { TxDevice } from '../../io/devices/device.js';
import { PacketReceiver, PacketSender } from '../../io/devices/packet-socket.js';
import { Tap } from '../../io/devices/tap.js';
import { Tun } from '../../io/devices/tun.js';
import { VxlanDevice } from '../../io/devices/vxlan-device.js';
import { deviceIndex } from '../../io/netlink/device-index.js';
import { NextHops } from '../../io/netlink/next-hops.js';
import { GSO_TCPV4, HEADROOM, MAX_PACKET, NEEDS_CSUM, PacketBatch } from '../../io/packet-batch.js';
import { FanProgram } from '../../io/programs/fan-program.js';
import { foldSum, pseudoHeaderSum } from '../../wire/checksum.js';
import { OUTER_LEN, writeOuter } from '../../wire/ipip.js';
import { emitIpv4, PLAIN_HEADER, PROTOCOL_TCP, PROTOCOL_UDP } from '../../wire/ipv4.js';
import { UDP_HEADER_LEN, UDP_LENGTH } from '../../wire/udp.js';
import { decapConfigOf, encapConfigOf, vxlanConfigOf } from '../kernel/kernel-path.js';
import type { FanSpec } from '../tables/fan-spec.js';
import { type FanEntry, ForwardingTable } from '../tables/forwarding-table.js';
import type { IoProbe } from './client.js';

/** Addresses for documentation (RFC 5737); the namespace has no way out anyway. */
const US = '192.0.2.1';
const PEER = '192.0.2.2';
const UNDERLAY_LEN = 24;
const OVERLAY = '250.0.0.0/8';
const OUR_CONTAINER = '250.1.0.1';
/** Nobody has its address. */
const OTHER_CONTAINER = '250.1.0.77';
const PEER_CONTAINER = '250.2.0.9';
const DISCARD_PORT = 9;
const TEXT = 'probe';
const TUN = 'probetun';
const WAIT_MS = 1000;

const IP_LEN = 20;
const TCP_LEN = 20;
const TCP_CHECKSUM_AT = 16;
const SEGMENT = 1000;
const SEGMENTS = 3;

/** Of a veth pair the end that is set up last can send at once; the other drops what is sent until the kernel has looked at it. */
const SET_UP = `
link set lo up
link add probe0 address 02:00:00:00:00:01 type veth peer name probe1 address 02:00:00:00:00:02
address add ${US}/${UNDERLAY_LEN} dev probe0
link set probe1 up
link set probe0 up
neighbour add ${PEER} lladdr 02:00:00:00:00:02 nud permanent dev probe0
`;
const SET_UP_TUN = `
address add ${OUR_CONTAINER}/32 dev ${TUN}
link set ${TUN} mtu 1480 up
route add ${OVERLAY} dev ${TUN} src ${OUR_CONTAINER}
`;
const SET_UP_PEER_CONTAINER = `address add ${PEER_CONTAINER}/32 dev lo`;

const VXLAN = 'probevx';
const [VNI, VXLAN_PORT, VXLAN_MTU] = [16_384_000, 8472, 1450];
const VXLAN_TEST_PORT = 19;
const PEER_BY_VXLAN = '250.2.0.10';
const TAPS = [
  ['probetap0', '02:fa:00:00:00:01'],
  ['probetap1', '02:fa:00:00:00:02'],
] as const;
type Indices = [tap: number, other: number, underlay: number];
const OVER_VXLAN: Partial<FanSpec> = {
  vxlan: { vni: VNI, port: VXLAN_PORT, layer2: false },
  kernelVxlan: { device: VXLAN, cookie: [1, 2, 3] },
  ttl: 64,
  dscp: 0,
};
const SET_UP_VXLAN = `
${TAPS.map(([name, mac]) => `link set ${name} address ${mac} mtu ${VXLAN_MTU} up`).join('\n')}
link add ${VXLAN} type vxlan external vnifilter nolearning local ${US} dstport ${VXLAN_PORT}
link set ${VXLAN} mtu 65535 arp off
address replace ${OUR_CONTAINER}/32 dev ${TAPS[0][0]}
route add ${PEER_BY_VXLAN}/32 dev ${TAPS[0][0]} src ${OUR_CONTAINER}
neighbour add ${PEER_BY_VXLAN} lladdr ${TAPS[1][1]} nud permanent dev ${TAPS[0][0]}
rule add iif probe1 lookup 100
route add local ${PEER}/32 dev lo table 100
rule add iif ${TAPS[1][0]} lookup 100
route add local ${PEER_BY_VXLAN}/32 dev lo table 100
`;
const SETTINGS = '/proc/sys/net/ipv4/conf';
const FORWARDING = '/proc/sys/net/ipv4/ip_forward';

/** Nothing may go by the raw socket, where it would get through as well. */
const NO_WAY: TxDevice = {
  send(batch) {
    for (let i = 0; i < batch.count; i++) batch.setError(i, 1);
    return batch.count;
  },
};

const received = PacketBatch.create(16, 16 * (HEADROOM + MAX_PACKET + 4096));

function ip(lines: string): void {
  execFileSync('ip', ['-batch', '-'], { input: lines, stdio: ['pipe', 'ignore', 'pipe'] });
}

/** Bytes of the IP-in-IP packets that come in within the time, each without `headers`; ends when there are enough. */
async function arrived(receiver: PacketReceiver, headers: number, enough: number): Promise<number> {
  const deadline = Date.now() + WAIT_MS;
  for (let bytes = 0; ; ) {
    // Also once the time is over: it may have passed while others had the CPU.
    receiver.receive(received);
    for (let i = 0; i < received.count; i++) bytes += received.length(i) - headers;
    if (bytes >= enough || Date.now() >= deadline) return bytes;
    await sleep(1);
  }
}

/** A TCP super-packet in its outer header, its checksum left to whoever cuts it. */
function superPacket(): PacketBatch {
  const innerLen = IP_LEN + TCP_LEN + SEGMENTS * SEGMENT;
  const batch = PacketBatch.create(1, HEADROOM + OUTER_LEN + innerLen);
  const { slab } = batch;
  const tcp = HEADROOM + OUTER_LEN + IP_LEN;
  writeHeaders(batch, innerLen, PROTOCOL_TCP, OUR_CONTAINER);
  slab[tcp + 12] = (TCP_LEN / 4) << 4;
  const [from, to] = [parseAddress(OUR_CONTAINER), parseAddress(PEER_CONTAINER)];
  const sum = foldSum(pseudoHeaderSum(from, to, PROTOCOL_TCP, innerLen - IP_LEN));
  new DataView(slab.buffer).setUint16(tcp + TCP_CHECKSUM_AT, sum);
  batch.setVnet(0, NEEDS_CSUM, GSO_TCPV4, SEGMENT, OUTER_LEN + IP_LEN + TCP_LEN);
  batch.setCsum(0, OUTER_LEN + IP_LEN, TCP_CHECKSUM_AT);
  return batch;
}

/** Both headers of the one packet of `batch`, from a container of ours to the peer's. */
function writeHeaders(batch: PacketBatch, innerLen: number, protocol: number, source: string): void {
  const { slab } = batch;
  emitIpv4(slab, HEADROOM + OUTER_LEN, {
    ...PLAIN_HEADER,
    totalLength: innerLen,
    ttl: 64,
    protocol,
    source: parseAddress(source),
    destination: parseAddress(PEER_CONTAINER),
  });
  const [from, to] = [parseAddress(US) | 0, parseAddress(PEER) | 0];
  writeOuter(slab, HEADROOM, OUTER_LEN + innerLen, from, to, 0, 64, 0, true);
  batch.setRange(0, HEADROOM, OUTER_LEN + innerLen);
  batch.setAddress(0, parseAddress(PEER));
  batch.count = 1;
}

async function probePacket(receiver: PacketReceiver): Promise<void> {
  const hops = NextHops.open('probe0', parseAddress(US));
  const sender = wholeSender(hops);
  // Without the shim packet mode cuts super-packets itself, as raw mode does.
  if (sender === undefined) return;
  if (sender.send(superPacket()) > 0) throw new Error('a super-packet is refused');
  const expected = SEGMENTS * SEGMENT;
  const bytes = await arrived(receiver, OUTER_LEN + IP_LEN + TCP_LEN, expected);
  if (bytes !== expected) throw new Error(`of ${expected} bytes in a super-packet ${bytes} arrived`);
}

function wholeSender(hops: NextHops): PacketSender | undefined {
  try {
    return PacketSender.whole(hops, NO_WAY);
  } catch {
    return undefined;
  }
}

/** The fan of the host with this address. */
function fanOf(address: string, more: Partial<FanSpec> = {}): FanEntry {
  const spec: FanSpec = {
    id: '',
    mapping: createMapping(parsePrefix(OVERLAY), parseAddress(address), UNDERLAY_LEN),
    tun: TUN,
    bridge: '',
    underlayDevice: 'probe0',
    io: ['bpf'],
    ioNotes: [],
    decapRefused: undefined,
    vxlan: undefined,
    kernelVxlan: undefined,
    underlayMtu: 1500,
    minPathMtu: 576,
    counterBlock: 0,
    ttl: -1,
    dscp: -1,
    fragment: true,
    receiverGroup: 0,
    kernelFlows: { encap: -1, decap: -1 },
    kernelPeers: -1,
    pins: undefined,
    ...more,
  };
  return new ForwardingTable([spec]).fans[0]!;
}

async function probeBpf(receiver: PacketReceiver): Promise<void> {
  Tun.open(TUN, { mtu: 1480 });
  ip(SET_UP_TUN);
  const fan = fanOf(US);
  const program = FanProgram.encap(deviceIndex(TUN));
  program.configure(encapConfigOf(fan, deviceIndex('probe0'), 1500, [fan.address]));
  const socket = createSocket('udp4');
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.send(TEXT, DISCARD_PORT, PEER_CONTAINER, (error) => (error ? reject(error) : resolve()));
  });
  const bytes = await arrived(receiver, OUTER_LEN + IP_LEN + UDP_HEADER_LEN, TEXT.length);
  if (bytes !== TEXT.length) throw new Error('a datagram into the TUN did not come out as IP-in-IP');
}

/** A datagram in IP-in-IP has to come in by the TUN that probeBpf has set up. */
async function probeDecap(): Promise<void> {
  const fan = fanOf(PEER);
  const program = FanProgram.decap(deviceIndex('probe1'));
  program.configure(decapConfigOf(fan, deviceIndex(TUN), [fan.address]));
  ip(SET_UP_PEER_CONTAINER);
  const socket = createSocket('udp4');
  socket.bind(DISCARD_PORT, PEER_CONTAINER);
  await once(socket, 'listening');
  const message = once(socket, 'message', { signal: AbortSignal.timeout(WAIT_MS) });
  if (PacketSender.cutting(NextHops.open('probe0', parseAddress(US)), NO_WAY).send(datagram()) > 0) {
    throw new Error('a frame is refused');
  }
  await message.catch(() => {
    throw new Error('a datagram in IP-in-IP did not come in by the TUN');
  });
}

/** In its outer header, from a container that this namespace doesn't have; without checksum (RFC 768). */
function datagram(): PacketBatch {
  const innerLen = IP_LEN + UDP_HEADER_LEN + TEXT.length;
  const batch = PacketBatch.create(1, HEADROOM + OUTER_LEN + innerLen);
  const udp = HEADROOM + OUTER_LEN + IP_LEN;
  writeHeaders(batch, innerLen, PROTOCOL_UDP, OTHER_CONTAINER);
  const view = new DataView(batch.slab.buffer);
  view.setUint16(udp, DISCARD_PORT);
  view.setUint16(udp + 2, DISCARD_PORT);
  view.setUint16(udp + UDP_LENGTH, UDP_HEADER_LEN + TEXT.length);
  batch.slab.set(Buffer.from(TEXT), udp + UDP_HEADER_LEN);
  return batch;
}

/**
 * From a TAP by the VXLAN device and the veth pair to the same device, that two in one namespace may not have one VNI, and in
 * by a second TAP; then by the veth pair alone. The peer's addresses are local only for what comes in.
 */
async function probeVxlan(): Promise<void> {
  for (const [name] of TAPS) Tap.open(name, VXLAN_MTU, false);
  ip(SET_UP_VXLAN);
  execFileSync('bridge', ['vni', 'add', 'vni', `${VNI}`, 'dev', VXLAN], { stdio: 'ignore' });
  for (const device of ['probe1', TAPS[1][0]]) writeFileSync(`${SETTINGS}/${device}/accept_local`, '1');
  for (const device of ['all', 'probe1', TAPS[1][0]]) writeFileSync(`${SETTINGS}/${device}/rp_filter`, '0');
  const device = VxlanDevice.open(VXLAN);
  const encapTo = device.index;
  const [tap, decapTo, underlayIndex] = [TAPS[0][0], TAPS[1][0], 'probe0'].map(deviceIndex) as Indices;
  const at = { encapTo, decapTo, underlayIndex };
  const [us, peer] = [fanOf(US, OVER_VXLAN), fanOf(PEER, OVER_VXLAN)];
  const encap = FanProgram.vxlanEncap(tap);
  encap.configure(vxlanConfigOf(us, 'encap', at, [us.address]));
  FanProgram.vxlanWitness(underlayIndex, encap);
  const decap = FanProgram.vxlanDecap(encapTo);
  decap.configure(vxlanConfigOf(peer, 'decap', at, [peer.address]));
  FanProgram.vxlanDirectDecap(deviceIndex('probe1'), decap);
  const socket = createSocket('udp4');
  socket.bind(VXLAN_TEST_PORT);
  await once(socket, 'listening');
  const sender = createSocket('udp4');
  sender.bind(0, OUR_CONTAINER);
  await once(sender, 'listening');
  for (const way of ['by the VXLAN device', 'directly']) {
    const message = once(socket, 'message', { signal: AbortSignal.timeout(WAIT_MS) });
    sender.send(TEXT, VXLAN_TEST_PORT, PEER_BY_VXLAN);
    await message.catch(() => {
      throw new Error(`a datagram into the TAP did not come in by that of the peer, ${way}`);
    });
  }
}

/** null where it works. */
async function verdict(probe: () => Promise<void>): Promise<string | null> {
  try {
    await probe();
    return null;
  } catch (error) {
    return errorText(error);
  }
}

async function main(): Promise<void> {
  ip(SET_UP);
  writeFileSync(FORWARDING, '1');
  const receiver = PacketReceiver.open(deviceIndex('probe1'), parseAddress(PEER));
  const result: IoProbe = {
    packet: await verdict(() => probePacket(receiver)),
    bpf: await verdict(() => probeBpf(receiver)),
    decap: await verdict(probeDecap),
    vxlan: await verdict(probeVxlan),
  };
  process.stdout.write(JSON.stringify(result));
  process.exit();
}

void main();
