/**
 * VXLAN (RFC 7348 §5) and the Ethernet frame in it: the headers that stand between UDP and the inner packet, and ARP for
 * IPv4 (RFC 826), the one other thing that a fan carries.
 *
 *   0   flags 0x08, 24 reserved bits
 *   4   VNI, 8 reserved bits
 *   8   Ethernet: destination, source, type
 *   22  IPv4 or ARP
 *
 * Works in place, through a DataView where words are read (wire/plain-header.ts says why); nothing allocates.
 */
import { DROP, type DropReason, KEEP } from '../base/drop-reason.js';
import { emitIpv4, MIN_HEADER_LEN, PLAIN_HEADER, PROTOCOL_UDP, read16, write16 } from './ipv4.js';

import { UDP_CHECKSUM, UDP_HEADER_LEN, UDP_LENGTH, UDP_SOURCE_PORT, UDP_TARGET_PORT } from './udp.js';

export const VXLAN_LEN = 8;
export const ETHERNET_LEN = 14;
/** What stands before the inner packet in a datagram. */
export const TUNNEL_LEN = VXLAN_LEN + ETHERNET_LEN;
/** Before the VXLAN header: IPv4 without options, and UDP. */
export const DATAGRAM_LEN = MIN_HEADER_LEN + UDP_HEADER_LEN;
/** All that encap adds: IPv4 without options, UDP, VXLAN, Ethernet. */
export const VXLAN_OUTER_LEN = DATAGRAM_LEN + TUNNEL_LEN;
export const ARP_LEN = 28;

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
/** Tags of 802.1Q, 802.1ad, and what came before it. */
const VLAN_TYPES = [0x8100, 0x88a8, 0x9100];

/** Only "the VNI is valid"; every other bit of the word is reserved. */
const FLAGS = 0x08000000;
/** Hardware Ethernet, protocol IPv4. */
const ARP_KINDS = 0x00010800;
/** Lengths of their addresses: 6 and 4. */
const ARP_LENGTHS = 0x0604;
const ARP_REQUEST = 1;
const ARP_REPLY = 2;
/** Offsets in ARP. */
const ARP_SENDER_MAC = 8;
const ARP_SENDER = 14;
const ARP_TARGET = 24;

/** Writes the eight bytes of a header at `at`; `vni` of 24 bits. */
export function writeVxlan(view: DataView, at: number, vni: number): void {
  view.setInt32(at, FLAGS);
  view.setInt32(at + 4, vni << 8);
}

/** The VNI of the header at `at`, eight bytes that are there; −1 where a reserved bit is set, or the flag isn't. */
export function readVni(view: DataView, at: number): number {
  const word = view.getInt32(at + 4);
  return view.getInt32(at) === FLAGS && (word & 0xff) === 0 ? word >>> 8 : -1;
}

/** What the kernel knows of a datagram, and we by it. */
export interface Datagram {
  /** u32 */
  readonly source: number;
  readonly destination: number;
  readonly sourcePort: number;
  readonly port: number;
  readonly tos: number;
  readonly ttl: number;
  /** Bytes behind the UDP header. */
  readonly length: number;
}

/**
 * Writes the DATAGRAM_LEN bytes before a VXLAN header as the kernel writes them, or may have received them: where packets
 * are shown, not where they are carried. ID and the UDP checksum, of which only the kernel knows, are 0.
 */
export function writeDatagram(bytes: Uint8Array, at: number, datagram: Datagram): void {
  const { source, destination, sourcePort, port, tos, ttl, length } = datagram;
  emitIpv4(bytes, at, {
    ...PLAIN_HEADER,
    totalLength: (DATAGRAM_LEN + length) & 0xffff,
    protocol: PROTOCOL_UDP,
    ...{ tos, ttl, source, destination },
  });
  const udp = at + MIN_HEADER_LEN;
  write16(bytes, udp + UDP_SOURCE_PORT, sourcePort);
  write16(bytes, udp + UDP_TARGET_PORT, port);
  write16(bytes, udp + UDP_LENGTH, (UDP_HEADER_LEN + length) & 0xffff);
  write16(bytes, udp + UDP_CHECKSUM, 0);
}

/** First two octets of the MAC of a tunnel's end, before its underlay address (fan/encapsulation.ts). */
const TUNNEL_MAC = 0x02fa;

/** Writes an Ethernet header at `at`, of IPv4 between the tunnel's ends at two underlay addresses. */
export function writeTunnelLink(view: DataView, at: number, from: number, to: number): void {
  view.setUint16(at, TUNNEL_MAC);
  view.setUint32(at + 2, to);
  view.setUint16(at + 6, TUNNEL_MAC);
  view.setUint32(at + 8, from);
  view.setUint16(at + 12, ETHERTYPE_IPV4);
}

/** Writes an Ethernet header at `at`: to and from are those of the frame at `frame`, the other way about. */
export function writeAnswering(bytes: Uint8Array, at: number, frames: Uint8Array, frame: number): void {
  for (let i = 0; i < 6; i++) {
    bytes[at + i] = frames[frame + 6 + i]!;
    bytes[at + 6 + i] = frames[frame + i]!;
  }
  bytes[at + 12] = ETHERTYPE_IPV4 >> 8;
  bytes[at + 13] = ETHERTYPE_IPV4 & 0xff;
}

export function etherType(bytes: Uint8Array, frame: number): number {
  return read16(bytes, frame + 12);
}

/** Whether a frame is for a group or for all. */
export function isGroup(bytes: Uint8Array, frame: number): boolean {
  return (bytes[frame]! & 1) !== 0;
}

/**
 * Judges the Ethernet header at `frame`, of which `available` bytes are there: KEEP for ARP and for IPv4 to one host, else
 * inner-malformed, vlan-tag, not-ipv4, group-frame. What is in it, is for checkInnerIpv4 and checkArp.
 */
export function checkEthernet(bytes: Uint8Array, frame: number, available: number): DropReason {
  if (available < ETHERNET_LEN) return DROP['inner-malformed'];
  // A source that is a group is nobody's (IEEE 802.3 §3.2.3).
  if ((bytes[frame + 6]! & 1) !== 0) return DROP['inner-malformed'];
  const type = etherType(bytes, frame);
  if (type === ETHERTYPE_IPV4) return isGroup(bytes, frame) ? DROP['group-frame'] : KEEP;
  if (type === ETHERTYPE_ARP) return KEEP;
  return VLAN_TYPES.includes(type) ? DROP['vlan-tag'] : DROP['not-ipv4'];
}

/**
 * Judges ARP behind the Ethernet header at `frame`, of which `available` bytes are there: KEEP for a request or a reply about
 * IPv4 whose sender has the frame's own MAC, else arp-malformed.
 */
export function checkArp(bytes: Uint8Array, frame: number, available: number): DropReason {
  if (available < ETHERNET_LEN + ARP_LEN) return DROP['arp-malformed'];
  const arp = frame + ETHERNET_LEN;
  const kinds = (read16(bytes, arp) << 16) | read16(bytes, arp + 2);
  const operation = read16(bytes, arp + 6);
  if (kinds !== ARP_KINDS || read16(bytes, arp + 4) !== ARP_LENGTHS) return DROP['arp-malformed'];
  if (operation !== ARP_REQUEST && operation !== ARP_REPLY) return DROP['arp-malformed'];
  for (let i = 0; i < 6; i++) {
    if (bytes[arp + ARP_SENDER_MAC + i] !== bytes[frame + 6 + i]) return DROP['arp-malformed'];
  }
  return KEEP;
}

/** Sender's and target's IPv4 address of the checked ARP behind `frame`, int32. */
export function arpSender(view: DataView, frame: number): number {
  return view.getInt32(frame + ETHERNET_LEN + ARP_SENDER);
}
export function arpTarget(view: DataView, frame: number): number {
  return view.getInt32(frame + ETHERNET_LEN + ARP_TARGET);
}
