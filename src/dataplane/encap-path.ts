/**
 * Encap: what came out of the TUN, and leaves as IP-in-IP on the underlay (RFC 2003 §3).
 *
 *   1. check     the inner packet may travel: IPv4, whole, from our slice, to a peer
 *   2. map       its destination to the underlay host
 *   3. fit       the path's MTU, or answer the sender (too-big.ts), or go in fragments
 *   4. header    20 bytes in front of it
 * Sending is the forwarder's; `settle` then counts what left and what the kernel refused.
 */
import { DROP, type DropReason, KEEP } from '../base/drop-reason.js';
import { underlayHostBits } from '../fan/mapping.js';
import type { PacketBatch } from '../io/packet-batch.js';
import { OUTER_LEN } from '../wire/ipip.js';
import { checkInnerIpv4, tos, ttl } from '../wire/ipv4.js';
import { isPlainInner, plainDestination, plainSource, writePlainOuter } from '../wire/plain-header.js';
import { COUNTER, type Counters } from './counters.js';
import { type FanEntry, type ForwardingTable, isHostOfSlice } from './forwarding-table.js';
import type { PathMtuTable } from './path-mtu.js';
import { PeerTable } from './peer-table.js';
import type { TooBig } from './too-big.js';

const EMSGSIZE = 90;

export class EncapPath {
  readonly #counters: Counters;
  readonly #pathMtu: PathMtuTable;
  readonly #tooBig: TooBig;
  readonly #peers: PeerTable;
  #table: ForwardingTable;
  /** The underlay host that the last checked packet goes to, int32. */
  #exit = 0;

  constructor(
    counters: Counters,
    pathMtu: PathMtuTable,
    tooBig: TooBig,
    table: ForwardingTable,
    peers = new PeerTable(),
  ) {
    this.#counters = counters;
    this.#pathMtu = pathMtu;
    this.#tooBig = tooBig;
    this.#peers = peers;
    this.#table = table;
  }

  configure(table: ForwardingTable): void {
    this.#table = table;
  }

  /**
   * Takes packets of `rx` (read from `fan`'s TUN) from index `from` on and appends outer packets to `tx`, which
   * shares the slab. Returns the index of the first packet not taken: less than rx.count when `tx` is full.
   */
  process(fan: FanEntry, rx: PacketBatch, from: number, tx: PacketBatch, nowMs: number): number {
    const counters = this.#counters;
    const block = fan.counterBlock;
    let packets = 0;
    let innerBytes = 0;
    let i = from;
    for (; i < rx.count && tx.count < tx.capacity; i++) {
      const off = rx.offset(i);
      const len = rx.length(i);
      const segments = segmentsOf(rx, i, len);
      packets += segments;
      innerBytes += len + (segments - 1) * rx.headerLen(i);
      const reason = this.#check(fan, rx, off, len);
      rx.setVerdict(i, reason, fan.index, segments);
      if (reason !== KEEP) {
        counters.drop(block, reason, segments);
        continue;
      }
      const wireLen = (rx.gsoType(i) === 0 ? len : rx.headerLen(i) + rx.gsoSize(i)) + OUTER_LEN;
      if (wireLen > fan.underlayMtu || wireLen > this.#pathMtu.smallest) {
        const limit = this.#pathMtu.lookup(this.#exit, fan.underlayMtu, nowMs);
        if (wireLen > limit && !this.#tooBig.handle(fan, rx, i, this.#exit, limit, tx, nowMs)) continue;
      }
      this.#emit(fan, rx, i, tx, segments);
    }
    counters.add(block, COUNTER['encap-rx-packets'], packets);
    counters.add(block, COUNTER['encap-rx-bytes'], innerBytes);
    return i;
  }

  /** Counts a sent batch: `failed` descriptors carry an errno. Later fragments of a datagram have tag 0. */
  settle(fan: FanEntry, tx: PacketBatch, failed: number): void {
    let packets = 0;
    let innerBytes = 0;
    for (let i = 0; i < tx.count; i++) {
      const segments = tx.tag(i);
      const errno = failed === 0 ? 0 : tx.error(i);
      if (errno !== 0) {
        const reason = errno === EMSGSIZE ? DROP['too-big'] : DROP['send-failed'];
        this.#counters.drop(fan.counterBlock, reason, segments || 1);
      } else {
        let len = tx.length(i) - OUTER_LEN;
        if (segments > 1) len += (segments - 1) * (tx.headerLen(i) - OUTER_LEN);
        packets += segments;
        innerBytes += len;
        this.#peers.sent(fan.counterBlock, tx.address(i) | 0, segments, len);
      }
    }
    this.#counters.add(fan.counterBlock, COUNTER['encap-tx-packets'], packets);
    this.#counters.add(fan.counterBlock, COUNTER['encap-tx-bytes'], innerBytes);
  }

  /** Whether the packet may travel; leaves its underlay host in #exit. */
  #check(fan: FanEntry, rx: PacketBatch, off: number, len: number): DropReason {
    const { words } = rx;
    const at = off >> 2;
    if (!isPlainInner(words, at, len)) {
      const malformed = checkInnerIpv4(rx.slab, off, len);
      if (malformed !== KEEP) return malformed;
    }
    if (!this.#isOurs(fan, plainSource(words, at))) return DROP['source-not-ours'];
    const target = plainDestination(words, at);
    if ((target & fan.overlayMask) !== fan.overlayBase) return DROP['outside-overlay'];
    return this.#checkExit(fan, underlayHostBits(fan, target));
  }

  #checkExit(fan: FanEntry, exit: number): DropReason {
    this.#exit = exit;
    if (exit === fan.underlayBase) return DROP['underlay-network'];
    if (exit === fan.underlayBroadcast) return DROP['underlay-broadcast'];
    if (this.#table.isOwnAddress(exit)) return DROP['to-ourselves'];
    if (fan.exitMayBeOverlay && this.#table.lookup(exit) >= 0) return DROP['to-ourselves'];
    return KEEP;
  }

  /** A host address of this fan's slice, or of a sibling's that leaves by the same underlay address. */
  #isOurs(fan: FanEntry, from: number): boolean {
    return isHostOfSlice(fan, from) || this.#table.isSiblingSource(fan, from);
  }

  #emit(fan: FanEntry, rx: PacketBatch, i: number, tx: PacketBatch, segments: number): void {
    const off = rx.offset(i);
    const at = tx.appendShifted(rx, i, OUTER_LEN);
    tx.setAddress(at, this.#exit);
    tx.setTag(at, segments);
    const outerTos = fan.outerTos[tos(rx.slab, off)]!;
    const outerTtl = fan.ttl < 0 ? ttl(rx.slab, off) : fan.ttl;
    // The length of a super-packet may pass 65,535 with the outer header: segmentation writes each segment's own.
    const totalLen = (rx.length(i) + OUTER_LEN) & 0xffff;
    writePlainOuter(rx.words, (off - OUTER_LEN) >> 2, totalLen, fan.address, this.#exit, outerTos, outerTtl);
  }
}

/** Wire packets that packet i stands for. */
export function segmentsOf(rx: PacketBatch, i: number, len: number): number {
  if (rx.gsoType(i) === 0) return 1;
  const size = rx.gsoSize(i);
  return size === 0 ? 1 : Math.max(1, Math.ceil((len - rx.headerLen(i)) / size));
}
