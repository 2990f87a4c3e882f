/**
 * Packets as text for people, after tcpdump: one line for each layer, each layer indented under its carrier.
 *
 *     IP 172.30.0.28 > 172.30.0.27: IPIP, tos 0x0, ttl 63, id 0, DF, length 104
 *       IP 250.0.28.2 > 250.0.27.2: ICMP, tos 0x0, ttl 63, id 51966, length 84
 *         ICMP echo request, id 7, seq 1, length 64
 *
 * Of VXLAN, and of Ethernet frames, likewise:
 *
 *     IP 172.30.0.28 > 172.30.0.27: UDP, tos 0x0, ttl 64, id 0, length 134
 *       UDP 40123 > 8472: length 106
 *         VXLAN, vni 16384000
 *           Ethernet 02:fa:ac:1e:00:1c > 02:fa:ac:1e:00:1b: IPv4
 *             IP 250.0.28.2 > 250.0.27.2: ICMP, tos 0x0, ttl 63, id 51966, length 84
 *
 * For the demo, traces and error reports; takes any bytes, never throws, and says what is wrong with them.
 */
import { formatAddress } from '../addr/ipv4-address.js';
import { FRAGMENTATION_NEEDED, ICMP_HEADER_LEN, ICMP_UNREACHABLE, isErrorType } from './icmpv4.js';
import {
  dontFragment,
  fragmentOffset,
  headerChecksumValid,
  headerLen,
  id,
  destination as ipDestination,
  protocol as ipProtocol,
  source as ipSource,
  MIN_HEADER_LEN,
  moreFragments,
  PROTOCOL_ICMP,
  PROTOCOL_IPIP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  read16,
  read32,
  tos,
  totalLength,
  ttl,
  version,
} from './ipv4.js';
import { UDP_HEADER_LEN, UDP_LENGTH, UDP_SOURCE_PORT, UDP_TARGET_PORT } from './udp.js';
import { ARP_LEN, ETHERNET_LEN, ETHERTYPE_ARP, ETHERTYPE_IPV4, etherType, VXLAN_LEN } from './vxlan.js';

/** Layers that are shown: outer, UDP, VXLAN, Ethernet, inner, ICMP, quoted inner, its transport, and one to spare. */
const DEEPEST = 9;

const PROTOCOL_NAMES: Readonly<Record<number, string>> = {
  [PROTOCOL_ICMP]: 'ICMP',
  [PROTOCOL_IPIP]: 'IPIP',
  [PROTOCOL_TCP]: 'TCP',
  [PROTOCOL_UDP]: 'UDP',
};

const ETHERTYPE_NAMES: Readonly<Record<number, string>> = {
  [ETHERTYPE_IPV4]: 'IPv4',
  [ETHERTYPE_ARP]: 'ARP',
  33024: 'VLAN tag',
  34525: 'IPv6',
};

const UNREACHABLE_NAMES = ['net', 'host', 'protocol', 'port'];

const ICMP_NAMES: Readonly<Record<number, string>> = {
  0: 'echo reply',
  4: 'source quench',
  5: 'redirect',
  8: 'echo request',
  11: 'time exceeded',
  12: 'parameter problem',
};

/** tcpdump's letters for the TCP flags, from FIN (bit 0) up. */
const TCP_FLAGS = 'FSRP.UEW';
const TCP_HEADER_LEN = 20;

/** UDP ports whose datagrams are VXLAN. */
type Ports = readonly number[];

/** The IPv4 packet of `length` bytes at `offset`, as lines joined by newlines. */
export function prettyPacket(bytes: Uint8Array, offset: number, length: number, vxlan: Ports = []): string {
  return joined(ipLayers(bytes, offset, thereOf(bytes, offset, length), DEEPEST, vxlan));
}

/** The Ethernet frame of `length` bytes at `offset`. */
export function prettyFrame(bytes: Uint8Array, offset: number, length: number): string {
  return joined(frameLayers(bytes, offset, thereOf(bytes, offset, length), DEEPEST));
}

function thereOf(bytes: Uint8Array, offset: number, length: number): number {
  return Math.max(0, Math.min(length, bytes.length - offset));
}

function joined(layers: readonly string[]): string {
  return layers.map((line, depth) => '  '.repeat(depth) + line).join('\n');
}

/** The line of the IPv4 packet at `offset` and those of what it carries, at most `depth`. */
function ipLayers(
  bytes: Uint8Array,
  offset: number,
  there: number,
  depth: number,
  vxlan: Ports = [],
): string[] {
  if (depth === 0) return [];
  if (there < 1) return ['nothing'];
  if (version(bytes, offset) !== 4) return [`IP version ${version(bytes, offset)}, length ${there}`];
  if (there < MIN_HEADER_LEN) return [`IP [cut short at ${there} bytes]`];
  const header = headerLen(bytes, offset);
  const line = ipLine(bytes, offset, there);
  if (header < MIN_HEADER_LEN || header > there || fragmentOffset(bytes, offset) !== 0) return [line];
  const end = Math.min(there, Math.max(header, totalLength(bytes, offset)));
  const protocol = ipProtocol(bytes, offset);
  return [line, ...payloadLayers(bytes, offset + header, end - header, protocol, depth - 1, vxlan)];
}

function ipLine(bytes: Uint8Array, offset: number, there: number): string {
  const protocol = ipProtocol(bytes, offset);
  const header = headerLen(bytes, offset);
  const total = totalLength(bytes, offset);
  const fields = [
    PROTOCOL_NAMES[protocol] ?? `protocol ${protocol}`,
    `tos 0x${tos(bytes, offset).toString(16)}`,
    `ttl ${ttl(bytes, offset)}`,
    `id ${id(bytes, offset)}`,
  ];
  if (dontFragment(bytes, offset)) fields.push('DF');
  if (moreFragments(bytes, offset)) fields.push('MF');
  if (fragmentOffset(bytes, offset) !== 0) fields.push(`fragment at ${fragmentOffset(bytes, offset)}`);
  if (header > MIN_HEADER_LEN) fields.push(`options ${header - MIN_HEADER_LEN}`);
  fields.push(`length ${total}`);
  if (header < MIN_HEADER_LEN) fields.push(`[bad IHL ${header >> 2}]`);
  else if (header > there) fields.push(`[cut short at ${there} bytes]`);
  else if (!headerChecksumValid(bytes, offset)) fields.push('[bad checksum]');
  if (total < header) fields.push('[bad length]');
  else if (total > there && header <= there) fields.push(`[${there} bytes there]`);
  const from = formatAddress(ipSource(bytes, offset));
  return `IP ${from} > ${formatAddress(ipDestination(bytes, offset))}: ${fields.join(', ')}`;
}

function payloadLayers(
  bytes: Uint8Array,
  at: number,
  len: number,
  protocol: number,
  depth: number,
  vxlan: Ports,
): string[] {
  switch (protocol) {
    case PROTOCOL_IPIP:
      return ipLayers(bytes, at, len, depth);
    case PROTOCOL_ICMP:
      return icmpLayers(bytes, at, len, depth, vxlan);
    case PROTOCOL_TCP:
      return [len < TCP_HEADER_LEN ? `TCP [cut short at ${len} bytes]` : tcpLine(bytes, at, len)];
    case PROTOCOL_UDP:
      return udpLayers(bytes, at, len, depth, vxlan);
    default:
      return [];
  }
}

function tcpLine(bytes: Uint8Array, at: number, len: number): string {
  const bits = bytes[at + 13]!;
  const flags = [...TCP_FLAGS].filter((_, bit) => (bits >> bit) & 1).join('') || 'none';
  const ack = bits & 16 ? `, ack ${read32(bytes, at + 8)}` : '';
  const data = len - (bytes[at + 12]! >> 4) * 4;
  const size = data < 0 ? '[bad data offset]' : `length ${data}`;
  return (
    `TCP ${read16(bytes, at)} > ${read16(bytes, at + 2)}: Flags [${flags}], ` +
    `seq ${read32(bytes, at + 4)}${ack}, win ${read16(bytes, at + 14)}, ${size}`
  );
}

function udpLayers(bytes: Uint8Array, at: number, len: number, depth: number, vxlan: Ports): string[] {
  if (len < UDP_HEADER_LEN) return [`UDP [cut short at ${len} bytes]`];
  const line = udpLine(bytes, at, len);
  if (!vxlan.includes(read16(bytes, at + UDP_TARGET_PORT)) || depth < 2) return [line];
  return [line, ...vxlanLayers(bytes, at + UDP_HEADER_LEN, len - UDP_HEADER_LEN, depth - 1)];
}

function vxlanLayers(bytes: Uint8Array, at: number, len: number, depth: number): string[] {
  if (len < VXLAN_LEN) return [`VXLAN [cut short at ${len} bytes]`];
  const vni = `VXLAN, vni ${read32(bytes, at + 4) >>> 8}`;
  const isPlain = read32(bytes, at) === 0x08000000 && bytes[at + 7] === 0;
  const line = isPlain ? vni : `${vni}, flags 0x${bytes[at]!.toString(16)} [reserved bits set, or no VNI]`;
  return [line, ...frameLayers(bytes, at + VXLAN_LEN, len - VXLAN_LEN, depth - 1)];
}

function frameLayers(bytes: Uint8Array, at: number, len: number, depth: number): string[] {
  if (depth === 0) return [];
  if (len < ETHERNET_LEN) return [`Ethernet [cut short at ${len} bytes]`];
  const type = etherType(bytes, at);
  const name = ETHERTYPE_NAMES[type] ?? `type 0x${type.toString(16).padStart(4, '0')}`;
  const line = `Ethernet ${mac(bytes, at + 6)} > ${mac(bytes, at)}: ${name}`;
  const [inner, there] = [at + ETHERNET_LEN, len - ETHERNET_LEN];
  if (type === ETHERTYPE_IPV4) return [line, ...ipLayers(bytes, inner, there, depth - 1)];
  return type === ETHERTYPE_ARP && depth > 1 ? [line, arpLine(bytes, inner, there)] : [line];
}

function arpLine(bytes: Uint8Array, at: number, len: number): string {
  if (len < ARP_LEN) return `ARP [cut short at ${len} bytes]`;
  const operation = read16(bytes, at + 6);
  const [sender, target] = [read32(bytes, at + 14), read32(bytes, at + 24)].map(formatAddress);
  if (operation === 1) return `ARP request: who has ${target}? ${sender} at ${mac(bytes, at + 8)} asks`;
  if (operation === 2) return `ARP reply: ${sender} is at ${mac(bytes, at + 8)}, to ${target}`;
  return `ARP operation ${operation}`;
}

function mac(bytes: Uint8Array, at: number): string {
  return Array.from(bytes.subarray(at, at + 6), (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

function udpLine(bytes: Uint8Array, at: number, len: number): string {
  const [from, to] = [read16(bytes, at + UDP_SOURCE_PORT), read16(bytes, at + UDP_TARGET_PORT)];
  const told = read16(bytes, at + UDP_LENGTH) - UDP_HEADER_LEN;
  const there = told > len - UDP_HEADER_LEN ? ` [${len - UDP_HEADER_LEN} bytes there]` : '';
  return `UDP ${from} > ${to}: length ${told}${there}`;
}

function icmpLayers(bytes: Uint8Array, at: number, len: number, depth: number, vxlan: Ports): string[] {
  if (len < ICMP_HEADER_LEN) return [`ICMP [cut short at ${len} bytes]`];
  const type = bytes[at]!;
  const code = bytes[at + 1]!;
  const name = ICMP_NAMES[type] ?? `type ${type} code ${code}`;
  if (isErrorType(type)) {
    const text = type === ICMP_UNREACHABLE ? unreachableName(bytes, at, code) : name;
    const quoted = ipLayers(bytes, at + ICMP_HEADER_LEN, len - ICMP_HEADER_LEN, depth - 1, vxlan);
    return [`ICMP ${text}, length ${len}`, ...quoted];
  }
  const isEcho = type === 0 || type === 8;
  const echo = isEcho ? `, id ${read16(bytes, at + 4)}, seq ${read16(bytes, at + 6)}` : '';
  return [`ICMP ${name}${echo}, length ${len}`];
}

function unreachableName(bytes: Uint8Array, at: number, code: number): string {
  if (code === FRAGMENTATION_NEEDED) return `unreachable - need to frag (mtu ${read16(bytes, at + 6)})`;
  return `${UNREACHABLE_NAMES[code] ?? `code ${code}`} unreachable`;
}
