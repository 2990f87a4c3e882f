/**
 * Encap: what came out of the TUN, and leaves as IP-in-IP on the underlay (RFC 2003 §3).
 *
 *   1. check     the inner packet may travel: IPv4, whole, from our slice, to a peer
 *   2. map       its destination to the underlay host
 *   3. fit       the path's MTU, or answer the sender (too-big.ts), or go in fragments
 *   4. header    20 bytes in front of it
 * Sending is the forwarder's; `settle` then counts what left and what the kernel refused.
 */
import { DROP, type DropReason, KEEP } from '../../base/drop-reason.js';
import { underlayHostBits } from '../../fan/mapping.js';
import type { PacketBatch } from '../../io/packet-batch.js';
import { OUTER_LEN } from '../../wire/ipip.js';
import { checkInnerIpv4, DESTINATION, SOURCE, TOS, TTL } from '../../wire/ipv4.js';
import { isPlainInner, PLAIN_LEN, writePlainOuter } from '../../wire/plain-header.js';
import { COUNTER, type Counters } from '../tables/counters.js';
import { type FanEntry, type ForwardingTable, isHostOfSlice } from '../tables/forwarding-table.js';
import { PeerTable } from '../tables/peer-table.js';
import type { PathMtuTable } from './path-mtu.js';
import type { TooBig } from './too-big.js';

const EMSGSIZE = 90;
// The compiler folds a constant of this module; it reads an imported one, and looks at it, again for each packet.
const hostOf = underlayHostBits;
const isOurHost = isHostOfSlice;
const isInner = isPlainInner;
const KEPT = KEEP;
const PLAIN = PLAIN_LEN;
const OUTER = OUTER_LEN;
const TOS_AT = TOS;
const TTL_AT = TTL;
const SOURCE_AT = SOURCE;
const DESTINATION_AT = DESTINATION;

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
    const fitsAll = Math.min(fan.underlayMtu, this.#pathMtu.smallest) - OUTER;
    let packets = 0;
    let innerBytes = 0;
    let i = from;
    for (; i < rx.count && tx.count < tx.capacity; i++) {
      const len = rx.length(i);
      const whole = rx.isWhole(i);
      const segments = whole ? 1 : segmentsOf(rx, i, len);
      packets += segments;
      innerBytes += whole ? len : len + (segments - 1) * rx.headerLen(i);
      const reason = this.#check(fan, rx, rx.offset(i), len);
      rx.setVerdict(i, reason, fan.index, segments);
      if (reason !== KEPT) {
        this.#counters.drop(fan.counterBlock, reason, segments);
        continue;
      }
      const longest = whole ? len : rx.headerLen(i) + rx.gsoSize(i);
      if (longest > fitsAll && !this.#fit(fan, rx, i, longest + OUTER, tx, nowMs)) continue;
      this.#emit(fan, rx, i, tx, segments);
    }
    this.#counters.add(fan.counterBlock, COUNTER['encap-rx-packets'], packets);
    this.#counters.add(fan.counterBlock, COUNTER['encap-rx-bytes'], innerBytes);
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
        let len = tx.length(i) - OUTER;
        if (segments > 1) len += (segments - 1) * (tx.headerLen(i) - OUTER);
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
    const { view } = rx;
    if (len < PLAIN) return checkInnerIpv4(rx.slab, off, len);
    const source = view.getInt32(off + SOURCE_AT);
    const target = view.getInt32(off + DESTINATION_AT);
    const first = view.getInt32(off);
    const second = view.getInt32(off + 4);
    const third = view.getInt32(off + 8);
    if (!isInner(first, second, third, source, target, len)) {
      const malformed = checkInnerIpv4(rx.slab, off, len);
      if (malformed !== KEPT) return malformed;
    }
    if (!this.#isOurs(fan, source)) return DROP['source-not-ours'];
    if ((target & fan.overlayMask) !== fan.overlayBase) return DROP['outside-overlay'];
    return this.#checkExit(fan, hostOf(fan, target));
  }

  #checkExit(fan: FanEntry, exit: number): DropReason {
    this.#exit = exit;
    if (exit === fan.underlayBase) return DROP['underlay-network'];
    if (exit === fan.underlayBroadcast) return DROP['underlay-broadcast'];
    if (this.#table.isOwnAddress(exit)) return DROP['to-ourselves'];
    if (fan.exitMayBeOverlay && this.#table.fanOf(exit) !== undefined) return DROP['to-ourselves'];
    return KEPT;
  }

  /** A host address of this fan's slice, or of a sibling's that leaves by the same underlay address. */
  #isOurs(fan: FanEntry, from: number): boolean {
    return isOurHost(fan, from) || this.#table.isSiblingSource(fan, from);
  }

  /** Whether the checked packet i goes the usual way, `wireLen` bytes at most a packet; if not, too-big.ts had it. */
  #fit(fan: FanEntry, rx: PacketBatch, i: number, wireLen: number, tx: PacketBatch, nowMs: number): boolean {
    const limit = this.#pathMtu.lookup(this.#exit, fan.underlayMtu, nowMs);
    return wireLen <= limit || this.#tooBig.handle(fan, rx, i, this.#exit, limit, tx, nowMs);
  }

  #emit(fan: FanEntry, rx: PacketBatch, i: number, tx: PacketBatch, segments: number): void {
    const off = rx.offset(i);
    const len = rx.length(i) + OUTER;
    tx.appendRange(rx, i, off - OUTER, len, this.#exit, segments);
    const outerTos = fan.outerTos[rx.view.getUint8(off + TOS_AT)]!;
    const outerTtl = fan.ttl < 0 ? rx.view.getUint8(off + TTL_AT) : fan.ttl;
    // The length of a super-packet may pass 65,535 with the outer header: segmentation writes each segment's own.
    writePlainOuter(rx.view, off - OUTER, len & 0xffff, fan.address, this.#exit, outerTos, outerTtl);
  }
}

/** Wire packets that the super-packet i stands for. */
function segmentsOf(rx: PacketBatch, i: number, len: number): number {
  const size = rx.gsoSize(i);
  return size === 0 ? 1 : Math.max(1, Math.ceil((len - rx.headerLen(i)) / size));
}
