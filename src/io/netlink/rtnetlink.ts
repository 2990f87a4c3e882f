/**
 * rtnetlink messages (rtnetlink(7)) as bytes: the questions that a sender of frames, and one who goes past a bridge, asks
 * the kernel, and what answers and notifications say. Pure; next-hops.ts, bridge-exit.ts and netlink-ask.ts talk to the
 * kernel.
 *
 * Fields are in the machine's byte order, addresses inside attributes in network order, as u32 here.
 */
import { endianness } from 'node:os';

export const LITTLE = endianness() === 'LE';
const AF_INET = 2;
const AF_BRIDGE = 7;
export const NLM_F_REQUEST = 1;
/** An ERROR in answer, also where all went well. */
const NLM_F_ACK = 4;
/** All that there are: NLM_F_ROOT | NLM_F_MATCH. */
export const NLM_F_DUMP = 0x300;
/** nlmsghdr: u32 length, u16 type, u16 flags, u32 sequence, u32 port. */
const HEADER_LEN = 16;
/** rtattr: u16 length, u16 type. */
const ATTRIBUTE_HEADER_LEN = 4;
/** Of an attribute's type; the rest are flags. */
const NLA_TYPE_MASK = 0x3fff;

/** Message types; a question is answered by the NEW message of its kind, or by ERROR; one for all by many, then DONE. */
export const MESSAGE = {
  error: 2,
  done: 3,
  newLink: 16,
  delLink: 17,
  getLink: 18,
  newAddress: 20,
  delAddress: 21,
  getAddress: 22,
  newRoute: 24,
  delRoute: 25,
  getRoute: 26,
  newNeighbour: 28,
  delNeighbour: 29,
  getNeighbour: 30,
  newRule: 32,
  delRule: 33,
  newQdisc: 36,
  delQdisc: 37,
  getQdisc: 38,
  newSettings: 80,
  delSettings: 81,
} as const;

/** Of netlinkOpen: rtnetlink(7). */
export const NETLINK_ROUTE = 0;

/** Multicast groups, as bits of netlinkOpen. */
export const GROUP = {
  link: 1 << 0,
  neighbour: 1 << 2,
  trafficControl: 1 << 3,
  ipv4Address: 1 << 4,
  ipv4Route: 1 << 6,
  ipv4Rule: 1 << 7,
  ipv4Settings: 1 << 23,
} as const;

const IFLA = { address: 1, name: 3, mtu: 4, master: 10, operState: 16, info: 18 } as const;
const IFLA_INFO = { kind: 1, data: 2, slaveData: 5 } as const;
const IFLA_BRPORT_STATE = 1;
const BR_STATE_FORWARDING = 3;
const TCA_KIND = 1;
const IFLA_BR_VLAN_FILTERING = 7;
const IFA = { address: 1, local: 2, broadcast: 4 } as const;
const RTA = { destination: 1, source: 2, device: 4, gateway: 5, via: 18 } as const;
const NDA = { destination: 1, lladdr: 2, vlan: 5, master: 9 } as const;

const LINK_LEN = 16;
const ROUTE_LEN = 12;
const NEIGHBOUR_LEN = 12;
const TRAFFIC_LEN = 20;
const ADDRESS_LEN = 8;
/** netconfmsg: u8 family, padded. */
const SETTINGS_LEN = 4;
const NETCONFA_IFINDEX = 1;
const RTN_UNICAST = 1;
const IFF_UP = 1;

/** Neighbour states in which the kernel itself would send: reachable, stale, delay, probe, noarp, permanent. */
const NUD_VALID = 0x02 | 0x04 | 0x08 | 0x10 | 0x40 | 0x80;
/** Those that need no confirmation: reachable, noarp, permanent. */
const NUD_CONNECTED = 0x02 | 0x40 | 0x80;
const NUD_PERMANENT = 0x80;
const MAC_LEN = 6;

export interface Message {
  readonly type: number;
  /** Behind the header. */
  readonly body: DataView;
}

/** Whole messages of a datagram; what is cut short at its end is left out. */
export function decodeMessages(bytes: Uint8Array): Message[] {
  const view = viewOf(bytes);
  const messages: Message[] = [];
  for (let at = 0; at + HEADER_LEN <= bytes.length; ) {
    const length = view.getUint32(at, LITTLE);
    if (length < HEADER_LEN || at + length > bytes.length) break;
    const body = viewOf(bytes.subarray(at + HEADER_LEN, at + length));
    messages.push({ type: view.getUint16(at + 4, LITTLE), body });
    at += align(length);
  }
  return messages;
}

export interface Link {
  index: number;
  /** ARPHRD_*, 1 = Ethernet. */
  type: number;
  mtu: number;
  /** Hardware address. */
  address: Uint8Array;
  /** Operational state, IF_OPER_*; 0 = unknown. */
  operState: number;
}

/** Of Link.operState: packets can pass. */
export const OPER_UP = 6;

/** Asks for a link by its name. */
export function encodeGetLink(name: string): Uint8Array {
  const text = new TextEncoder().encode(`${name}\0`);
  return encode(MESSAGE.getLink, new Uint8Array(LINK_LEN), [[IFLA.name, text]]);
}

export function decodeLink({ body }: Message): Link | undefined {
  if (body.byteLength < LINK_LEN) return undefined;
  const attributes = decodeAttributes(body, LINK_LEN);
  const mtu = attributes.get(IFLA.mtu);
  const operState = attributes.get(IFLA.operState);
  return {
    index: body.getInt32(4, LITTLE),
    type: body.getUint16(2, LITTLE),
    mtu: mtu && mtu.byteLength >= 4 ? mtu.getUint32(0, LITTLE) : 0,
    address: bytesOf(attributes.get(IFLA.address)),
    operState: operState && operState.byteLength >= 1 ? operState.getUint8(0) : 0,
  };
}

/** What a link is, and in what. */
export interface LinkRole {
  index: number;
  name: string;
  /** Index of the bridge that it is a port of; 0 = none. */
  master: number;
  /** As in `ip link add type`; empty where the message doesn't say, as one of the bridge's own family. */
  kind: string;
  /** By its administrator's will. */
  isUp: boolean;
  /** Of a bridge. */
  vlanFiltering: boolean;
  /** Of a port: the bridge sends by it. */
  isForwarding: boolean;
}

/** Whether bridges tell it, each of its ports, and not the link itself (rtnl_bridge). */
export function isOfBridges({ body }: Message): boolean {
  return body.byteLength > 0 && body.getUint8(0) === AF_BRIDGE;
}

/** Asks for a link by its index. */
export function encodeGetLinkAt(index: number): Uint8Array {
  const body = new Uint8Array(LINK_LEN);
  viewOf(body).setInt32(4, index, LITTLE);
  return encode(MESSAGE.getLink, body, []);
}

/** Sets a link up, or down. */
export function encodeSetLinkUp(index: number, isUp: boolean): Uint8Array {
  const body = new Uint8Array(LINK_LEN);
  const view = viewOf(body);
  view.setInt32(4, index, LITTLE);
  view.setUint32(8, isUp ? IFF_UP : 0, LITTLE);
  // Of the flags, the one that is meant.
  view.setUint32(12, IFF_UP, LITTLE);
  return encode(MESSAGE.newLink, body, [], NLM_F_REQUEST | NLM_F_ACK);
}

/** Asks for all links. */
export function encodeGetLinks(): Uint8Array {
  return encode(MESSAGE.getLink, new Uint8Array(LINK_LEN), [], NLM_F_REQUEST | NLM_F_DUMP);
}

export function decodeLinkRole({ body }: Message): LinkRole | undefined {
  if (body.byteLength < LINK_LEN) return undefined;
  const attributes = decodeAttributes(body, LINK_LEN);
  const info = nested(attributes.get(IFLA.info));
  const filtering = nested(info.get(IFLA_INFO.data)).get(IFLA_BR_VLAN_FILTERING);
  const state = nested(info.get(IFLA_INFO.slaveData)).get(IFLA_BRPORT_STATE);
  const kind = textOf(info.get(IFLA_INFO.kind));
  return {
    index: body.getInt32(4, LITTLE),
    name: textOf(attributes.get(IFLA.name)),
    master: indexOf(attributes.get(IFLA.master)) ?? 0,
    kind,
    isUp: (body.getUint32(8, LITTLE) & IFF_UP) !== 0,
    vlanFiltering: kind === 'bridge' && filtering?.byteLength === 1 && filtering.getUint8(0) !== 0,
    isForwarding: state?.byteLength !== 1 || state.getUint8(0) === BR_STATE_FORWARDING,
  };
}

/** A queueing discipline of a device, also one of no queue, whose filters see what comes in (tc(8)). */
export interface Qdisc {
  device: number;
  /** "noqueue", "tbf", "clsact", … */
  kind: string;
}

/** Asks for those of all devices. */
export function encodeGetQdiscs(): Uint8Array {
  return encode(MESSAGE.getQdisc, new Uint8Array(TRAFFIC_LEN), [], NLM_F_REQUEST | NLM_F_DUMP);
}

/** Of a newQdisc or delQdisc. */
export function decodeQdisc({ body }: Message): Qdisc | undefined {
  if (body.byteLength < TRAFFIC_LEN) return undefined;
  const kind = textOf(decodeAttributes(body, TRAFFIC_LEN).get(TCA_KIND));
  return { device: body.getInt32(4, LITTLE), kind };
}

export interface Route {
  /** Index of the device that packets leave by. */
  device: number;
  /** Next hop on it; absent where the destination itself is on the link. */
  gateway?: number;
}

/** Of a newRoute or delRoute: its destination, host-order u32 and bits; a default route has neither. */
export function decodeDestination({ body }: Message): { base: number; length: number } | undefined {
  if (body.byteLength < ROUTE_LEN) return undefined;
  const base = addressOf(decodeAttributes(body, ROUTE_LEN).get(RTA.destination));
  return { base: base ?? 0, length: body.getUint8(1) };
}

/** Of a newAddress or delAddress: the index of its device. */
export function decodeAddressDevice({ body }: Message): number | undefined {
  return body.byteLength < ADDRESS_LEN ? undefined : body.getInt32(4, LITTLE);
}

/** Asks for the IPv4 addresses of all devices. */
export function encodeGetAddresses(): Uint8Array {
  const body = new Uint8Array(ADDRESS_LEN);
  body[0] = AF_INET;
  return encode(MESSAGE.getAddress, body, [], NLM_F_REQUEST | NLM_F_DUMP);
}

/** Of a newAddress: the host's own address, and those of all on its link, host-order u32. */
export function decodeAddresses({ body }: Message): number[] {
  if (body.byteLength < ADDRESS_LEN || body.getUint8(0) !== AF_INET) return [];
  const attributes = decodeAttributes(body, ADDRESS_LEN);
  const local = addressOf(attributes.get(IFA.local)) ?? addressOf(attributes.get(IFA.address));
  const broadcast = addressOf(attributes.get(IFA.broadcast));
  const length = body.getUint8(1);
  const last = local === undefined || length === 0 ? undefined : (local | (0xffffffff >>> length)) >>> 0;
  // A link of two has none for all (RFC 3021).
  return [local, broadcast, length < 31 ? last : undefined].filter((address) => address !== undefined);
}

/** Of a newSettings or delSettings: the index of the device, −1 for all, −2 for those to come (linux/netconf.h). */
export function decodeSettingsDevice({ body }: Message): number | undefined {
  return indexOf(decodeAttributes(body, SETTINGS_LEN).get(NETCONFA_IFINDEX));
}

/** Asks which way a packet from `source` to `destination` (host-order u32) leaves. */
export function encodeGetRoute(destination: number, source: number): Uint8Array {
  const body = new Uint8Array(ROUTE_LEN);
  body.set([AF_INET, 32, 32]);
  return encode(MESSAGE.getRoute, body, [
    [RTA.destination, addressBytes(destination)],
    [RTA.source, addressBytes(source)],
  ]);
}

/** undefined for what is no plain unicast route: unreachable, local, by a next hop that is no IPv4 address. */
export function decodeRoute({ body }: Message): Route | undefined {
  if (body.byteLength < ROUTE_LEN || body.getUint8(7) !== RTN_UNICAST) return undefined;
  const attributes = decodeAttributes(body, ROUTE_LEN);
  const device = attributes.get(RTA.device);
  if (attributes.has(RTA.via) || !device || device.byteLength < 4) return undefined;
  const gateway = addressOf(attributes.get(RTA.gateway));
  const index = device.getInt32(0, LITTLE);
  return gateway === undefined ? { device: index } : { device: index, gateway };
}

export interface Neighbour {
  device: number;
  /** IPv4, host-order u32. */
  address: number;
  /** Hardware address; empty where the neighbour can't be sent to now. */
  lladdr: Uint8Array;
  /** False: the kernel wants to see it used, to find out whether the address still holds. */
  confirmed: boolean;
}

export function encodeGetNeighbour(device: number, address: number): Uint8Array {
  const body = new Uint8Array(NEIGHBOUR_LEN);
  body[0] = AF_INET;
  viewOf(body).setInt32(4, device, LITTLE);
  return encode(MESSAGE.getNeighbour, body, [[NDA.destination, addressBytes(address)]]);
}

/** Of a newNeighbour or delNeighbour; undefined for other families. */
export function decodeNeighbour({ type, body }: Message): Neighbour | undefined {
  if (body.byteLength < NEIGHBOUR_LEN || body.getUint8(0) !== AF_INET) return undefined;
  const attributes = decodeAttributes(body, NEIGHBOUR_LEN);
  const address = addressOf(attributes.get(NDA.destination));
  if (address === undefined) return undefined;
  const state = type === MESSAGE.delNeighbour ? 0 : body.getUint16(8, LITTLE);
  const usable = (state & NUD_VALID) !== 0;
  return {
    device: body.getInt32(4, LITTLE),
    address,
    lladdr: usable ? bytesOf(attributes.get(NDA.lladdr)) : new Uint8Array(0),
    confirmed: (state & NUD_CONNECTED) !== 0,
  };
}

/** An entry of a bridge's forwarding database, of no VLAN. */
export interface ForwardingEntry {
  /** Index of the bridge. */
  bridge: number;
  /** Index of its port. */
  port: number;
  mac: Uint8Array;
  /** Whether this unicast address is now behind the port. False: deleted, or an address of the port or the bridge itself. */
  behind: boolean;
}

/** Asks for all entries of a bridge. */
export function encodeGetForwarding(bridge: number): Uint8Array {
  const master = new Uint8Array(4);
  viewOf(master).setInt32(0, bridge, LITTLE);
  // With the header of a question for links, which every kernel takes: there it looks for the bridge.
  const body = new Uint8Array(LINK_LEN);
  body[0] = AF_BRIDGE;
  return encode(MESSAGE.getNeighbour, body, [[IFLA.master, master]], NLM_F_REQUEST | NLM_F_DUMP);
}

/** Of a newNeighbour or delNeighbour; undefined for other families, devices that are no bridge, and VLANs. */
export function decodeForwarding({ type, body }: Message): ForwardingEntry | undefined {
  if (body.byteLength < NEIGHBOUR_LEN || body.getUint8(0) !== AF_BRIDGE) return undefined;
  const attributes = decodeAttributes(body, NEIGHBOUR_LEN);
  const bridge = indexOf(attributes.get(NDA.master));
  const mac = bytesOf(attributes.get(NDA.lladdr));
  if (bridge === undefined || mac.length !== MAC_LEN || attributes.has(NDA.vlan)) return undefined;
  const port = body.getInt32(4, LITTLE);
  const isOwn = (body.getUint16(8, LITTLE) & NUD_PERMANENT) !== 0 || port === bridge;
  const isUnicast = (mac[0]! & 1) === 0;
  return { bridge, port, mac, behind: type === MESSAGE.newNeighbour && isUnicast && !isOwn };
}

/** A negative errno, of an ERROR or of a DONE; 0 where there was none. */
export function decodeError({ body }: Message): number {
  return body.byteLength >= 4 ? body.getInt32(0, LITTLE) : 0;
}

/** A request. */
export function encode(
  type: number,
  body: Uint8Array,
  attributes: readonly (readonly [number, Uint8Array])[],
  flags = NLM_F_REQUEST,
): Uint8Array {
  const size = attributes.reduce((sum, [, value]) => sum + align(ATTRIBUTE_HEADER_LEN + value.length), 0);
  const bytes = new Uint8Array(HEADER_LEN + body.length + size);
  const view = viewOf(bytes);
  view.setUint32(0, bytes.length, LITTLE);
  view.setUint16(4, type, LITTLE);
  view.setUint16(6, flags, LITTLE);
  bytes.set(body, HEADER_LEN);
  let at = HEADER_LEN + body.length;
  for (const [attribute, value] of attributes) {
    view.setUint16(at, ATTRIBUTE_HEADER_LEN + value.length, LITTLE);
    view.setUint16(at + 2, attribute, LITTLE);
    bytes.set(value, at + ATTRIBUTE_HEADER_LEN);
    at += align(ATTRIBUTE_HEADER_LEN + value.length);
  }
  return bytes;
}

/** Those behind the first `from` bytes, by their type; of several of one type the last. */
export function decodeAttributes(body: DataView, from: number): Map<number, DataView> {
  return new Map(listAttributes(body, from));
}

/** Those behind the first `from` bytes, in their order: type without flags, and value. */
export function listAttributes(body: DataView, from: number): [number, DataView][] {
  const attributes: [number, DataView][] = [];
  for (let at = from; at + ATTRIBUTE_HEADER_LEN <= body.byteLength; ) {
    const length = body.getUint16(at, LITTLE);
    if (length < ATTRIBUTE_HEADER_LEN || at + length > body.byteLength) break;
    const start = body.byteOffset + at + ATTRIBUTE_HEADER_LEN;
    attributes.push([
      body.getUint16(at + 2, LITTLE) & NLA_TYPE_MASK,
      new DataView(body.buffer, start, length - ATTRIBUTE_HEADER_LEN),
    ]);
    at += align(length);
  }
  return attributes;
}

function nested(attribute: DataView | undefined): Map<number, DataView> {
  return attribute ? decodeAttributes(attribute, 0) : new Map();
}

function align(length: number): number {
  return (length + 3) & ~3;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A copy. */
function bytesOf(view: DataView | undefined): Uint8Array {
  return view ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice() : new Uint8Array(0);
}

/** Up to its NUL; empty where there is none. */
export function textOf(view: DataView | undefined): string {
  return new TextDecoder().decode(bytesOf(view)).replace(/\0.*/s, '');
}

function addressOf(view: DataView | undefined): number | undefined {
  return view?.byteLength === 4 ? view.getUint32(0, false) : undefined;
}

function indexOf(view: DataView | undefined): number | undefined {
  return view?.byteLength === 4 ? view.getInt32(0, LITTLE) : undefined;
}

function addressBytes(address: number): Uint8Array {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, address, false);
  return bytes;
}
