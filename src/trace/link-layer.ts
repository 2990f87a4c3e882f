/** Where the IP packet begins in a captured frame, by link type (https://www.tcpdump.org/linktypes.html). */

import { ETHERNET_LEN, ETHERTYPE_ARP, ETHERTYPE_IPV4 } from '../wire/vxlan.js';

/** 802.1Q, 802.1ad, and what switches used before it. */
const VLAN_TAGS = [0x8100, 0x88a8, 0x9100];
const VLAN_LEN = 4;

interface LinkLayer {
  name: string;
  headerLen: number;
  /** Where the ethertype stands; undefined: there is none, all is IP. */
  typeAt?: number;
}

const LINK_LAYERS: Readonly<Record<number, LinkLayer>> = {
  1: { name: 'Ethernet', headerLen: 14, typeAt: 12 },
  12: { name: 'raw IP', headerLen: 0 },
  101: { name: 'raw IP', headerLen: 0 },
  228: { name: 'raw IPv4', headerLen: 0 },
  113: { name: 'Linux cooked', headerLen: 16, typeAt: 14 },
  276: { name: 'Linux cooked v2', headerLen: 20, typeAt: 0 },
};

export function knowsLinkType(linkType: number): boolean {
  return linkType in LINK_LAYERS;
}

const ETHERNET = 1;

/** Whether an Ethernet frame, without a tag, carries ARP. */
export function isArpFrame(linkType: number, bytes: Uint8Array): boolean {
  return linkType === ETHERNET && readType(bytes, 12) === ETHERTYPE_ARP;
}

/** Whether what stands before an IPv4 packet at `off` is an Ethernet header, and nothing else. */
export function isUntagged(linkType: number, off: number): boolean {
  return linkType === ETHERNET && off === ETHERNET_LEN;
}

/** Offset of the IPv4 packet; undefined where the frame carries none. The link type is a known one. */
export function ipv4Offset(linkType: number, bytes: Uint8Array): number | undefined {
  const link = LINK_LAYERS[linkType];
  if (link === undefined) return undefined;
  let { headerLen } = link;
  const { typeAt } = link;
  if (typeAt !== undefined) {
    let type = readType(bytes, typeAt);
    // A tag stands in the type's place, the type behind it; of cooked frames behind the header.
    while (type !== undefined && VLAN_TAGS.includes(type)) {
      type = readType(bytes, headerLen + 2);
      headerLen += VLAN_LEN;
    }
    if (type !== ETHERTYPE_IPV4) return undefined;
  }
  if (headerLen >= bytes.length) return undefined;
  return bytes[headerLen]! >>> 4 === 4 ? headerLen : undefined;
}

function readType(bytes: Uint8Array, at: number): number | undefined {
  return at + 2 <= bytes.length ? (bytes[at]! << 8) | bytes[at + 1]! : undefined;
}
