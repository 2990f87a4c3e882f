/**
 * One client's trace in a worker: which packets it wants, how much of them, and at what rate. What passes the rate, which
 * all workers share, or comes while the client is behind, is counted as lost and not copied. Half of what there is, of
 * the rate and of the way to the client, is for flows that send little (fair-share.ts).
 */
import { FlowFilter, type KnownPacket } from '../../wire/flow-filter.js';
import { PacketFilter } from '../../wire/packet-filter.js';
import { FairShare } from './fair-share.js';
import { CELL, heldBytes, REFILLED, type TraceRecord, type TraceSpec } from './protocol.js';

/** On the way to the client at most. */
const MOST_WAITING = 8192;
const MOST_WAITING_BYTES = 32 << 20;
const NS_PER_S = 1e9;
const NS_PER_MS = 1e6;
/** A longer packet is no frame of any link: the kernel merged it. */
const LONGEST_FRAME = 9216;

/** Whether a packet may be copied, or why not. */
export const ADMITTED = 0;
export const TOO_FAST = 1;
export const BEHIND = 2;
export type Admission = typeof ADMITTED | typeof TOO_FAST | typeof BEHIND;

export class TraceSession {
  readonly dropsOnly: boolean;
  readonly epochNs: bigint;
  readonly #spec: TraceSpec;
  readonly #filter: PacketFilter | undefined;
  readonly #flowFilter: FlowFilter | undefined;
  readonly #send: (session: number, records: TraceRecord[]) => void;
  readonly #cells: Int32Array;
  readonly #refilled: BigInt64Array;
  readonly #share: FairShare;
  #gathered: TraceRecord[] = [];
  #gatheredBytes = 0;

  /** Throws FanError usage for a program that is broken. */
  constructor(spec: TraceSpec, send: (session: number, records: TraceRecord[]) => void) {
    this.#spec = spec;
    this.#send = send;
    this.#filter = spec.program.length === 0 ? undefined : new PacketFilter(spec.program);
    this.#flowFilter = this.#filter && new FlowFilter(spec.program);
    this.#cells = new Int32Array(spec.shared);
    this.#refilled = new BigInt64Array(spec.shared);
    this.#share = new FairShare(spec.recordsPerSecond);
    this.dropsOnly = spec.dropsOnly;
    this.epochNs = spec.epochNs;
  }

  /** Whether packets of this fan are asked for; undefined: of none. */
  wantsFan(fan: string | undefined): boolean {
    return this.#spec.fan === undefined || this.#spec.fan === fan;
  }

  /** Whether there is a filter, which leaves packets out. */
  get isFiltered(): boolean {
    return this.#filter !== undefined;
  }

  /**
   * Whether `matches` may be true for a packet of which so much is known, or for what is `innerAt` bytes into it. False
   * is certain.
   */
  mayMatch(outer: KnownPacket, innerAt: number): boolean {
    const filter = this.#flowFilter;
    return filter === undefined || filter.mayMatch(outer, innerAt) || filter.mayMatch(outer, 0);
  }

  /** Whether packets of one fan only are asked for. */
  get isOfOneFan(): boolean {
    return this.#spec.fan !== undefined;
  }

  /** Whether the packet of `len` bytes at `off` is asked for. */
  matches(bytes: Uint8Array, off: number, len: number): boolean {
    const filter = this.#filter;
    return filter === undefined || filter.matches(bytes, off, len);
  }

  /**
   * Whether the packet that matches may be copied: if so, it is taken off the rate; else it is the caller's to count as
   * lost. `off`, `len`: of the packet that its flow is told by.
   */
  admit(bytes: Uint8Array, off: number, len: number, isBurst: boolean): Admission {
    const isModest = this.#share.isModest(bytes, off, len);
    if (!this.#hasWay(isModest)) return BEHIND;
    const size = Math.min(len, this.#snapLen(len, isBurst));
    if (!this.#spend('records', 1, isModest)) return TOO_FAST;
    if (!this.#spend('bytes', size, isModest)) {
      Atomics.add(this.#cells, CELL.records, 1);
      return TOO_FAST;
    }
    this.#share.charge();
    return ADMITTED;
  }

  /** Takes an admission back: the packet turned out to be nothing that was asked for. */
  release(record: TraceRecord): void {
    Atomics.add(this.#cells, CELL.records, 1);
    Atomics.add(this.#cells, CELL.bytes, heldBytes(record));
  }

  /** Counts a packet that was not admitted. */
  lose(why: Admission): void {
    Atomics.add(this.#cells, CELL.lost, 1);
    if (why === BEHIND) Atomics.add(this.#cells, CELL.behind, 1);
  }

  /** As much of bytes[off, off + len) as the client wants. */
  copy(bytes: Uint8Array, off: number, len: number, isBurst = false): Uint8Array {
    return bytes.slice(off, off + Math.min(len, this.#snapLen(len, isBurst)));
  }

  add(record: TraceRecord): void {
    this.#gathered.push(record);
    this.#gatheredBytes += heldBytes(record);
  }

  /** A batch was read at `nowNs`. */
  refill(nowNs: bigint): void {
    this.#refillOne('records', this.#spec.recordsPerSecond, nowNs);
    this.#refillOne('bytes', this.#spec.bytesPerSecond, nowNs);
    const left = Math.min(
      Atomics.load(this.#cells, CELL.records) / this.#spec.recordsPerSecond,
      Atomics.load(this.#cells, CELL.bytes) / this.#spec.bytesPerSecond,
      1 - Atomics.load(this.#cells, CELL.waiting) / MOST_WAITING,
      1 - Atomics.load(this.#cells, CELL.waitingBytes) / MOST_WAITING_BYTES,
    );
    this.#share.adapt(left, Number(nowNs) / NS_PER_MS);
  }

  /** To a second's worth at most. Of several workers the one that moves the time on adds what came due until then. */
  #refillOne(what: 'records' | 'bytes', perSecond: number, nowNs: bigint): void {
    const since = Atomics.load(this.#refilled, REFILLED[what]);
    const elapsedNs = Math.min(NS_PER_S, Number(nowNs - since));
    const due = Math.floor((elapsedNs * perSecond) / NS_PER_S);
    if (due < 1) return;
    // What is less than one stays due.
    const until = elapsedNs === NS_PER_S ? nowNs : since + BigInt(Math.floor((due * NS_PER_S) / perSecond));
    if (Atomics.compareExchange(this.#refilled, REFILLED[what], since, until) !== since) return;
    const room = perSecond - Atomics.load(this.#cells, CELL[what]);
    Atomics.add(this.#cells, CELL[what], Math.min(due, room));
  }

  flush(): void {
    if (this.#gathered.length === 0) return;
    Atomics.add(this.#cells, CELL.waiting, this.#gathered.length);
    Atomics.add(this.#cells, CELL.waitingBytes, this.#gatheredBytes);
    this.#send(this.#spec.session, this.#gathered);
    this.#gathered = [];
    this.#gatheredBytes = 0;
  }

  #snapLen(len: number, isBurst: boolean): number {
    return isBurst || len > LONGEST_FRAME ? this.#spec.burstSnapLen : this.#spec.snapLen;
  }

  /** Whether there is room on the way to the client. */
  #hasWay(isModest: boolean): boolean {
    const part = isModest ? 1 : 1 / 2;
    const records = Atomics.load(this.#cells, CELL.waiting) + this.#gathered.length;
    const bytes = Atomics.load(this.#cells, CELL.waitingBytes) + this.#gatheredBytes;
    return records < MOST_WAITING * part && bytes < MOST_WAITING_BYTES * part;
  }

  #spend(what: 'records' | 'bytes', amount: number, isModest: boolean): boolean {
    const perSecond = what === 'records' ? this.#spec.recordsPerSecond : this.#spec.bytesPerSecond;
    // A packet may be more than half of what there ever is.
    const kept = isModest ? 0 : Math.min(perSecond / 2, perSecond - amount);
    if (Atomics.sub(this.#cells, CELL[what], amount) >= amount + kept) return true;
    Atomics.add(this.#cells, CELL[what], amount);
    return false;
  }
}
