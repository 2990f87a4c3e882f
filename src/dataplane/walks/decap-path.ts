/**
 * Decap: what the underlay brought as IP-in-IP, and goes into the TUN (RFC 2003 §3, RFC 6040 §4.2).
 *
 *   1. outer     a whole IPv4 header, for an underlay address of a fan, from a host of its underlay
 *   2. inner     a whole IPv4 packet that is no tunnel packet itself
 *   3. source    maps to the host that sent it: nobody speaks for another host's containers
 *   4. target    a host address of our slice
 *   5. ECN       congestion on the underlay is carried inward
 * The outer header is then simply left out of the range; nothing is copied.
 */
import { DROP, type DropReason, KEEP } from '../../base/drop-reason.js';
import { underlayHostBits } from '../../fan/mapping.js';
import type { PacketBatch } from '../../io/packet-batch.js';
import { decapEcn, ECN_DROP } from '../../wire/ecn.js';
import { applyTos, OUTER_LEN } from '../../wire/ipip.js';
import {
  checkInnerIpv4,
  checkOuterIpv4,
  DESTINATION,
  destinationBits,
  dontFragment,
  headerLen,
  isFragment,
  PROTOCOL_TCP,
  protocol,
  SOURCE,
  sourceBits,
  tos,
} from '../../wire/ipv4.js';
import { isPlainInner, isPlainOuter, PLAIN_LEN } from '../../wire/plain-header.js';
import { COUNTER, type Counters, HOST_BLOCK } from '../tables/counters.js';
import { type FanEntry, type ForwardingTable, isHostOfSlice } from '../tables/forwarding-table.js';
import { PeerTable } from '../tables/peer-table.js';
import type { ProbeTap } from './probe-tap.js';

// The compiler folds a constant of this module. An imported one, or a function that is declared, it looks at again for
// each packet.
const hostOf = underlayHostBits;
const isOurHost = isHostOfSlice;
const isInner = isPlainInner;
const isOuter = isPlainOuter;
const KEPT = KEEP;
const PLAIN = PLAIN_LEN;
const OUTER = OUTER_LEN;
const HOST = HOST_BLOCK;
const SOURCE_AT = SOURCE;
const DESTINATION_AT = DESTINATION;

/** Of a header's first word. */
const ECN_BITS = 3 << 16;
const LEAST_TCP_HEADER = 20;
const UDP_HEADER = 8;
/** 255.255.255.255 as int32. */
const LIMITED_BROADCAST = -1;
/** No fan. */
const NONE = -1;
const OUTSIDE_SLICE = DROP['destination-outside-slice'];

export class DecapPath {
  readonly #counters: Counters;
  /** Undefined in tests: probes are then dropped. */
  readonly #probes: ProbeTap | undefined;
  readonly #peers: PeerTable;
  #table: ForwardingTable;
  /** Of the last checked packet: the fan it counts under, and where its inner packet lies. */
  #fan: FanEntry | undefined;
  #innerOff = 0;
  #innerLen = 0;

  constructor(counters: Counters, table: ForwardingTable, peers = new PeerTable(), probes?: ProbeTap) {
    this.#counters = counters;
    this.#peers = peers;
    this.#probes = probes;
    this.#table = table;
  }

  configure(table: ForwardingTable): void {
    this.#table = table;
  }

  /**
   * Takes all packets of `rx` (outer header first) and appends the inner ones to `out[fan]`, batches that share
   * the slab and have at least its capacity.
   */
  process(rx: PacketBatch, out: readonly PacketBatch[]): void {
    let block = HOST;
    let packets = 0;
    let allBytes = 0;
    for (let i = 0; i < rx.count; i++) {
      const off = rx.offset(i);
      const reason = this.#check(rx, off, rx.length(i));
      const fan = this.#fan;
      if (reason === OUTSIDE_SLICE && this.#takeProbe(fan!, rx.slab, off)) {
        rx.setVerdict(i, KEPT, NONE, 1);
        continue;
      }
      const headers = fan === undefined ? 0 : mergedHeaderLen(fan, rx, i, this.#innerOff, this.#innerLen);
      const segments = headers === 0 ? 1 : segmentCount(fan!, rx, i, this.#innerLen, headers);
      const innerBytes = this.#innerLen + (segments - 1) * headers;
      const own = fan === undefined ? HOST : fan.counterBlock;
      if (own !== block) {
        this.#countReceived(block, packets, allBytes);
        block = own;
        packets = 0;
        allBytes = 0;
      }
      packets += segments;
      allBytes += innerBytes;
      rx.setVerdict(i, reason, fan === undefined ? NONE : fan.index, segments);
      if (reason === KEPT) {
        this.#peers.received(block, rx.view.getInt32(off + SOURCE_AT), segments, innerBytes);
        out[fan!.index]!.appendRange(rx, i, this.#innerOff, this.#innerLen, headers, segments);
      } else {
        this.#countDrop(fan, reason, segments, sourceBits(rx.slab, off));
      }
    }
    this.#countReceived(block, packets, allBytes);
  }

  #countReceived(block: number, packets: number, innerBytes: number): void {
    this.#counters.add(block, COUNTER['decap-rx-packets'], packets);
    this.#counters.add(block, COUNTER['decap-rx-bytes'], innerBytes);
  }

  #countDrop(fan: FanEntry | undefined, reason: DropReason, packets: number, from: number): void {
    this.#counters.drop(fan === undefined ? HOST : fan.counterBlock, reason, packets);
    if (fan !== undefined) this.#counters.blame(fan.counterBlock, reason, from);
  }

  /** Counts a batch that was written to `fan`'s TUN: `failed` descriptors carry an errno. */
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
      innerBytes += batch.length(i) + (segments - 1) * batch.address(i);
    }
    this.#counters.add(fan.counterBlock, COUNTER['decap-tx-packets'], packets);
    this.#counters.add(fan.counterBlock, COUNTER['decap-tx-bytes'], innerBytes);
  }

  #takeProbe(fan: FanEntry, bytes: Uint8Array, off: number): boolean {
    const inner = this.#innerOff;
    const target = destinationBits(bytes, inner);
    return this.#probes?.take(fan, bytes, inner, sourceBits(bytes, off), target) ?? false;
  }

  /** The outer half. Leaves in the fields what is known of the packet where it goes no further, too. */
  #check(rx: PacketBatch, off: number, len: number): DropReason {
    const { view } = rx;
    this.#fan = undefined;
    this.#innerOff = off;
    this.#innerLen = len;
    if (len < PLAIN) return DROP['outer-malformed'];
    const first = view.getInt32(off);
    const second = view.getInt32(off + 4);
    const third = view.getInt32(off + 8);
    const sender = view.getInt32(off + SOURCE_AT);
    const us = view.getInt32(off + DESTINATION_AT);
    let header = PLAIN;
    if (!isOuter(first, second, third, sender, us, len)) {
      if (checkOuterIpv4(rx.slab, off, len) !== KEPT) return DROP['outer-malformed'];
      header = headerLen(rx.slab, off);
    }
    this.#innerOff = off + header;
    this.#innerLen = (first & 0xffff) - header;
    const fan = this.#table.fanAt(us);
    if (fan === undefined) return DROP['outer-destination'];
    this.#fan = fan;
    if (this.#table.isOwnAddress(sender)) return DROP['outer-source'];
    return this.#checkInner(fan, rx, off + header, this.#innerLen, sender, first);
  }

  #checkInner(
    fan: FanEntry,
    rx: PacketBatch,
    off: number,
    len: number,
    sender: number,
    outerFirst: number,
  ): DropReason {
    const { view } = rx;
    if (len < PLAIN) return malformed(fan, rx, off, len, sender);
    const first = view.getInt32(off);
    const second = view.getInt32(off + 4);
    const third = view.getInt32(off + 8);
    const from = view.getInt32(off + SOURCE_AT);
    const to = view.getInt32(off + DESTINATION_AT);
    if (!isInner(first, second, third, from, to, len)) {
      const reason = malformed(fan, rx, off, len, sender);
      if (reason !== KEPT) return reason;
    }
    this.#innerLen = first & 0xffff;
    const meant = this.#meant(fan, from);
    const foreign = checkSource(meant, sender, from);
    if (foreign !== KEPT) return foreign;
    if (!isOurHost(meant, to)) return OUTSIDE_SLICE;
    // As encap of the other side has left it, unless a router marked congestion.
    return ((outerFirst ^ first) & ECN_BITS) === 0 ? KEPT : applyEcn(rx.slab, off, outerFirst);
  }

  /** Several fans may share an underlay address: the inner source's overlay tells which one is meant. */
  #meant(fan: FanEntry, from: number): FanEntry {
    if (this.#table.fans.length === 1) return fan;
    const found = this.#table.fanOf(from);
    if (found === undefined || found.address !== fan.address) return fan;
    this.#fan = found;
    return found;
  }
}

/** Of an inner packet from `from` that `sender` sent. */
const checkSource = (fan: FanEntry, sender: number, from: number): DropReason => {
  const foreign = checkUnderlay(fan, sender);
  if (foreign !== KEPT) return foreign;
  if ((from & fan.overlayMask) !== fan.overlayBase) {
    return isMartian(from) ? DROP['source-martian'] : DROP['source-forged'];
  }
  // No overlay has any other martian in it (fan/mapping.ts).
  if (from === LIMITED_BROADCAST) return DROP['source-martian'];
  if ((from & fan.sliceMask) === fan.sliceBase) return DROP['source-in-slice'];
  if (hostOf(fan, from) !== sender) return DROP['source-forged'];
  return isEdgeOfItsSlice(fan, from) ? DROP['source-martian'] : KEPT;
};

/** The same for the walk of VXLAN (vxlan-decap.ts), where `from` may be of ARP. */
export function judgeInnerSource(fan: FanEntry, sender: number, from: number): DropReason {
  return checkSource(fan, sender, from);
}

/** checkInnerIpv4's reason, if any; but a sender who isn't of the underlay is the graver one. */
function malformed(fan: FanEntry, rx: PacketBatch, off: number, len: number, sender: number): DropReason {
  const reason = checkInnerIpv4(rx.slab, off, len);
  return reason === KEPT ? KEPT : checkUnderlay(fan, sender) || reason;
}

const checkUnderlay = (fan: FanEntry, sender: number): DropReason => {
  if ((sender & fan.underlayMask) !== fan.underlayBase) return DROP['outer-source'];
  if (sender === fan.underlayBase || sender === fan.underlayBroadcast) return DROP['outer-source'];
  return KEPT;
};

/** Carries the ECN of an outer header, given its first word, into the inner one at `off`. */
function applyEcn(bytes: Uint8Array, off: number, outerFirst: number): DropReason {
  const newTos = decapEcn((outerFirst >>> 16) & 0xff, tos(bytes, off));
  if (newTos === ECN_DROP) return DROP.ecn;
  applyTos(bytes, off, newTos);
  return KEPT;
}

/** 0/8, 127/8, multicast, and the limited broadcast address: never a source (RFC 1122 §3.2.1.3). */
function isMartian(from: number): boolean {
  const top = from >>> 24;
  return top === 0 || top === 127 || (top >= 224 && top < 240) || from === LIMITED_BROADCAST;
}

/** The network or broadcast address of the sender's slice, which is as long as ours. */
const isEdgeOfItsSlice = (fan: FanEntry, from: number): boolean => {
  const host = from & ~fan.sliceMask;
  return host === 0 || host === ~fan.sliceMask;
};

/**
 * Header bytes that each segment of a merged packet had, or 0 for a packet that was one packet on its way: the
 * kernel's GRO makes packets that are longer than the link carries. So does reassembly, which the kernel tells of; and
 * what a tunnel sends whole has DF set.
 */
const mergedHeaderLen = (
  fan: FanEntry,
  rx: PacketBatch,
  i: number,
  inner: number,
  innerLen: number,
): number => {
  if (!rx.isWhole(i)) return rx.headerLen(i) - (inner - rx.offset(i));
  if (innerLen <= fan.underlayMtu - OUTER || rx.isUnmerged(i)) return 0;
  const bytes = rx.slab;
  if (!dontFragment(bytes, rx.offset(i))) return 0;
  const ipLen = headerLen(bytes, inner);
  if (innerLen < ipLen + LEAST_TCP_HEADER || isFragment(bytes, inner)) return 0;
  return (
    ipLen + (protocol(bytes, inner) === PROTOCOL_TCP ? (bytes[inner + ipLen + 12]! >> 4) << 2 : UDP_HEADER)
  );
};

const segmentCount = (
  fan: FanEntry,
  rx: PacketBatch,
  i: number,
  innerLen: number,
  headers: number,
): number => {
  const size = rx.gsoType(i) === 0 ? fan.underlayMtu - OUTER - headers : rx.gsoSize(i);
  return size <= 0 ? 1 : Math.max(1, Math.ceil((innerLen - headers) / size));
};
