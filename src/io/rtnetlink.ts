/**
 * rtnetlink messages (rtnetlink(7)) as bytes: the three questions that a sender of frames asks the kernel, and what
 * answers and notifications say. Pure; next-hops.ts and netlink-ask.ts talk to the kernel.
 *
 * Fields are in the machine's byte order, addresses inside attributes in network order, as u32 here.
 */
import { endianness } from 'node:os';

export const LITTLE = endianness() === 'LE';
const AF_INET = 2;
const NLM_F_REQUEST = 1;
/** nlmsghdr: u32 length, u16 type, u16 flags, u32 sequence, u32 port. */
const HEADER_LEN = 16;
/** rtattr: u16 length, u16 type. */
const ATTRIBUTE_HEADER_LEN = 4;

/** Message types; a question is answered by the NEW message of its kind, or by ERROR. */
export const MESSAGE = {
  error: 2,
  newLink: 16,
  delLink: 17,
  getLink: 18,
  newRoute: 24,
  getRoute: 26,
  newNeighbour: 28,
  delNeighbour: 29,
  getNeighbour: 30,
} as const;

/** Of netlinkOpen: rtnetlink(7). */
export const NETLINK_ROUTE = 0;

/** Multicast groups, as bits of netlinkOpen. */
export const GROUP = {
  link: 1 << 0,
  neighbour: 1 << 2,
  ipv4Address: 1 << 4,
  ipv4Route: 1 << 6,
  ipv4Rule: 1 << 7,
} as const;

const IFLA = { address: 1, name: 3, mtu: 4, operState: 16 } as const;
const RTA = { destination: 1, source: 2, device: 4, gateway: 5, via: 18 } as const;
const NDA = { destination: 1, lladdr: 2 } as const;

const LINK_LEN = 16;
const ROUTE_LEN = 12;
const NEIGHBOUR_LEN = 12;
const RTN_UNICAST = 1;

/** Neighbour states in which the kernel itself would send: reachable, stale, delay, probe, noarp, permanent. */
const NUD_VALID = 0x02 | 0x04 | 0x08 | 0x10 | 0x40 | 0x80;
/** Those that need no confirmation: reachable, noarp, permanent. */
const NUD_CONNECTED = 0x02 | 0x40 | 0x80;

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

export interface Route {
  /** Index of the device that packets leave by. */
  device: number;
  /** Next hop on it; absent where the destination itself is on the link. */
  gateway?: number;
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

/** A request. */
export function encode(
  type: number,
  body: Uint8Array,
  attributes: readonly (readonly [number, Uint8Array])[],
): Uint8Array {
  const size = attributes.reduce((sum, [, value]) => sum + align(ATTRIBUTE_HEADER_LEN + value.length), 0);
  const bytes = new Uint8Array(HEADER_LEN + body.length + size);
  const view = viewOf(bytes);
  view.setUint32(0, bytes.length, LITTLE);
  view.setUint16(4, type, LITTLE);
  view.setUint16(6, NLM_F_REQUEST, LITTLE);
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

/** Those behind the first `from` bytes, by their type. */
export function decodeAttributes(body: DataView, from: number): Map<number, DataView> {
  const attributes = new Map<number, DataView>();
  for (let at = from; at + ATTRIBUTE_HEADER_LEN <= body.byteLength; ) {
    const length = body.getUint16(at, LITTLE);
    if (length < ATTRIBUTE_HEADER_LEN || at + length > body.byteLength) break;
    const start = body.byteOffset + at + ATTRIBUTE_HEADER_LEN;
    attributes.set(
      body.getUint16(at + 2, LITTLE),
      new DataView(body.buffer, start, length - ATTRIBUTE_HEADER_LEN),
    );
    at += align(length);
  }
  return attributes;
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

function addressOf(view: DataView | undefined): number | undefined {
  return view?.byteLength === 4 ? view.getUint32(0, false) : undefined;
}

function addressBytes(address: number): Uint8Array {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, address, false);
  return bytes;
}
