/**
 * One client's trace in a worker: which packets it wants, how much of them, and at what rate. What passes the rate, which
 * all workers share, or comes while the main thread is behind, is counted as lost and not copied.
 */
import { FlowFilter, type KnownPacket } from '../../wire/flow-filter.js';
import { OUTER_LEN } from '../../wire/ipip.js';
import { PacketFilter } from '../../wire/packet-filter.js';
import { CELL, REFILLED, type TraceRecord, type TraceSpec } from './protocol.js';

/** Records on their way to the main thread at most. */
const MOST_WAITING = 2048;
const NS_PER_S = 1e9;

export class TraceSession {
  readonly dropsOnly: boolean;
  readonly epochNs: bigint;
  readonly #spec: TraceSpec;
  readonly #filter: PacketFilter | undefined;
  readonly #flowFilter: FlowFilter | undefined;
  readonly #send: (session: number, records: TraceRecord[]) => void;
  readonly #cells: Int32Array;
  readonly #refilled: BigInt64Array;
  #gathered: TraceRecord[] = [];

  /** Throws FanError usage for a program that is broken. */
  constructor(spec: TraceSpec, send: (session: number, records: TraceRecord[]) => void) {
    this.#spec = spec;
    this.#send = send;
    this.#filter = spec.program.length === 0 ? undefined : new PacketFilter(spec.program);
    this.#flowFilter = this.#filter && new FlowFilter(spec.program);
    this.#cells = new Int32Array(spec.shared);
    this.#refilled = new BigInt64Array(spec.shared);
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
   * Whether `matches` may be true for a packet of which so much is known: `outer` begins with the outer header, of
   * OUTER_LEN bytes. False is certain.
   */
  mayMatch(outer: KnownPacket): boolean {
    const filter = this.#flowFilter;
    return filter === undefined || filter.mayMatch(outer, OUTER_LEN) || filter.mayMatch(outer, 0);
  }

  /**
   * Whether the packet of `len` bytes at `off` is asked for, as it is or with the `outerLen` bytes before it. One that
   * is, but may not be copied for the rate, is lost.
   */
  matches(bytes: Uint8Array, off: number, len: number, outerLen: number): boolean {
    const filter = this.#filter;
    if (filter !== undefined && !filter.matches(bytes, off, len)) {
      if (outerLen === 0 || !filter.matches(bytes, off - outerLen, len + outerLen)) return false;
    }
    return this.#take(Math.min(len + outerLen, this.#spec.snapLen));
  }

  /** As much of bytes[off, off + len) as the client wants. */
  copy(bytes: Uint8Array, off: number, len: number): Uint8Array {
    return bytes.slice(off, off + Math.min(len, this.#spec.snapLen));
  }

  add(record: TraceRecord): void {
    this.#gathered.push(record);
  }

  refill(nowNs: bigint): void {
    this.#refillOne('records', this.#spec.recordsPerSecond, nowNs);
    this.#refillOne('bytes', this.#spec.bytesPerSecond, nowNs);
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
    this.#send(this.#spec.session, this.#gathered);
    this.#gathered = [];
  }

  #take(bytes: number): boolean {
    const waiting = Atomics.load(this.#cells, CELL.waiting) + this.#gathered.length;
    if (waiting < MOST_WAITING && this.#spend('records', 1)) {
      if (this.#spend('bytes', bytes)) return true;
      Atomics.add(this.#cells, CELL.records, 1);
    }
    Atomics.add(this.#cells, CELL.lost, 1);
    return false;
  }

  #spend(what: 'records' | 'bytes', amount: number): boolean {
    if (Atomics.sub(this.#cells, CELL[what], amount) >= amount) return true;
    Atomics.add(this.#cells, CELL[what], amount);
    return false;
  }
}
