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
import { DROP, type DropReason, KEEP } from '../base/drop-reason.js';
import { underlayHostBits } from '../fan/mapping.js';
import type { PacketBatch } from '../io/packet-batch.js';
import { decapEcn, ECN_DROP } from '../wire/ecn.js';
import { applyTos, OUTER_LEN } from '../wire/ipip.js';
import {
  checkInnerIpv4,
  checkOuterIpv4,
  destinationBits,
  dontFragment,
  headerLen,
  isFragment,
  PROTOCOL_TCP,
  protocol,
  sourceBits,
  tos,
} from '../wire/ipv4.js';
import {
  isPlainInner,
  isPlainOuter,
  plainDestination,
  plainSource,
  plainTotalLength,
} from '../wire/plain-header.js';
import { COUNTER, type Counters, HOST_BLOCK } from './counters.js';
import { type FanEntry, type ForwardingTable, isHostOfSlice } from './forwarding-table.js';
import { PeerTable } from './peer-table.js';
import type { ProbeTap } from './probe-tap.js';

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
  #fan = NONE;
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
    const bytes = rx.slab;
    const fans = this.#table.fans;
    let block = HOST_BLOCK;
    let packets = 0;
    let allBytes = 0;
    for (let i = 0; i < rx.count; i++) {
      const off = rx.offset(i);
      const reason = this.#check(rx, off, rx.length(i));
      const fan = fans[this.#fan];
      if (reason === OUTSIDE_SLICE && this.#takeProbe(fan!, bytes, off)) {
        rx.setVerdict(i, KEEP, NONE, 1);
        continue;
      }
      const headers =
        fan === undefined ? 0 : mergedHeaderLen(fan, rx, i, bytes, this.#innerOff, this.#innerLen);
      const segments = headers === 0 ? 1 : segmentCount(fan!, rx, i, this.#innerLen, headers);
      const innerBytes = this.#innerLen + (segments - 1) * headers;
      const own = fan === undefined ? HOST_BLOCK : fan.counterBlock;
      if (own !== block) {
        this.#countReceived(block, packets, allBytes);
        block = own;
        packets = 0;
        allBytes = 0;
      }
      packets += segments;
      allBytes += innerBytes;
      rx.setVerdict(i, reason, this.#fan, segments);
      if (reason !== KEEP) this.#countDrop(fan, reason, segments, sourceBits(bytes, off));
      else this.#emit(rx, i, out[this.#fan]!, segments, headers, innerBytes);
    }
    this.#countReceived(block, packets, allBytes);
  }

  #countReceived(block: number, packets: number, innerBytes: number): void {
    this.#counters.add(block, COUNTER['decap-rx-packets'], packets);
    this.#counters.add(block, COUNTER['decap-rx-bytes'], innerBytes);
  }

  #countDrop(fan: FanEntry | undefined, reason: DropReason, packets: number, from: number): void {
    this.#counters.drop(fan === undefined ? HOST_BLOCK : fan.counterBlock, reason, packets);
    if (fan !== undefined) this.#counters.blame(fan.counterBlock, reason, from);
  }

  /** The inner packet of packet i to its fan's batch; `headers` as of mergedHeaderLen. */
  #emit(
    rx: PacketBatch,
    i: number,
    batch: PacketBatch,
    segments: number,
    headers: number,
    innerBytes: number,
  ): void {
    const off = rx.offset(i);
    this.#peers.received(
      this.#table.fans[this.#fan]!.counterBlock,
      plainSource(rx.words, off >> 2),
      segments,
      innerBytes,
    );
    const at = batch.appendShifted(rx, i, off - this.#innerOff);
    batch.setRange(at, this.#innerOff, this.#innerLen);
    batch.setTag(at, segments);
    batch.setAddress(at, headers);
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

  #check(rx: PacketBatch, off: number, len: number): DropReason {
    const { words, slab: bytes } = rx;
    this.#fan = NONE;
    this.#innerOff = off;
    this.#innerLen = len;
    if (!isPlainOuter(words, off >> 2, len) && checkOuterIpv4(bytes, off, len) !== KEEP) {
      return DROP['outer-malformed'];
    }
    const inner = off + headerLen(bytes, off);
    const innerLen = plainTotalLength(words, off >> 2) - (inner - off);
    this.#innerOff = inner;
    this.#innerLen = innerLen;
    const first = this.#table.fanAt(plainDestination(words, off >> 2));
    if (first === NONE) return DROP['outer-destination'];
    this.#fan = first;
    const outerSource = plainSource(words, off >> 2);
    if (this.#table.isOwnAddress(outerSource)) return DROP['outer-source'];
    if (!isPlainInner(words, inner >> 2, innerLen)) {
      const malformed = checkInnerIpv4(bytes, inner, innerLen);
      if (malformed !== KEEP) return this.#checkUnderlay(outerSource) || malformed;
    }
    this.#innerLen = plainTotalLength(words, inner >> 2);
    return this.#checkAddresses(rx, off, inner, outerSource);
  }

  #checkAddresses(rx: PacketBatch, off: number, inner: number, outerSource: number): DropReason {
    const { words, slab: bytes } = rx;
    const from = plainSource(words, inner >> 2);
    this.#chooseFan(from);
    const foreign = this.#checkUnderlay(outerSource);
    if (foreign !== KEEP) return foreign;
    const fan = this.#table.fans[this.#fan]!;
    if (isMartian(from)) return DROP['source-martian'];
    if ((from & fan.overlayMask) !== fan.overlayBase) return DROP['source-forged'];
    if ((from & fan.sliceMask) === fan.sliceBase) return DROP['source-in-slice'];
    if (underlayHostBits(fan, from) !== outerSource) return DROP['source-forged'];
    if (isEdgeOfItsSlice(fan, from)) return DROP['source-martian'];
    if (!isHostOfSlice(fan, plainDestination(words, inner >> 2))) return OUTSIDE_SLICE;
    const newTos = decapEcn(tos(bytes, off), tos(bytes, inner));
    if (newTos === ECN_DROP) return DROP.ecn;
    applyTos(bytes, inner, newTos);
    return KEEP;
  }

  /** Several fans may share an underlay address: the inner source's overlay tells which one is meant. */
  #chooseFan(from: number): void {
    const fans = this.#table.fans;
    if (fans.length === 1) return;
    const found = this.#table.lookup(from);
    if (found >= 0 && fans[found]!.address === fans[this.#fan]!.address) this.#fan = found;
  }

  #checkUnderlay(outerSource: number): DropReason {
    const fan = this.#table.fans[this.#fan]!;
    const inside = (outerSource & fan.underlayMask) === fan.underlayBase;
    const edge = outerSource === fan.underlayBase || outerSource === fan.underlayBroadcast;
    return inside && !edge ? KEEP : DROP['outer-source'];
  }
}

/** 0/8, 127/8, multicast, and the limited broadcast address: never a source (RFC 1122 §3.2.1.3). */
function isMartian(from: number): boolean {
  const top = from >>> 24;
  return top === 0 || top === 127 || (top >= 224 && top < 240) || from === LIMITED_BROADCAST;
}

/** The network or broadcast address of the sender's slice, which is as long as ours. */
function isEdgeOfItsSlice(fan: FanEntry, from: number): boolean {
  const host = from & ~fan.sliceMask;
  return host === 0 || host === ~fan.sliceMask;
}

/**
 * Header bytes that each segment of a merged packet had, or 0 for a packet that was one packet on its way: the
 * kernel's GRO makes packets that are longer than the link carries. So does reassembly, but a datagram that was
 * fragmented has DF clear, and what a tunnel sends whole has it set.
 */
function mergedHeaderLen(
  fan: FanEntry,
  rx: PacketBatch,
  i: number,
  bytes: Uint8Array,
  inner: number,
  innerLen: number,
): number {
  if (rx.gsoType(i) === 0 && innerLen + OUTER_LEN <= fan.underlayMtu) return 0;
  if (rx.gsoType(i) !== 0) return rx.headerLen(i) - (inner - rx.offset(i));
  if (!dontFragment(bytes, rx.offset(i))) return 0;
  const ipLen = headerLen(bytes, inner);
  if (innerLen < ipLen + LEAST_TCP_HEADER || isFragment(bytes, inner)) return 0;
  return (
    ipLen + (protocol(bytes, inner) === PROTOCOL_TCP ? (bytes[inner + ipLen + 12]! >> 4) << 2 : UDP_HEADER)
  );
}

function segmentCount(fan: FanEntry, rx: PacketBatch, i: number, innerLen: number, headers: number): number {
  const size = rx.gsoType(i) === 0 ? fan.underlayMtu - OUTER_LEN - headers : rx.gsoSize(i);
  return size <= 0 ? 1 : Math.max(1, Math.ceil((innerLen - headers) / size));
}
