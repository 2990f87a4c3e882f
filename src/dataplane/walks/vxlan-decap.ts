/**
 * Decap of VXLAN: what a UDP socket brought, and goes into the TAP (RFC 7348 §4.1). What decap-path.ts is for IP-in-IP;
 * the kernel has judged the outer headers, and said who sent it and with which TOS.
 *
 *   1. outer     from a host of the underlay, not us; the VXLAN header has the one flag, and the VNI of a fan here
 *   2. inner     a frame of whole IPv4 to one host, or of ARP; no VLAN
 *   3. source    its source, of ARP the sender, maps to the host that sent it
 *   4. target    its destination, of ARP the target, is a host address of our slice
 *   5. ECN       congestion on the underlay is carried inward (RFC 6040 §4.2)
 */
import { DROP, type DropReason, KEEP } from '../../base/drop-reason.js';
import type { PacketBatch } from '../../io/packet-batch.js';
import { decapEcn, ECN_DROP } from '../../wire/ecn.js';
import { applyTos } from '../../wire/ipip.js';
import {
  checkInnerIpv4,
  destinationBits,
  headerLen,
  isFragment,
  PROTOCOL_TCP,
  protocol,
  sourceBits,
  tos,
  totalLength,
} from '../../wire/ipv4.js';
import {
  ARP_LEN,
  arpSender,
  arpTarget,
  checkArp,
  checkEthernet,
  ETHERNET_LEN,
  ETHERTYPE_ARP,
  etherType,
  readVni,
  TUNNEL_LEN,
  VXLAN_LEN,
  VXLAN_OUTER_LEN,
} from '../../wire/vxlan.js';
import { COUNTER, type Counters, HOST_BLOCK } from '../tables/counters.js';
import { type FanEntry, type ForwardingTable, isHostOfSlice } from '../tables/forwarding-table.js';
import type { PeerTable } from '../tables/peer-table.js';
import type { Site } from '../tracing/shape.js';
import { judgeInnerSource } from './decap-path.js';
import type { ProbeTap } from './probe-tap.js';

const LINK = ETHERNET_LEN;
const LEAST_TCP_HEADER = 20;
/** No fan. */
const NONE = -1;
const OUTSIDE_SLICE = DROP['destination-outside-slice'];

export class VxlanDecap {
  readonly #counters: Counters;
  readonly #peers: PeerTable;
  /** Undefined where nobody answers: probes are then dropped. */
  readonly #probes: ProbeTap | undefined;
  #table: ForwardingTable;
  /** Of the last checked packet: the fan it counts under, and bytes of its frame, padding left out. */
  #fan: FanEntry | undefined;
  #frameLen = 0;

  constructor(counters: Counters, table: ForwardingTable, peers: PeerTable, probes?: ProbeTap) {
    this.#counters = counters;
    this.#probes = probes;
    this.#peers = peers;
    this.#table = table;
  }

  configure(table: ForwardingTable): void {
    this.#table = table;
  }

  /** Takes all packets of `rx`, received at `site`, and appends their frames to `out[fan]`; as DecapPath.process. */
  process(rx: PacketBatch, site: Site, out: readonly PacketBatch[]): void {
    for (let i = 0; i < rx.count; i++) {
      const off = rx.offset(i);
      const sender = rx.address(i) | 0;
      const reason = this.#check(rx, i, site, sender);
      const fan = this.#fan;
      if (reason === OUTSIDE_SLICE && this.#takeProbe(fan!, rx, off + VXLAN_LEN, sender)) {
        rx.setVerdict(i, KEEP, NONE, 1);
        continue;
      }
      const block = fan === undefined ? HOST_BLOCK : fan.counterBlock;
      const innerLen = Math.max(0, this.#frameLen - LINK);
      const headers =
        fan === undefined || reason !== KEEP ? 0 : mergedHeaderLen(fan, rx, off + TUNNEL_LEN, innerLen);
      const segments = headers === 0 ? 1 : segmentCount(fan!, innerLen, headers);
      const innerBytes = innerLen + (segments - 1) * headers;
      this.#counters.add(block, COUNTER['decap-rx-packets'], segments);
      this.#counters.add(block, COUNTER['decap-rx-bytes'], innerBytes);
      rx.setVerdict(i, reason, fan === undefined ? NONE : fan.index, segments);
      if (reason === KEEP) {
        this.#peers.received(block, sender, segments, innerBytes);
        out[fan!.index]!.appendRange(rx, i, off + VXLAN_LEN, this.#frameLen, headers, segments);
        continue;
      }
      this.#counters.drop(block, reason, segments);
      if (fan !== undefined) this.#counters.blame(block, reason, sender);
    }
  }

  /** As DecapPath.settle. */
  settle(fan: FanEntry, batch: PacketBatch, failed: number): void {
    let packets = 0;
    let innerBytes = 0;
    for (let i = 0; i < batch.count; i++) {
      const segments = batch.tag(i);
      if (failed !== 0 && batch.error(i) !== 0) {
        this.#counters.drop(fan.counterBlock, DROP['tun-write-failed'], segments);
        continue;
      }
      packets += segments;
      innerBytes += batch.length(i) - LINK + (segments - 1) * batch.address(i);
    }
    this.#counters.add(fan.counterBlock, COUNTER['decap-tx-packets'], packets);
    this.#counters.add(fan.counterBlock, COUNTER['decap-tx-bytes'], innerBytes);
  }

  /** The frame has passed every check but the last. */
  #takeProbe(fan: FanEntry, rx: PacketBatch, frame: number, sender: number): boolean {
    if (etherType(rx.slab, frame) === ETHERTYPE_ARP) return false;
    const inner = frame + LINK;
    return this.#probes?.take(fan, rx.slab, inner, sender, destinationBits(rx.slab, inner)) ?? false;
  }

  #check(rx: PacketBatch, i: number, site: Site, sender: number): DropReason {
    const off = rx.offset(i);
    const len = rx.length(i);
    this.#fan = undefined;
    this.#frameLen = len - VXLAN_LEN;
    if (len < VXLAN_LEN) return DROP['vxlan-malformed'];
    const vni = readVni(rx.view, off);
    if (vni < 0) return DROP['vxlan-malformed'];
    const fan = this.#fanOf(site, vni);
    if (fan === undefined) return DROP.vni;
    this.#fan = fan;
    if (sender === fan.address || this.#table.isOwnAddress(sender)) return DROP['outer-source'];
    const frame = off + VXLAN_LEN;
    const wrong = checkEthernet(rx.slab, frame, len - VXLAN_LEN);
    if (wrong !== KEEP) return outsider(fan, sender) || wrong;
    if (etherType(rx.slab, frame) === ETHERTYPE_ARP)
      return this.#checkArp(fan, rx, frame, len - VXLAN_LEN, sender);
    return this.#checkPacket(fan, rx, frame + LINK, len - TUNNEL_LEN, sender, rx.tag(i) & 0xff);
  }

  #checkArp(fan: FanEntry, rx: PacketBatch, frame: number, len: number, sender: number): DropReason {
    const malformed = checkArp(rx.slab, frame, len);
    if (malformed !== KEEP) return outsider(fan, sender) || malformed;
    this.#frameLen = LINK + ARP_LEN;
    const foreign = judgeInnerSource(fan, sender, arpSender(rx.view, frame));
    if (foreign !== KEEP) return foreign;
    return isHostOfSlice(fan, arpTarget(rx.view, frame)) ? KEEP : OUTSIDE_SLICE;
  }

  #checkPacket(
    fan: FanEntry,
    rx: PacketBatch,
    off: number,
    len: number,
    sender: number,
    outerTos: number,
  ): DropReason {
    const bytes = rx.slab;
    const malformed = checkInnerIpv4(bytes, off, len);
    if (malformed !== KEEP) return outsider(fan, sender) || malformed;
    this.#frameLen = LINK + totalLength(bytes, off);
    const foreign = judgeInnerSource(fan, sender, sourceBits(bytes, off));
    if (foreign !== KEEP) return foreign;
    if (!isHostOfSlice(fan, destinationBits(bytes, off))) return OUTSIDE_SLICE;
    const innerTos = tos(bytes, off);
    if (((outerTos ^ innerTos) & 3) === 0) return KEEP;
    const newTos = decapEcn(outerTos, innerTos);
    if (newTos === ECN_DROP) return DROP.ecn;
    applyTos(bytes, off, newTos);
    return KEEP;
  }

  #fanOf(site: Site, vni: number): FanEntry | undefined {
    const { fans } = this.#table;
    for (let k = 0; k < fans.length; k++) {
      const fan = fans[k]!;
      const { vxlan } = fan;
      if (vxlan!.vni === vni && vxlan!.port === site.udpPort && fan.address === (site.address | 0))
        return fan;
    }
    return undefined;
  }
}

/** That a sender isn't of the underlay is the graver fault than what it sent; KEEP where it is. */
function outsider(fan: FanEntry, sender: number): DropReason {
  const isHost =
    (sender & fan.underlayMask) === fan.underlayBase &&
    sender !== fan.underlayBase &&
    sender !== fan.underlayBroadcast;
  return isHost ? KEEP : DROP['outer-source'];
}

/**
 * Header bytes that each segment of a merged packet had, or 0 for a packet that was one on its way. Bursts that came as
 * datagrams are datagrams here; but what the sender's kernel passed to ours uncut is longer than the link carries.
 */
function mergedHeaderLen(fan: FanEntry, rx: PacketBatch, inner: number, innerLen: number): number {
  if (innerLen <= fan.underlayMtu - VXLAN_OUTER_LEN) return 0;
  const bytes = rx.slab;
  if (protocol(bytes, inner) !== PROTOCOL_TCP || isFragment(bytes, inner)) return 0;
  const ipLen = headerLen(bytes, inner);
  if (innerLen < ipLen + LEAST_TCP_HEADER) return 0;
  return ipLen + ((bytes[inner + ipLen + 12]! >> 4) << 2);
}

function segmentCount(fan: FanEntry, innerLen: number, headers: number): number {
  const size = fan.underlayMtu - VXLAN_OUTER_LEN - headers;
  return size <= 0 ? 1 : Math.max(1, Math.ceil((innerLen - headers) / size));
}
