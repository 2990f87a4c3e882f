/**
 * The traces that clients have asked for: tells the worker what to copy, names what it sends, and adds what no packet
 * can be shown of: the kernel's drops, and what came too fast. A trace ends with its client, however that ends.
 */
import { FanError } from '../base/error.js';
import type { Logger } from '../base/log.js';
import { LineStream } from '../control/line-stream.js';
import type { Counters, TraceRequest } from '../control/protocol.js';
import type { FanRecord } from '../control/state-store.js';
import { CELL, CELL_BYTES, type TraceRecord, type TraceSpec } from '../dataplane/tracing/protocol.js';
import { packetLine } from '../trace/trace-lines.js';
import { OUTER_LEN } from '../wire/ipip.js';
import { PacketFilter } from '../wire/packet-filter.js';
import type { Forwarding } from './forwarding.js';

const TICK_MS = 1000;
/** The drops that the kernel counts for us. */
const KERNEL_DROPS = ['socket-overflow', 'tun-overflow'] as const;
/** Limits of what a client may ask for: an IPv4 packet and its outer header, and what the main thread can pass on. */
const MOST_SNAP = 65_535 + OUTER_LEN;
const MOST_RECORDS = 50_000;
const MOST_BYTES = 256 << 20;

interface Session {
  readonly spec: TraceSpec;
  readonly cells: Int32Array;
  readonly stream: LineStream;
  /** Ids of the fans that the client was told of. */
  readonly told: Set<string>;
  /** Lost on the way to the client, and those of all that it was told of. */
  lostHere: number;
  lostTold: number;
}

export class Tracing {
  readonly #forwarding: Forwarding;
  readonly #fans: () => readonly FanRecord[];
  readonly #log: Logger;
  readonly #sessions = new Map<number, Session>();
  #lastSession = 0;
  #timer: NodeJS.Timeout | undefined;
  /** The kernel's drops as last seen: "reason bridge" → packets. */
  #kernelDrops = new Map<string, number>();

  constructor(forwarding: Forwarding, fans: () => readonly FanRecord[], log: Logger) {
    this.#forwarding = forwarding;
    this.#fans = fans;
    this.#log = log;
    forwarding.onTraced = (session, records) => this.#take(session, records);
  }

  /** Begins a trace. Throws FanError usage, or not-configured where there is no such fan, or none. */
  async open(request: TraceRequest): Promise<LineStream> {
    const spec = this.#specOf(request);
    if (this.#sessions.size === 0) this.#kernelDrops = await this.#readKernelDrops();
    const stream = new LineStream(() => void this.#close(spec.session));
    const cells = new Int32Array(spec.shared);
    const session = { spec, cells, stream, told: new Set<string>(), lostHere: 0, lostTold: 0 };
    for (const fan of this.#fans()) this.#tell(session, fan);
    this.#sessions.set(spec.session, session);
    try {
      await this.#apply();
    } catch (error) {
      this.#sessions.delete(spec.session);
      throw error;
    }
    stream.write({ type: 'started' });
    // A fan that goes down meanwhile has no counters to read; the next tick does without it.
    this.#timer ??= setInterval(() => this.#tick().catch(() => undefined), TICK_MS);
    return stream;
  }

  async #close(session: number): Promise<void> {
    this.#sessions.delete(session);
    if (this.#sessions.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    await this.#apply().catch((error) => this.#log.warn({ err: error }, 'a trace could not be ended'));
  }

  #apply(): Promise<void> {
    return this.#forwarding.trace([...this.#sessions.values()].map(({ spec }) => spec));
  }

  #specOf(request: TraceRequest): TraceSpec {
    const { program = [], bridge, dropsOnly = false } = request;
    if (!Array.isArray(program)) throw new FanError('usage', 'program: not a list of numbers');
    // The worker must not meet one that is broken.
    if (program.length > 0) new PacketFilter(program);
    const fan = this.#fans().find(({ view }) => view.bridge === bridge);
    if (bridge !== undefined && !fan) throw new FanError('not-configured', `no fan has the bridge ${bridge}`);
    return {
      session: ++this.#lastSession,
      program,
      ...(fan && { fan: fan.id }),
      dropsOnly: dropsOnly === true,
      snapLen: within('snapLen', request.snapLen, MOST_SNAP),
      recordsPerSecond: within('recordsPerSecond', request.recordsPerSecond, MOST_RECORDS),
      bytesPerSecond: within('bytesPerSecond', request.bytesPerSecond, MOST_BYTES),
      epochNs: readEpochNs(),
      shared: new SharedArrayBuffer(CELL_BYTES),
    };
  }

  #take(number: number, records: TraceRecord[]): void {
    const session = this.#sessions.get(number);
    if (!session) return;
    Atomics.sub(session.cells, CELL.waiting, records.length);
    this.#tellLost(session);
    for (const record of records) {
      const fan = this.#fans().find(({ id }) => id === record.fan);
      if (fan) this.#tell(session, fan);
      if (!session.stream.write(packetLine(record, fan?.view.bridge ?? ''))) session.lostHere++;
    }
  }

  #tell({ told, stream }: Session, { id, view, plan }: FanRecord): void {
    if (told.has(id)) return;
    told.add(id);
    const { bridge, device, io } = view;
    stream.write({ type: 'fan', bridge, tun: plan.tun, device, underlayMtu: plan.mtu + OUTER_LEN, io });
  }

  #tellLost(session: Session): void {
    const records = Atomics.load(session.cells, CELL.lost) + session.lostHere - session.lostTold;
    if (records === 0 || !session.stream.write({ type: 'lost', records })) return;
    session.lostTold += records;
  }

  async #tick(): Promise<void> {
    for (const session of this.#sessions.values()) this.#tellLost(session);
    const drops = await this.#readKernelDrops();
    for (const [key, count] of drops) {
      const packets = count - (this.#kernelDrops.get(key) ?? 0);
      const [reason, bridge = ''] = key.split(' ');
      if (packets <= 0) continue;
      for (const { stream, spec } of this.#sessions.values()) {
        const wanted = spec.fan === undefined || this.#bridgeOf(spec.fan) === bridge;
        if (wanted) stream.write({ type: 'kernel', reason, bridge, packets });
      }
    }
    this.#kernelDrops = drops;
  }

  #bridgeOf(id: string): string | undefined {
    return this.#fans().find((fan) => fan.id === id)?.view.bridge;
  }

  async #readKernelDrops(): Promise<Map<string, number>> {
    const { host, fans } = await this.#forwarding.stats(this.#fans());
    const blocks: [string, Counters][] = [
      ['', host.counters],
      ...fans.map((fan): [string, Counters] => [fan.bridge, fan.counters]),
    ];
    return new Map(
      blocks.flatMap(([bridge, counters]) =>
        KERNEL_DROPS.map((reason): [string, number] => [
          `${reason} ${bridge}`,
          counters[`drop-${reason}-packets`] ?? 0,
        ]),
      ),
    );
  }
}

function within(name: string, value: unknown, most: number): number {
  if (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= most) return value as number;
  throw new FanError('usage', `${name}: not a number from 1 to ${most}`);
}

/** Realtime minus monotonic clock, ns, read as a millisecond begins. */
function readEpochNs(): bigint {
  const before = Date.now();
  let nowMs = before;
  while (nowMs === before) nowMs = Date.now();
  return BigInt(nowMs) * 1_000_000n - process.hrtime.bigint();
}
