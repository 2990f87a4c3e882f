/**
 * ICMP errors from the underlay about our outer packets, relayed to the container that sent the inner one
 * (RFC 2003 §5, RFC 4459 §3.1). Anybody may forge one: it is believed only as far as it can be true. What RFC 5927 advises,
 * for TCP, and what we do of it:
 *
 *   §4.1 quote in the sequence window   we keep no connections: the quote must be of a packet that we can have sent, its
 *                                       outer header and as much of the inner one as there is (#fanOf, isOfOurs), and the
 *                                       peer must have been sent a packet of late at all (sent-sizes.ts)
 *   §4.2 port randomization             the containers' matter; over VXLAN ours as well: by UDP ports that the kernel chose, 16 a
 *                                       worker with io raw, one a flow with io bpf
 *   §4.3 filter by the quoted payload   as §4.1; which container is told follows from the inner header, in our slice
 *   §4.4 filter by the source           not decisive there, as here; but errors from what can't be on the way, or from
 *                                       another device than the underlay's, are dropped (icmp-origin.ts)
 *   §5, §6 hard errors, source quench   3/2 and 3/3 are hard errors for TCP: the container hears 3/1, which is soft; source
 *                                       quench and redirects are not relayed
 *   §7.1 the attack on path MTU         no less than min-path-mtu is believed, 576 unless told; nor what is not below the
 *                                       length in the quote, or the longest packet that the peer was sent of late
 *   §7.2 wait for progress first        we see no acknowledgements; what is learnt ends by itself (path-mtu.ts, RFC 1191
 *                                       §6.3), and is not prolonged by errors that say nothing new
 *   §3 rates                            of what is relayed for one sender of errors, to one container, and of all
 *
 * Of a fan over VXLAN the same holds, by what its packets are known by: UDP to its port, then VNI and frame. DF is clear in
 * them, so routers cut them and have nothing to say; one that says so all the same doesn't cut, and is believed. Of a quote
 * that ends behind UDP, the source port alone is not for everybody to know.
 *
 * Of several workers each hears every error and learns the path from it; the first one counts it and tells the
 * container.
 */
import { DROP, type DropReason, KEEP } from '../../base/drop-reason.js';
import { SenderLimits } from '../../base/sender-limits.js';
import { overheadOf } from '../../fan/encapsulation.js';
import { underlayHostBits } from '../../fan/mapping.js';
import type { PacketBatch } from '../../io/packet-batch.js';
import {
  createIcmpError,
  FRAGMENTATION_NEEDED,
  HOST_UNREACHABLE,
  ICMP_HEADER_LEN,
  ICMP_UNREACHABLE,
  readIcmpError,
} from '../../wire/icmpv4.js';
import { OUTER_LEN } from '../../wire/ipip.js';
import {
  DESTINATION,
  destinationBits,
  dontFragment,
  headerLen,
  isFragment,
  MIN_HEADER_LEN,
  PROTOCOL_IPIP,
  PROTOCOL_UDP,
  read16,
  sourceBits,
  totalLength,
  version,
} from '../../wire/ipv4.js';
import { PATH_HOST_UNREACHABLE, PATH_TOO_BIG, pathErrorOf } from '../../wire/path-error.js';
import { UDP_HEADER_LEN, UDP_LENGTH, UDP_SOURCE_PORT, UDP_TARGET_PORT } from '../../wire/udp.js';
import {
  checkEthernet,
  ETHERNET_LEN,
  ETHERTYPE_ARP,
  etherType,
  readVni,
  TUNNEL_LEN,
  VXLAN_LEN,
} from '../../wire/vxlan.js';
import { COUNTER, type Counters, HOST_BLOCK } from '../tables/counters.js';
import { type FanEntry, type ForwardingTable, isHostOfSlice } from '../tables/forwarding-table.js';
import type { IcmpOrigin } from './icmp-origin.js';
import type { IcmpReplies } from './icmp-replies.js';
import type { PathMtuTable } from './path-mtu.js';

/** An inner header and the eight bytes behind it: what a container's kernel needs to find its socket. */
const RELAYABLE_QUOTE = MIN_HEADER_LEN + 8;
/** Bytes of a quoted header with its total length. */
const LENGTH_END = 4;
/** The longest packet in a frame that Ethernet pads, to 60 bytes. */
const PADDED = 60 - ETHERNET_LEN;
const NO_VNI = -1;
/** As a fan's index. */
const NO_FAN = -1;
/** What one sender of errors may have relayed; how much all, IcmpReplies limits. */
const SENDER_RATES = { perSecond: 100, burst: 50, allPerSecond: 1000, allBurst: 1000 };

export interface PathErrorParts {
  readonly counters: Counters;
  readonly pathMtu: PathMtuTable;
  readonly replies: IcmpReplies;
  readonly origin: IcmpOrigin;
  /** Bytes of the longest outer packet that `peer` was sent of late from `address`, both int32; 0: none. */
  largestSent(address: number, peer: number): number;
  /** Whether packets of `fan`, over VXLAN, leave by this UDP port of ours. */
  isSentFrom(fan: FanEntry, port: number, nowMs: number): boolean;
  /** Whether this worker speaks for all. */
  readonly speaks: boolean;
}

export class PathErrors {
  readonly #parts: PathErrorParts;
  readonly #senders = new SenderLimits(SENDER_RATES);
  readonly #error = createIcmpError();
  #table: ForwardingTable;
  #vxlanTable: ForwardingTable;

  /** Of the fans over IP-in-IP, and of those over VXLAN. */
  constructor(parts: PathErrorParts, table: ForwardingTable, vxlanTable: ForwardingTable) {
    this.#parts = parts;
    this.#table = table;
    this.#vxlanTable = vxlanTable;
  }

  configure(table: ForwardingTable, vxlanTable: ForwardingTable): void {
    this.#table = table;
    this.#vxlanTable = vxlanTable;
    this.#parts.origin.configure();
  }

  /**
   * Takes packet i of `rx`, an ICMP error with the index of the device that it came in by as its tag; returns the fan
   * whose TUN a reply now waits for, or undefined. A verdict of KEEP without a fan: none of our business.
   */
  process(rx: PacketBatch, i: number, nowMs: number): FanEntry | undefined {
    const { counters, speaks } = this.#parts;
    const device = rx.tag(i);
    const off = rx.offset(i);
    const bad = readIcmpError(rx.slab, off, rx.length(i), this.#error);
    rx.setVerdict(i, KEEP, NO_FAN, 1);
    // The socket sees every ICMP error of the host; those about other protocols are none of our business.
    if (bad === KEEP && this.#error.protocol !== PROTOCOL_IPIP && !this.#isAboutVxlan(rx.slab))
      return undefined;
    const quoteAt = off + headerLen(rx.slab, off) + ICMP_HEADER_LEN;
    const fan = bad === KEEP ? this.#fanOf(rx, quoteAt) : undefined;
    const from = sourceBits(rx.slab, off);
    const reason =
      fan === undefined ? DROP['icmp-invalid'] : this.#judge(fan, rx.slab, quoteAt, from, device, nowMs);
    if (!speaks) {
      if (reason === KEEP) this.#learn(fan!, nowMs);
      return undefined;
    }
    const block = fan === undefined ? HOST_BLOCK : fan.counterBlock;
    rx.setVerdict(i, reason, fan === undefined ? NO_FAN : fan.index, 1);
    if (reason !== KEEP) {
      counters.drop(block, reason, 1);
      if (fan !== undefined) counters.blame(block, reason, from);
      return undefined;
    }
    counters.add(block, COUNTER['icmp-rx-packets'], 1);
    return this.#relay(fan!, rx.slab, from, nowMs) ? fan : undefined;
  }

  /** Whether what the error says of a packet of `fan`, quoted at `quoteAt`, can be so, and from where it says it. */
  #judge(
    fan: FanEntry,
    bytes: Uint8Array,
    quoteAt: number,
    from: number,
    device: number,
    nowMs: number,
  ): DropReason {
    const { origin, largestSent, isSentFrom } = this.#parts;
    const { type, code, mtu, destination } = this.#error;
    const peer = destination | 0;
    const isTooBig = type === ICMP_UNREACHABLE && code === FRAGMENTATION_NEEDED;
    const table = fan.vxlan ? this.#vxlanTable : this.#table;
    if (!origin.isLikely(table, fan, peer, from, device, !isTooBig, nowMs)) return DROP['icmp-source'];
    if (fan.vxlan) {
      const port = read16(bytes, quoteAt + OUTER_LEN + UDP_SOURCE_PORT);
      if (dontFragment(bytes, quoteAt) || !isSentFrom(fan, port, nowMs)) return DROP['icmp-implausible'];
    }
    // What is cut on its way has no such error; what a router got in one burst, it may quote as one packet.
    const isCut = !fan.vxlan && !dontFragment(bytes, quoteAt);
    const isQuoteShort = isCut || totalLength(bytes, quoteAt) <= mtu;
    if (isTooBig && (mtu < fan.minPathMtu || isQuoteShort)) return DROP['icmp-implausible'];
    const least = isTooBig ? mtu : 0;
    return largestSent(fan.address, peer) > least ? KEEP : DROP['icmp-implausible'];
  }

  /** Returns whether a reply was appended. */
  #relay(fan: FanEntry, bytes: Uint8Array, from: number, nowMs: number): boolean {
    const { type, code, mtu, innerOffset, innerLen } = this.#error;
    const { replies } = this.#parts;
    const kind = pathErrorOf(type, code, mtu, fan.vxlan !== undefined);
    const before = replies.batch.count;
    const isToTell =
      kind === PATH_TOO_BIG
        ? // A container that lets its packets be cut need not hear of it: the next one leaves in outer fragments.
          this.#learn(fan, nowMs) && innerLen >= RELAYABLE_QUOTE && dontFragment(bytes, innerOffset)
        : kind === PATH_HOST_UNREACHABLE && innerLen >= RELAYABLE_QUOTE;
    if (!isToTell) return false;
    if (!this.#senders.takeOwn(from, nowMs)) {
      replies.holdBack(fan, bytes, innerOffset, innerLen);
    } else if (kind === PATH_TOO_BIG) {
      this.#tell(fan, bytes, FRAGMENTATION_NEEDED, mtu - overheadOf(fan.vxlan), nowMs);
    } else {
      this.#tell(fan, bytes, HOST_UNREACHABLE, 0, nowMs);
    }
    return replies.batch.count > before;
  }

  /** The container that sent the inner packet. */
  #tell(fan: FanEntry, bytes: Uint8Array, code: number, mtu: number, nowMs: number): void {
    const { innerOffset, innerLen } = this.#error;
    const { replies } = this.#parts;
    if (!fan.vxlan) replies.add(fan, bytes, innerOffset, innerLen, code, mtu, nowMs);
    else replies.addFramed(fan, bytes, innerOffset - ETHERNET_LEN, innerLen, code, mtu, nowMs);
  }

  /** Returns whether the error tells of a narrow path. */
  #learn(fan: FanEntry, nowMs: number): boolean {
    const { type, code, mtu, destination: peer } = this.#error;
    if (pathErrorOf(type, code, mtu) !== PATH_TOO_BIG) return false;
    return this.#parts.pathMtu.learn(peer, mtu, fan.underlayMtu, nowMs);
  }

  /** The fan that could have sent the packet quoted at `quoteAt`, or undefined. */
  #fanOf(rx: PacketBatch, quoteAt: number): FanEntry | undefined {
    const bytes = rx.slab;
    const { source: from, destination: peer } = this.#error;
    const isVxlan = this.#error.protocol === PROTOCOL_UDP;
    const table = isVxlan ? this.#vxlanTable : this.#table;
    let fan = isVxlan ? this.#unwrap(rx, quoteAt) : this.#fanTo(table);
    const { innerOffset, innerLen } = this.#error;
    if (fan === undefined || !isOfOurs(bytes, quoteAt, overheadOf(fan.vxlan), innerOffset, innerLen))
      return undefined;
    if (innerLen >= MIN_HEADER_LEN) {
      const target = destinationBits(bytes, innerOffset);
      const found = table.fanOf(target);
      if (found === undefined || found.address !== (from | 0)) return undefined;
      // Which of several fans over VXLAN it is, its VNI has said.
      if (isVxlan && (target & fan.overlayMask) !== fan.overlayBase) return undefined;
      if (!isVxlan) fan = found;
      if (underlayHostBits(fan, target) !== (peer | 0)) return undefined;
    }
    if (innerLen >= DESTINATION && !isOurs(table, fan, sourceBits(bytes, innerOffset))) return undefined;
    const host = peer & ~fan.underlayMask;
    if (host === 0 || host === ~fan.underlayMask || table.isOwnAddress(peer | 0)) return undefined;
    return (peer & fan.underlayMask) === fan.underlayBase ? fan : undefined;
  }

  /** Whether the quoted packet is UDP from a fan's address to its port, as far as the quote says. */
  #isAboutVxlan(bytes: Uint8Array): boolean {
    const { protocol, source: from, innerOffset, innerLen } = this.#error;
    if (protocol !== PROTOCOL_UDP || innerLen < UDP_HEADER_LEN) return false;
    const port = read16(bytes, innerOffset + UDP_TARGET_PORT);
    return this.#vxlanTable.fans.some(({ address, vxlan }) => address === (from | 0) && vxlan!.port === port);
  }

  /** The first fan that sends to the quoted peer from the quoted address; over VXLAN to this port, with this VNI where it is known. */
  #fanTo(table: ForwardingTable, port?: number, vni = NO_VNI): FanEntry | undefined {
    const { source: from, destination: peer } = this.#error;
    return table.fans.find(
      ({ address, vxlan, underlayMask, underlayBase }) =>
        address === (from | 0) &&
        (peer & underlayMask) === underlayBase &&
        vxlan?.port === port &&
        (vni === NO_VNI || vxlan?.vni === vni),
    );
  }

  /**
   * The fan over VXLAN whose headers are those quoted behind the outer one, as far as the quote goes, or undefined;
   * `innerOffset` and `innerLen` of #error are then of the packet in the frame.
   */
  #unwrap(rx: PacketBatch, quoteAt: number): FanEntry | undefined {
    const error = this.#error;
    const { innerOffset: udp, innerLen: quoted } = error;
    const bytes = rx.slab;
    const total = totalLength(bytes, quoteAt) - headerLen(bytes, quoteAt);
    const length = read16(bytes, udp + UDP_LENGTH);
    if (isFragment(bytes, quoteAt) ? length <= total : length !== total) return undefined;
    const port = read16(bytes, udp + UDP_TARGET_PORT);
    const known = quoted - UDP_HEADER_LEN;
    error.innerOffset = udp + UDP_HEADER_LEN + TUNNEL_LEN;
    error.innerLen = Math.max(0, known - TUNNEL_LEN);
    if (known < VXLAN_LEN) return this.#fanTo(this.#vxlanTable, port);
    const vni = readVni(rx.view, udp + UDP_HEADER_LEN);
    const fan = vni < 0 ? undefined : this.#fanTo(this.#vxlanTable, port, vni);
    const frame = udp + UDP_HEADER_LEN + VXLAN_LEN;
    if (fan === undefined || known < TUNNEL_LEN) return fan;
    if (checkEthernet(bytes, frame, known - VXLAN_LEN) !== KEEP) return undefined;
    // Of ARP nobody is to be told.
    if (etherType(bytes, frame) === ETHERTYPE_ARP) error.innerLen = 0;
    return fan;
  }
}

function isOurs(table: ForwardingTable, fan: FanEntry, sender: number): boolean {
  if (isHostOfSlice(fan, sender)) return true;
  // Of a quote without the inner destination, the fan is the first at its address.
  return table.isSiblingSource(fan, sender);
}

/** Whether the lengths and versions of the quoted headers, or of as much of them as there is, are of a packet as we send them. */
function isOfOurs(
  bytes: Uint8Array,
  quoteAt: number,
  overhead: number,
  innerOffset: number,
  innerLen: number,
): boolean {
  const payload = totalLength(bytes, quoteAt) - overhead;
  if (headerLen(bytes, quoteAt) !== OUTER_LEN || payload < MIN_HEADER_LEN) return false;
  if (innerLen === 0) return true;
  if (version(bytes, innerOffset) !== 4 || headerLen(bytes, innerOffset) < MIN_HEADER_LEN) return false;
  if (innerLen < LENGTH_END) return true;
  const inner = totalLength(bytes, innerOffset);
  if (isFragment(bytes, quoteAt)) return inner > payload;
  return inner === payload || (overhead > OUTER_LEN && inner < payload && payload <= PADDED);
}
