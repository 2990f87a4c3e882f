/**
 * Encap over VXLAN: frames that came out of the TAP, and leave in UDP (RFC 7348 §4). What encap-path.ts is for IP-in-IP.
 *
 *   1. check     the frame may travel: whole IPv4 to one host, or ARP, from our slice, to a peer
 *   2. map       its destination, of ARP the target, to the underlay host: nothing is flooded, nothing learnt
 *   3. fit       the path's MTU, or answer the sender, or cut a burst smaller
 *   4. header    8 bytes of VXLAN in front of it; the kernel adds UDP and IP
 *
 * DF of the outer packet is clear, as the fans of Ubuntu and LXD have it: routers on the way fragment. Of one that says
 * instead that it doesn't, path-errors.ts learns.
 */
import { DROP, type DropReason, KEEP } from '../../base/drop-reason.js';
import { underlayHostBits } from '../../fan/mapping.js';
import { GSO_ECN, GSO_TCPV4, type PacketBatch } from '../../io/packet-batch.js';
import { FRAGMENTATION_NEEDED } from '../../wire/icmpv4.js';
import {
  checkInnerIpv4,
  destinationBits,
  dontFragment,
  headerLen,
  isFragment,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  protocol,
  sourceBits,
  tos,
  totalLength,
} from '../../wire/ipv4.js';
import {
  arpSender,
  arpTarget,
  checkArp,
  checkEthernet,
  ETHERNET_LEN,
  ETHERTYPE_ARP,
  etherType,
  VXLAN_LEN,
  VXLAN_OUTER_LEN,
  writeVxlan,
} from '../../wire/vxlan.js';
import { COUNTER, type Counters } from '../tables/counters.js';
import { type FanEntry, type ForwardingTable, isHostOfSlice } from '../tables/forwarding-table.js';
import type { PeerTable } from '../tables/peer-table.js';
import type { IcmpReplies } from './icmp-replies.js';
import type { PathMtuTable } from './path-mtu.js';

const EMSGSIZE = 90;
const OUTER = VXLAN_OUTER_LEN;
const LINK = ETHERNET_LEN;
const MIN_FRAME_IPV4 = ETHERNET_LEN + 20;

export class VxlanEncap {
  readonly #counters: Counters;
  readonly #replies: IcmpReplies;
  readonly #pathMtu: PathMtuTable;
  readonly #peers: PeerTable;
  #table: ForwardingTable;
  /** The underlay host that the last checked frame goes to, int32. */
  #exit = 0;

  constructor(
    counters: Counters,
    pathMtu: PathMtuTable,
    replies: IcmpReplies,
    table: ForwardingTable,
    peers: PeerTable,
  ) {
    this.#counters = counters;
    this.#pathMtu = pathMtu;
    this.#replies = replies;
    this.#peers = peers;
    this.#table = table;
  }

  configure(table: ForwardingTable): void {
    this.#table = table;
  }

  /** As EncapPath.process, of frames. */
  process(fan: FanEntry, rx: PacketBatch, from: number, tx: PacketBatch, nowMs: number): number {
    let packets = 0;
    let innerBytes = 0;
    let i = from;
    for (; i < rx.count && tx.count < tx.capacity; i++) {
      const len = rx.length(i);
      const headers = rx.isWhole(i) ? 0 : rx.headerLen(i) - LINK;
      const segments = headers === 0 ? 1 : segmentsOf(rx, i, len - LINK - headers);
      packets += segments;
      innerBytes += Math.max(0, len - LINK) + (segments - 1) * headers;
      let reason = this.#check(fan, rx, rx.offset(i), len);
      if (reason === KEEP) reason = this.#fit(fan, rx, i, headers, nowMs);
      rx.setVerdict(i, reason, fan.index, segments);
      if (reason === KEEP) this.#emit(fan, rx, i, tx, segments);
      else this.#counters.drop(fan.counterBlock, reason, segments);
    }
    this.#counters.add(fan.counterBlock, COUNTER['encap-rx-packets'], packets);
    this.#counters.add(fan.counterBlock, COUNTER['encap-rx-bytes'], innerBytes);
    return i;
  }

  /** As EncapPath.settle. */
  settle(fan: FanEntry, tx: PacketBatch, failed: number): void {
    let packets = 0;
    let innerBytes = 0;
    for (let i = 0; i < tx.count; i++) {
      const segments = tx.tag(i);
      const errno = failed === 0 ? 0 : tx.error(i);
      if (errno !== 0) {
        const reason = errno === EMSGSIZE ? DROP['too-big'] : DROP['send-failed'];
        this.#counters.drop(fan.counterBlock, reason, segments);
        continue;
      }
      let len = tx.length(i) - VXLAN_LEN - LINK;
      if (segments > 1) len += (segments - 1) * (tx.headerLen(i) - VXLAN_LEN - LINK);
      packets += segments;
      innerBytes += len;
      this.#peers.sent(fan.counterBlock, tx.address(i) | 0, segments, len);
    }
    this.#counters.add(fan.counterBlock, COUNTER['encap-tx-packets'], packets);
    this.#counters.add(fan.counterBlock, COUNTER['encap-tx-bytes'], innerBytes);
  }

  /** Whether the frame may travel; leaves its underlay host in #exit. */
  #check(fan: FanEntry, rx: PacketBatch, frame: number, len: number): DropReason {
    const bytes = rx.slab;
    const wrong = checkEthernet(bytes, frame, len);
    if (wrong !== KEEP) return wrong;
    if (etherType(bytes, frame) === ETHERTYPE_ARP) {
      const malformed = checkArp(bytes, frame, len);
      if (malformed !== KEEP) return malformed;
      return this.#checkEnds(fan, arpSender(rx.view, frame), arpTarget(rx.view, frame));
    }
    const malformed = checkInnerIpv4(bytes, frame + LINK, len - LINK);
    if (malformed !== KEEP) return malformed;
    return this.#checkEnds(fan, sourceBits(bytes, frame + LINK), destinationBits(bytes, frame + LINK));
  }

  #checkEnds(fan: FanEntry, from: number, to: number): DropReason {
    const isOurs = isHostOfSlice(fan, from) || this.#table.isSiblingSource(fan, from);
    if (!isOurs) return DROP['source-not-ours'];
    if ((to & fan.overlayMask) !== fan.overlayBase) return DROP['outside-overlay'];
    const exit = underlayHostBits(fan, to);
    this.#exit = exit;
    if (exit === fan.underlayBase) return DROP['underlay-network'];
    if (exit === fan.underlayBroadcast) return DROP['underlay-broadcast'];
    if (exit === fan.address || this.#table.isOwnAddress(exit)) return DROP['to-ourselves'];
    if (fan.exitMayBeOverlay && this.#table.fanOf(exit) !== undefined) return DROP['to-ourselves'];
    return KEEP;
  }

  /** `headers`: inner header bytes of a super-packet, which is made to fit where it is a stream. */
  #fit(fan: FanEntry, rx: PacketBatch, i: number, headers: number, nowMs: number): DropReason {
    const longest = headers === 0 ? rx.length(i) - LINK : headers + rx.gsoSize(i);
    if (longest + OUTER <= Math.min(fan.underlayMtu, this.#pathMtu.smallest)) return KEEP;
    const limit = this.#pathMtu.lookup(this.#exit, fan.underlayMtu, nowMs) - OUTER;
    if (longest <= limit) return KEEP;
    const frame = rx.offset(i);
    if (etherType(rx.slab, frame) === ETHERTYPE_ARP) return DROP['too-big'];
    if (dontFragment(rx.slab, frame + LINK)) {
      const length = totalLength(rx.slab, frame + LINK) || rx.length(i) - LINK;
      this.#replies.addFramed(fan, rx.slab, frame, length, FRAGMENTATION_NEEDED, limit, nowMs);
      return DROP['too-big'];
    }
    if ((rx.gsoType(i) & ~GSO_ECN) === GSO_TCPV4 && limit > headers) {
      rx.setGsoSize(i, limit - headers);
      return KEEP;
    }
    // Of one that goes by itself the kernel makes outer fragments, or a router on the way does.
    const mayBeCut = headers === 0 || longest + OUTER <= fan.underlayMtu;
    return mayBeCut && fan.fragment ? KEEP : DROP['too-big'];
  }

  #emit(fan: FanEntry, rx: PacketBatch, i: number, tx: PacketBatch, segments: number): void {
    const frame = rx.offset(i);
    const at = tx.appendRange(rx, i, frame - VXLAN_LEN, rx.length(i) + VXLAN_LEN, this.#exit, segments);
    writeVxlan(rx.view, frame - VXLAN_LEN, fan.vxlan!.vni);
    tx.setNote(at, noteOf(fan, rx, frame, rx.length(i)));
  }
}

/** Outer TOS, and a hash of the flow in the upper byte. */
function noteOf(fan: FanEntry, rx: PacketBatch, frame: number, len: number): number {
  const bytes = rx.slab;
  if (len < MIN_FRAME_IPV4 || etherType(bytes, frame) === ETHERTYPE_ARP) return fan.outerTos[0]!;
  const inner = frame + LINK;
  let flow = sourceBits(bytes, inner) ^ destinationBits(bytes, inner);
  const kind = protocol(bytes, inner);
  const ports = inner + headerLen(bytes, inner);
  // Of a datagram in fragments only the first has ports.
  const hasPorts = (kind === PROTOCOL_TCP || kind === PROTOCOL_UDP) && !isFragment(bytes, inner);
  if (hasPorts && ports + 4 <= frame + len) flow ^= rx.view.getInt32(ports);
  const hash = Math.imul(flow ^ kind, 0x9e3779b1) >>> 24;
  return (hash << 8) | fan.outerTos[tos(bytes, inner)]!;
}

/** Wire packets of the super-packet i, `payload` bytes in all. */
function segmentsOf(rx: PacketBatch, i: number, payload: number): number {
  const size = rx.gsoSize(i);
  return size === 0 ? 1 : Math.max(1, Math.ceil(payload / size));
}
