/**
 * Where a frame to an underlay host goes: the Ethernet header for each peer, from the kernel's routes and neighbours
 * (RFC 826), kept current by the kernel's notifications. PacketSender asks for each packet.
 *
 * The kernel stays in charge: we never resolve an address ourselves. A peer without a usable neighbour has no header;
 * its packet then goes by the raw socket, and the kernel resolves. A neighbour that the kernel wants confirmed gets a
 * packet a second by that way too, for frames alone leave no trace in its table.
 */
import { deviceError } from '../device-error.js';
import { native } from '../native.js';
import {
  decodeLink,
  decodeMessages,
  decodeNeighbour,
  decodeRoute,
  encodeGetLink,
  encodeGetNeighbour,
  encodeGetRoute,
  GROUP,
  type Link,
  MESSAGE,
  type Message,
  NETLINK_ROUTE,
  type Neighbour,
} from './rtnetlink.js';

export const ETHERNET_LEN = 14;
const MAC_LEN = 6;
const ARPHRD_ETHER = 1;
/** Longer than any datagram of rtnetlink that we ask for. */
const BUFFER_BYTES = 1 << 16;
const ENOBUFS = 105;
const EMSGSIZE = 90;
const NUDGE_INTERVAL_MS = 1000;

/** One neighbour on the link, or the lack of a way; shared by all peers behind it. */
export interface NextHop {
  /** The Ethernet header to it, ETHERNET_LEN bytes; undefined: only the kernel can send there. */
  header: Uint8Array | undefined;
  confirmed: boolean;
  /** When the kernel was last given a packet for it. */
  nudgedMs: number;
  /** The last batch of which a packet for it went by the kernel instead of as a frame. */
  detour: number;
}

const NO_WAY: Readonly<NextHop> = { header: undefined, confirmed: true, nudgedMs: 0, detour: 0 };

export class NextHops {
  /** Readable (poll) when `takeNotifications` has something to do. */
  readonly fd: number;
  readonly #requests: number;
  readonly #deviceName: string;
  readonly #source: number;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #device: Link;
  /** Peer → its next hop, as the routes say. */
  readonly #byPeer = new Map<number, NextHop>();
  /** Address on the link → next hop. */
  readonly #neighbours = new Map<number, NextHop>();
  #lastPeer = -1;
  #lastHop: NextHop = NO_WAY;
  #batches = 0;

  private constructor(fd: number, requests: number, deviceName: string, source: number) {
    this.fd = fd;
    this.#requests = requests;
    this.#deviceName = deviceName;
    this.#source = source;
    this.#device = this.#readDevice();
  }

  /**
   * For packets from `source` (host-order address) that leave by `deviceName`. Throws an Error with {code, errno,
   * syscall}, or one that says that this is no Ethernet device.
   */
  static open(deviceName: string, source: number): NextHops {
    const { link, neighbour, ipv4Address, ipv4Route, ipv4Rule } = GROUP;
    const fd = native.netlinkOpen(NETLINK_ROUTE, link | neighbour | ipv4Address | ipv4Route | ipv4Rule);
    let requests = -1;
    try {
      requests = native.netlinkOpen(NETLINK_ROUTE, 0);
      return new NextHops(fd, requests, deviceName, source);
    } catch (error) {
      native.close(fd);
      if (requests >= 0) native.close(requests);
      throw error;
    }
  }

  /** Index of the device. */
  get deviceIndex(): number {
    return this.#device.index;
  }

  get deviceMtu(): number {
    return this.#device.mtu;
  }

  /** A number for a batch about to be sent, see NextHop.detour. */
  nextBatch(): number {
    return ++this.#batches;
  }

  /** For the packet path: a look into the cache, but for the first packet to a peer. */
  lookup(peer: number): NextHop {
    if (peer === this.#lastPeer) return this.#lastHop;
    let hop = this.#byPeer.get(peer);
    if (hop === undefined) {
      hop = this.#find(peer);
      this.#byPeer.set(peer, hop);
    }
    this.#lastPeer = peer;
    this.#lastHop = hop;
    return hop;
  }

  /** Whether the packet at hand should go by the kernel, so that it confirms the neighbour; once a second. */
  nudge(hop: NextHop, nowMs: number): boolean {
    if (hop.confirmed || nowMs - hop.nudgedMs < NUDGE_INTERVAL_MS) return false;
    hop.nudgedMs = nowMs;
    return true;
  }

  /** Takes in what the kernel has said since the last call. */
  takeNotifications(): void {
    for (;;) {
      const length = native.netlinkReceive(this.fd, this.#buffer);
      if (length === 0) return;
      if (length === -ENOBUFS || length === -EMSGSIZE) this.#forgetNeighbours();
      else if (length < 0) throw deviceError(length, 'recv');
      else for (const message of decodeMessages(this.#buffer.subarray(0, length))) this.#note(message);
    }
  }

  /** Idempotence is the owner's matter. */
  close(): void {
    native.close(this.fd);
    native.close(this.#requests);
  }

  #note(message: Message): void {
    if (message.type === MESSAGE.newNeighbour || message.type === MESSAGE.delNeighbour) {
      const neighbour = decodeNeighbour(message);
      if (neighbour?.device !== this.#device.index) return;
      const hop = this.#neighbours.get(neighbour.address);
      if (hop) this.#update(hop, neighbour);
    } else if (message.type === MESSAGE.newLink) {
      const link = decodeLink(message);
      if (link?.index !== this.#device.index || link.address.length !== MAC_LEN || link.mtu === 0) return;
      this.#device = link;
      this.#forgetNeighbours();
    } else {
      this.#forgetRoutes();
    }
  }

  #find(peer: number): NextHop {
    const answer = this.#ask(encodeGetRoute(peer, this.#source), MESSAGE.newRoute);
    const route = answer && decodeRoute(answer);
    if (route?.device !== this.#device.index) return NO_WAY;
    const address = route.gateway ?? peer;
    const known = this.#neighbours.get(address);
    if (known) return known;
    const hop: NextHop = { header: undefined, confirmed: true, nudgedMs: 0, detour: 0 };
    const found = this.#ask(encodeGetNeighbour(this.#device.index, address), MESSAGE.newNeighbour);
    const neighbour = found && decodeNeighbour(found);
    if (neighbour) this.#update(hop, neighbour);
    this.#neighbours.set(address, hop);
    return hop;
  }

  #update(hop: NextHop, { lladdr, confirmed }: Neighbour): void {
    hop.confirmed = confirmed;
    hop.header = undefined;
    if (lladdr.length !== MAC_LEN) return;
    hop.header = new Uint8Array(ETHERNET_LEN);
    hop.header.set(lladdr, 0);
    hop.header.set(this.#device.address, MAC_LEN);
    hop.header.set([0x08, 0x00], 2 * MAC_LEN);
  }

  #forgetRoutes(): void {
    this.#byPeer.clear();
    this.#lastPeer = -1;
  }

  #forgetNeighbours(): void {
    this.#neighbours.clear();
    this.#forgetRoutes();
  }

  /** The answer of type `wanted`, or undefined where the kernel answered with an error. */
  #ask(request: Uint8Array, wanted: number): Message | undefined {
    if (native.netlinkSend(this.#requests, request) < 0) return undefined;
    const length = native.netlinkReceive(this.#requests, this.#buffer);
    if (length <= 0) return undefined;
    const [answer] = decodeMessages(this.#buffer.subarray(0, length));
    return answer?.type === wanted ? answer : undefined;
  }

  #readDevice(): Link {
    const answer = this.#ask(encodeGetLink(this.#deviceName), MESSAGE.newLink);
    const link = answer && decodeLink(answer);
    if (!link) throw new Error(`there is no device ${this.#deviceName}`);
    if (link.type !== ARPHRD_ETHER || link.address.length !== MAC_LEN) {
      throw new Error(`${this.#deviceName} is no Ethernet device`);
    }
    return link;
  }
}
