/**
 * Step 3 of encap, the rare case: the packet is larger than the path takes.
 *
 *   DF set                     the sender is told the inner MTU (ICMP 3/4, RFC 1191 §4), the packet is dropped
 *   TCP super-packet, no DF    it is cut into smaller segments than planned: a stream has no packet borders
 *   anything else, no DF       outer fragments that share one ID (RFC 2003 §3.1), or dropped if the fan says so
 */
import { DROP } from '../../base/drop-reason.js';
import { native } from '../../io/native.js';
import {
  GSO_ECN,
  GSO_NONE,
  GSO_TCPV4,
  HEADROOM,
  MAX_PACKET,
  type PacketBatch,
} from '../../io/packet-batch.js';
import { ALL, type Share } from '../../io/receive-filter.js';
import { FRAGMENTATION_NEEDED } from '../../wire/icmpv4.js';
import { fragmentArea, fragmentOuter, OUTER_LEN, writeOuter } from '../../wire/ipip.js';
import { dontFragment, tos, ttl } from '../../wire/ipv4.js';
import { innerMtu } from '../../wire/path-error.js';
import { COUNTER, type Counters } from '../tables/counters.js';
import type { FanEntry } from '../tables/forwarding-table.js';
import type { IcmpReplies } from './icmp-replies.js';

/** A datagram of 64 kB in the smallest fragments (RFC 791: 68 bytes, 48 of data) makes 1366 of them. */
const MOST_FRAGMENTS = 1400;

/** 16 bits in the outer header (RFC 791); 0 marks what is no fragment. */
const MOST_ID = 0xffff;

/** A super-packet of 64 kB as datagrams with their own headers, the smallest segments aside. */
const DATAGRAM_ROOM = 2 * MAX_PACKET;
/** Bytes behind what the TUN fills that TooBig needs. */
export const FRAGMENT_ROOM = 2 * HEADROOM + DATAGRAM_ROOM + 4 * MAX_PACKET;

export class TooBig {
  readonly #counters: Counters;
  readonly #replies: IcmpReplies;
  readonly #ranges = new Uint32Array(2 * MOST_FRAGMENTS);
  /** Part of the slab where a packet is cut into datagrams, with room for an outer header before each. */
  readonly #datagrams: Uint8Array;
  readonly #datagramsAt: number;
  /** Where, behind that, fragments go; the next one at #area. */
  readonly #areaStart: number;
  #area: number;
  #id: number;
  readonly #idStep: number;

  /**
   * The bytes of `slab` (that of the tx batch) from `tail` on, at least FRAGMENT_ROOM of them, are ours. `share`: of
   * the IDs, which no two workers may use at a time, or a peer would put their fragments together.
   */
  constructor(counters: Counters, replies: IcmpReplies, slab: Uint8Array, tail: number, share: Share = ALL) {
    this.#id = share.index + 1 - share.count;
    this.#idStep = share.count;
    this.#counters = counters;
    this.#replies = replies;
    this.#datagramsAt = tail + HEADROOM;
    this.#areaStart = this.#datagramsAt + DATAGRAM_ROOM;
    this.#datagrams = slab.subarray(this.#datagramsAt, this.#areaStart);
    this.#area = this.#areaStart;
  }

  /** The fragments made so far have been sent. */
  reuse(): void {
    this.#area = this.#areaStart;
  }

  /**
   * Returns true when the packet now fits and goes the usual way; false when it was dealt with: dropped, counted
   * and answered, or appended to `tx` as fragments. `limit` is the largest outer packet.
   */
  handle(
    fan: FanEntry,
    rx: PacketBatch,
    i: number,
    exit: number,
    limit: number,
    tx: PacketBatch,
    nowMs: number,
  ): boolean {
    const off = rx.offset(i);
    const bytes = rx.slab;
    if (dontFragment(bytes, off)) {
      this.#replies.add(fan, bytes, off, rx.length(i), FRAGMENTATION_NEEDED, innerMtu(limit), nowMs);
      this.#drop(fan, rx, i);
      return false;
    }
    const room = limit - OUTER_LEN - rx.headerLen(i);
    if ((rx.gsoType(i) & ~GSO_ECN) === GSO_TCPV4 && room > 0) {
      rx.setGsoSize(i, room);
      return true;
    }
    if (!fan.fragment || !this.#fragment(fan, rx, i, exit, limit, tx)) this.#drop(fan, rx, i);
    return false;
  }

  /** From 1 to 65,535, every #idStep-th. */
  #nextId(): number {
    const next = this.#id + this.#idStep;
    return next <= MOST_ID ? next : ((this.#id - 1) % this.#idStep) + 1;
  }

  #drop(fan: FanEntry, rx: PacketBatch, i: number): void {
    const size = rx.gsoType(i) === GSO_NONE ? 0 : rx.gsoSize(i);
    const segments = size === 0 ? 1 : Math.ceil((rx.length(i) - rx.headerLen(i)) / size);
    this.#counters.drop(fan.counterBlock, DROP['too-big'], segments);
    rx.setVerdict(i, DROP['too-big'], fan.index, segments);
  }

  /** Cuts each datagram of packet i; false when there is no room for all, and then nothing was appended. */
  #fragment(
    fan: FanEntry,
    rx: PacketBatch,
    i: number,
    exit: number,
    limit: number,
    tx: PacketBatch,
  ): boolean {
    const before = tx.count;
    const areaBefore = this.#area;
    const datagrams = native.segment(rx.slab, rx.descriptors, i, this.#datagrams);
    for (let d = 0; d < datagrams.length; d += 2) {
      const offset = this.#datagramsAt + datagrams[d]!;
      if (!this.#fragmentOne(fan, tx, offset, datagrams[d + 1]!, exit, limit)) {
        tx.count = before;
        this.#area = areaBefore;
        return false;
      }
    }
    this.#counters.add(fan.counterBlock, COUNTER['fragment-tx-packets'], tx.count - before);
    return true;
  }

  /** The outer header lands on the tail of the datagram before, which has been copied to its fragments by now. */
  #fragmentOne(
    fan: FanEntry,
    tx: PacketBatch,
    inner: number,
    len: number,
    exit: number,
    limit: number,
  ): boolean {
    const slab = tx.slab;
    const outer = inner - OUTER_LEN;
    const totalLen = len + OUTER_LEN;
    const outerTos = fan.outerTos[tos(slab, inner)]!;
    const outerTtl = fan.ttl < 0 ? ttl(slab, inner) : fan.ttl;
    this.#id = this.#nextId();
    writeOuter(slab, outer, totalLen, fan.address, exit, outerTos, outerTtl, this.#id, false);
    const count = fragmentOuter(slab, outer, totalLen, limit, this.#id, this.#area, HEADROOM, this.#ranges);
    if (count === 0 || tx.count + count > tx.capacity) return false;
    this.#area += fragmentArea(totalLen, limit, HEADROOM);
    for (let k = 0; k < count; k++) {
      const at = tx.count++;
      tx.setRange(at, this.#ranges[2 * k]!, this.#ranges[2 * k + 1]!);
      tx.setVnet(at, 0, GSO_NONE, 0, 0);
      tx.setCsum(at, 0, 0);
      tx.setAddress(at, exit);
      // The datagram counts as a packet with its first fragment.
      tx.setTag(at, k === 0 ? 1 : 0);
    }
    return true;
  }
}
