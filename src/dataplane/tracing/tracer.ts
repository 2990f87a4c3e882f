/**
 * The tracer of a worker: sees every batch of the forwarder beside the packet walks and copies what somebody asked to
 * see. It decides nothing and computes no verdict: it reads the ones that the walks left in the received batch
 * (PacketBatch.setVerdict) and the errors that devices left in the sent one. Undefined where nobody traces.
 *
 *   encap   received → encapJudged → encapSent → flush
 *   decap   decapReceived → decapJudged → decapWritten → flush     (of each site of VXLAN as well)
 *   errors  received → pathError, and replied or heldBack on any walk → flush
 *
 * Who wants all packets gets his copies before a send completes checksums in the slab; who wants drops only is served
 * at the end, when they are known.
 */
import { DROP, type DropReason, KEEP } from '../../base/drop-reason.js';
import type { PacketBatch } from '../../io/packet-batch.js';
import type { KnownPacket } from '../../wire/flow-filter.js';
import { ICMP_HEADER_LEN } from '../../wire/icmpv4.js';
import { headerLen, MIN_HEADER_LEN, PROTOCOL_UDP, protocol } from '../../wire/ipv4.js';
import { ETHERTYPE_IPV4, etherType, VXLAN_OUTER_LEN } from '../../wire/vxlan.js';
import type { FanEntry } from '../tables/forwarding-table.js';
import type { TracePath, TraceRecord } from './protocol.js';
import { ADMITTED, type Admission, type TraceSession } from './session.js';
import { type Inner, IPIP, RECEIVED_IPIP, type Shape, shapeOf } from './shape.js';

const NO_TX = -1;
const EMSGSIZE = 90;

/** A record that waits for the end of its batch, and the received packet that it is of. */
interface Pending {
  record: TraceRecord;
  session: TraceSession;
  rxIndex: number;
}

/** A packet that may not be copied, before it is known whether it is of the fan that is asked for. */
interface Missed {
  session: TraceSession;
  rxIndex: number;
  why: Admission;
}

export class Tracer {
  readonly #sessions: readonly TraceSession[];
  #readNs = 0n;
  #judgedNs = 0n;
  #pending: Pending[] = [];
  #missed: Missed[] = [];
  /** Of each received packet, by its index: where in the sent batch it is, first and one past the last. */
  readonly #firstTx: Int32Array;
  readonly #endTx: Int32Array;
  /** Of the batch that was received last. */
  #received = RECEIVED_IPIP;

  /** `capacity`: packets of a received batch at most. */
  constructor(sessions: readonly TraceSession[], capacity: number) {
    this.#sessions = sessions;
    this.#firstTx = new Int32Array(capacity);
    this.#endTx = new Int32Array(capacity);
  }

  /** Which packets of this fan, of those that are not dropped, are asked for: some where every trace has a filter. */
  wants(fan: string): 'none' | 'some' | 'all' {
    const sessions = this.#sessions.filter((session) => !session.dropsOnly && session.wantsFan(fan));
    if (sessions.length === 0) return 'none';
    return sessions.every(({ isFiltered }) => isFiltered) ? 'some' : 'all';
  }

  /** Whether a packet that is not dropped, of which so much is known (TraceSession.mayMatch), may be shown. */
  mayShow(fan: string, outer: KnownPacket, innerAt: number): boolean {
    for (const session of this.#sessions) {
      if (!session.dropsOnly && session.wantsFan(fan) && session.mayMatch(outer, innerAt)) return true;
    }
    return false;
  }

  /** A batch was received. */
  received(): void {
    this.#readNs = process.hrtime.bigint();
    for (const session of this.#sessions) session.refill(this.#readNs);
  }

  /** Packets [from, to) of `rx` were judged, and `tx` is about to be sent. */
  encapJudged(fan: FanEntry, rx: PacketBatch, from: number, to: number, tx: PacketBatch): void {
    this.#judgedNs = process.hrtime.bigint();
    this.#findSent(rx, from, to, tx, shapeOf(fan).pushedLen);
    for (const session of this.#sessions) {
      if (session.dropsOnly || !session.wantsFan(fan.id)) continue;
      for (let i = from; i < to; i++) this.#pendEncap(session, fan, rx, i, tx);
    }
  }

  /** `tx` was sent; errors are in its descriptors. */
  encapSent(fan: FanEntry, rx: PacketBatch, from: number, to: number, tx: PacketBatch): void {
    const doneNs = Number(process.hrtime.bigint() - this.#readNs);
    for (const session of this.#sessions) {
      if (!session.dropsOnly || !session.wantsFan(fan.id)) continue;
      for (let i = from; i < to; i++) {
        if (rx.verdict(i) !== KEEP || this.#errorOf(tx, i) !== 0) this.#pendEncap(session, fan, rx, i, tx);
      }
    }
    for (const { record, session, rxIndex } of this.#pending) {
      const errno = this.#errorOf(tx, rxIndex);
      if (errno !== 0) fail(record, errno, errno === EMSGSIZE ? DROP['too-big'] : DROP['send-failed']);
      record.doneNs = doneNs;
      session.add(record);
    }
    this.#pending = [];
  }

  /** `rx` was received, in this shape, and nothing in it is changed yet. */
  decapReceived(rx: PacketBatch, shape = RECEIVED_IPIP): void {
    this.#received = shape;
    this.received();
    for (const session of this.#sessions) {
      if (session.dropsOnly) continue;
      for (let i = 0; i < rx.count; i++) this.#pendDecap(session, rx, i);
    }
  }

  decapJudged(): void {
    this.#judgedNs = process.hrtime.bigint();
  }

  /** All that was kept of `rx` was written, a batch for each fan. */
  decapWritten(rx: PacketBatch, fans: readonly FanEntry[], outputs: readonly PacketBatch[]): void {
    const doneNs = Number(process.hrtime.bigint() - this.#readNs);
    this.#findWritten(rx, outputs);
    for (const session of this.#sessions) {
      if (!session.dropsOnly) continue;
      for (let i = 0; i < rx.count; i++) {
        const output = outputs[rx.verdictFan(i)];
        const failed = output !== undefined && this.#errorOf(output, i) !== 0;
        if (rx.verdict(i) !== KEEP || failed) this.#pendDecap(session, rx, i);
      }
    }
    for (const { record, session, rxIndex } of this.#pending) {
      const fan = fans[rx.verdictFan(rxIndex)];
      if (!session.wantsFan(fan?.id)) {
        session.release(record);
        continue;
      }
      this.#finishDecap(record, rx, rxIndex, fan, outputs);
      record.doneNs = doneNs;
      session.add(record);
    }
    for (const { session, rxIndex, why } of this.#missed) {
      if (session.wantsFan(fans[rx.verdictFan(rxIndex)]?.id)) session.lose(why);
    }
    this.#pending = [];
    this.#missed = [];
  }

  /** Packet i of `rx`, an ICMP error, was judged. */
  pathError(rx: PacketBatch, i: number, fans: readonly FanEntry[], relayed: boolean): void {
    const fan = fans[rx.verdictFan(i)];
    const reason = rx.verdict(i);
    if (fan === undefined && reason === KEEP) return;
    this.#judgedNs = process.hrtime.bigint();
    for (const session of this.#sessions) {
      if (!session.wantsFan(fan?.id) || (session.dropsOnly && reason === KEEP)) continue;
      if (!this.#admitsError(session, rx, i)) continue;
      const record = this.#record('path-error', session, rx, i, reason);
      session.add({ ...record, fan: fan?.id, relayed, doneNs: record.judgedNs });
    }
  }

  /** ICMP errors that we made were written to the TUN of `fan`. */
  replied(fan: FanEntry, replies: PacketBatch): void {
    this.#judgedNs = process.hrtime.bigint();
    for (const session of this.#sessions) {
      if (session.dropsOnly || !session.wantsFan(fan.id)) continue;
      for (let i = 0; i < replies.count; i++) {
        if (!this.#admitsError(session, replies, i, shapeOf(fan).linkLen)) continue;
        const record = this.#record('reply', session, replies, i, KEEP, shapeOf(fan));
        session.add({ ...record, fan: fan.id, packets: 1, errno: replies.error(i), doneNs: record.judgedNs });
      }
    }
  }

  /** An ICMP error about the packet at bytes[off, off + len) was held back by the rate limit. */
  heldBack(fan: FanEntry, bytes: Uint8Array, off: number, len: number): void {
    const judgedNs = Number(process.hrtime.bigint() - this.#readNs);
    const { isVxlan, linkLen } = shapeOf(fan);
    for (const session of this.#sessions) {
      if (!session.wantsFan(fan.id) || !session.matches(bytes, off, len)) continue;
      if (!this.#admits(session, { bytes, off, len })) continue;
      session.add({
        path: 'reply',
        fan: fan.id,
        readNs: session.epochNs + this.#readNs,
        judgedNs,
        doneNs: judgedNs,
        reason: DROP['icmp-rate'],
        errno: 0,
        packets: 1,
        length: len + linkLen,
        data: session.copy(bytes, off - linkLen, len + linkLen),
        vnet: [0, 0, 0, 0, 0, 0],
        isVxlan,
      });
    }
  }

  /** Hands over what was gathered. */
  flush(): void {
    for (const session of this.#sessions) session.flush();
  }

  #pendEncap(session: TraceSession, fan: FanEntry, rx: PacketBatch, i: number, tx: PacketBatch): void {
    const shape = shapeOf(fan);
    const first = this.#firstTx[i]!;
    const plain = this.#endTx[i]! - first === 1 && isInPlace(rx, i, tx, first, shape.pushedLen);
    const look = () => this.#lookAtSent(session, fan, rx, i, tx, plain);
    if (plain) shape.lendSent(fan, tx, first, look);
    else look();
  }

  /** `plain`: its outer header stands before it. */
  #lookAtSent(
    session: TraceSession,
    fan: FanEntry,
    rx: PacketBatch,
    i: number,
    tx: PacketBatch,
    plain: boolean,
  ): void {
    const shape = shapeOf(fan);
    const { slab } = rx;
    const off = rx.offset(i);
    const len = rx.length(i);
    const inner = shape.innerAt(slab, off, len);
    if (!matchesEither(session, inner, slab, off, len, plain ? shape.outerLen : 0)) return;
    if (!this.#admits(session, inner, rx.gsoType(i) !== 0)) return;
    const record = this.#record('encap', session, rx, i, rx.verdict(i), shape);
    record.fan = fan.id;
    const first = this.#firstTx[i]!;
    if (plain) record.outer = slab.slice(off - shape.outerLen, off);
    else if (first !== NO_TX) record.fragments = this.#copyFragments(session, tx, first, this.#endTx[i]!);
    this.#pending.push({ record, session, rxIndex: i });
  }

  #copyFragments(session: TraceSession, tx: PacketBatch, first: number, end: number): Uint8Array[] {
    const fragments: Uint8Array[] = [];
    for (let k = first; k < end; k++) fragments.push(session.copy(tx.slab, tx.offset(k), tx.length(k)));
    return fragments;
  }

  #pendDecap(session: TraceSession, rx: PacketBatch, i: number): void {
    this.#received.lend(rx, i, () => this.#lookAtReceived(session, rx, i));
  }

  #lookAtReceived(session: TraceSession, rx: PacketBatch, i: number): void {
    const { shape, lentLen } = this.#received;
    const start = this.#received.innerStart(rx, i);
    const off = rx.offset(i) + start;
    const len = rx.length(i) - start;
    const inner = shape.innerAt(rx.slab, off, len);
    // From the inner packet's point of view the outer header stands before it.
    if (!matchesEither(session, inner, rx.slab, off, len, start + lentLen)) return;
    const why = session.admit(inner.bytes, inner.off, inner.len, rx.gsoType(i) !== 0);
    if (why !== ADMITTED) {
      if (session.isOfOneFan) this.#missed.push({ session, rxIndex: i, why });
      else session.lose(why);
      return;
    }
    const record = this.#record('decap', session, rx, i, KEEP, shape, lentLen);
    this.#pending.push({ record, session, rxIndex: i });
  }

  /** `linkLen`: bytes before the IP header. */
  #admitsError(session: TraceSession, batch: PacketBatch, i: number, linkLen = 0): boolean {
    const error = { bytes: batch.slab, off: batch.offset(i) + linkLen, len: batch.length(i) - linkLen };
    return matchesError(session, error) && this.#admits(session, error);
  }

  /** Whether a packet that matches may be copied; counted as lost where not. */
  #admits(session: TraceSession, { bytes, off, len }: Inner, isBurst = false): boolean {
    const why = session.admit(bytes, off, len, isBurst);
    if (why !== ADMITTED) session.lose(why);
    return why === ADMITTED;
  }

  #finishDecap(
    record: TraceRecord,
    rx: PacketBatch,
    i: number,
    fan: FanEntry | undefined,
    outputs: readonly PacketBatch[],
  ): void {
    record.fan = fan?.id;
    record.reason = rx.verdict(i);
    record.packets = rx.verdictPackets(i);
    record.judgedNs = Number(this.#judgedNs - this.#readNs);
    const output = outputs[rx.verdictFan(i)];
    if (record.reason !== KEEP || output === undefined) return;
    const written = output.offset(this.#firstTx[i]!);
    const { linkLen } = this.#received.shape;
    if (linkLen === 0 || etherType(output.slab, written) === ETHERTYPE_IPV4)
      record.tos = output.slab[written + linkLen + 1]!;
    const errno = this.#errorOf(output, i);
    if (errno !== 0) fail(record, errno, DROP['tun-write-failed']);
  }

  /** `lentLen`: bytes before packet i that are of it. */
  #record(
    path: TracePath,
    session: TraceSession,
    rx: PacketBatch,
    i: number,
    reason: DropReason,
    { isVxlan }: Pick<Shape, 'isVxlan'> = IPIP,
    lentLen = 0,
  ): TraceRecord {
    const len = rx.length(i) + lentLen;
    return {
      path,
      fan: undefined,
      readNs: session.epochNs + this.#readNs,
      judgedNs: Number(this.#judgedNs - this.#readNs),
      doneNs: 0,
      reason,
      errno: 0,
      packets: rx.verdictPackets(i),
      length: len,
      data: session.copy(rx.slab, rx.offset(i) - lentLen, len, rx.gsoType(i) !== 0),
      vnet: vnetOf(rx, i),
      isVxlan,
    };
  }

  /** The errno of the first packet that received packet i became and that failed, or 0. */
  #errorOf(tx: PacketBatch, i: number): number {
    for (let k = this.#firstTx[i]!; k >= 0 && k < this.#endTx[i]!; k++)
      if (tx.error(k) !== 0) return tx.error(k);
    return 0;
  }

  /** Kept packets come in order: one each, in place, or as the fragments of as many datagrams as it stands for. */
  #findSent(rx: PacketBatch, from: number, to: number, tx: PacketBatch, pushedLen: number): void {
    let next = 0;
    for (let i = from; i < to; i++) {
      const kept = rx.verdict(i) === KEEP && next < tx.count;
      this.#firstTx[i] = kept ? next : NO_TX;
      if (kept && isInPlace(rx, i, tx, next, pushedLen)) next++;
      else if (kept) {
        let datagrams = rx.verdictPackets(i);
        // The first fragment of each datagram has tag 1, the others 0.
        for (; next < tx.count && (datagrams > 0 || tx.tag(next) === 0); next++) datagrams -= tx.tag(next);
      }
      this.#endTx[i] = kept ? next : NO_TX;
    }
  }

  #findWritten(rx: PacketBatch, outputs: readonly PacketBatch[]): void {
    const next = outputs.map(() => 0);
    for (let i = 0; i < rx.count; i++) {
      const fan = rx.verdictFan(i);
      // Kept for no fan: a peer's probe, which goes to the main thread.
      const kept = rx.verdict(i) === KEEP && fan >= 0;
      const at = kept ? next[fan]! : NO_TX;
      if (kept) next[fan] = at + 1;
      this.#firstTx[i] = at;
      this.#endTx[i] = kept ? at + 1 : NO_TX;
    }
  }
}

/** Whether packet k of `tx` is packet i of `rx` with what encap pushes before it, not a copy. */
function isInPlace(rx: PacketBatch, i: number, tx: PacketBatch, k: number, pushedLen: number): boolean {
  return k >= 0 && tx.offset(k) === rx.offset(i) - pushedLen;
}

/** By the inner packet, or by all of `len` bytes at `off` with the `outerLen` before them, where there are any. */
function matchesEither(
  session: TraceSession,
  inner: Inner,
  bytes: Uint8Array,
  off: number,
  len: number,
  outerLen: number,
): boolean {
  if (session.matches(inner.bytes, inner.off, inner.len)) return true;
  return outerLen > 0 && session.matches(bytes, off - outerLen, len + outerLen);
}

function fail(record: TraceRecord, errno: number, reason: DropReason): void {
  record.errno = errno;
  record.reason = reason;
}

function vnetOf(rx: PacketBatch, i: number): number[] {
  return [rx.flags(i), rx.gsoType(i), rx.gsoSize(i), rx.headerLen(i), rx.csumStart(i), rx.csumOffset(i)];
}

/** An ICMP error matches as what it is, and as the packet that it quotes, be that a tunnel packet or a plain one. */
function matchesError(session: TraceSession, { bytes, off, len }: Inner): boolean {
  if (session.matches(bytes, off, len)) return true;
  let [at, left] = [off, len];
  for (const skipped of [ICMP_HEADER_LEN, 0]) {
    // Of a datagram of ours it is the frame's packet that was meant.
    const isTunnel = skipped === 0 && protocol(bytes, at) === PROTOCOL_UDP;
    const skip = headerLen(bytes, at) + skipped + (isTunnel ? VXLAN_OUTER_LEN - MIN_HEADER_LEN : 0);
    if (left < skip + MIN_HEADER_LEN) return false;
    at += skip;
    left -= skip;
    if (session.matches(bytes, at, left)) return true;
  }
  return false;
}
