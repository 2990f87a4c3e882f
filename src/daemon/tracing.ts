/**
 * The traces that clients have asked for: tells the worker what to copy, names what it sends, and adds what no packet
 * can be shown of: the kernel's drops, and what came too fast. A trace ends with its client, however that ends; one that
 * asks for the end, and one that is there when fand leaves, is told all that was seen until then.
 *
 * The workers copy no more than the client takes: what they have sent is on its way (CELL.waiting) until it has left
 * here for the client, and while too much is, they lose packets, which is counted and fair, and nobody else does.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { FanError } from '../base/error.js';
import type { Logger } from '../base/log.js';
import { LineStream } from '../control/line-stream.js';
import type { Counters, EndTraceRequest, TraceRequest } from '../control/protocol.js';
import type { FanRecord } from '../control/state-store.js';
import {
  CELL,
  CELL_BYTES,
  heldBytes,
  type TraceRecord,
  type TraceSpec,
} from '../dataplane/tracing/protocol.js';
import { overheadOf } from '../fan/encapsulation.js';
import { GUARD_REASONS } from '../host/firewall/guard.js';
import { ISOLATE_REASONS } from '../host/steps/isolate-rules.js';
import { packetLine, type TraceLine } from '../trace/trace-lines.js';
import { OUTER_LEN } from '../wire/ipip.js';
import { PacketFilter } from '../wire/packet-filter.js';
import type { Forwarding } from './forwarding.js';

const TICK_MS = 1000;
/** How long a packet waits for those of other workers that were read before it. */
const MARK_MS = 50;
/** What a client may take for the last lines when fand leaves. */
const LAST_LINES_MS = 1000;
/** The drops that the kernel counts for us. */
const KERNEL_DROPS = [
  'receive-failed',
  'outer-checksum',
  'socket-overflow',
  'tun-overflow',
  ...GUARD_REASONS,
  ...ISOLATE_REASONS,
] as const;
type KernelDrop = (typeof KERNEL_DROPS)[number];
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
  /** Lost, as the client was told: all, and those for its being behind. */
  lostTold: number;
  behindTold: number;
  /** The last time in a record, and in a mark. */
  newestNs: bigint;
  markedNs: bigint;
  isEnding: boolean;
}

export class Tracing {
  readonly #forwarding: Forwarding;
  readonly #fans: () => readonly FanRecord[];
  readonly #log: Logger;
  readonly #sessions = new Map<number, Session>();
  #lastSession = 0;
  #timers: NodeJS.Timeout[] = [];
  #isMarking = false;
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
    const session: Session = {
      spec,
      cells: new Int32Array(spec.shared),
      stream,
      told: new Set(),
      lostTold: 0,
      behindTold: 0,
      newestNs: 0n,
      markedNs: 0n,
      isEnding: false,
    };
    for (const fan of this.#fans()) this.#tell(session, fan);
    this.#sessions.set(spec.session, session);
    try {
      await this.#apply();
    } catch (error) {
      this.#sessions.delete(spec.session);
      throw error;
    }
    say(session, { type: 'started', session: spec.session });
    this.#keepTime();
    return stream;
  }

  /** Ends a trace for its client, which gets the rest and the end on the stream. Throws FanError usage. */
  async end({ session }: EndTraceRequest): Promise<object> {
    const found = this.#sessions.get(session);
    if (!found) throw new FanError('usage', `there is no trace ${session}: it has ended`);
    await this.#finish(found);
    return {};
  }

  /** Ends all traces; resolves when their clients have the rest, or have had the time for it. */
  async leave(): Promise<void> {
    const ended = [...this.#sessions.values()].map((session) => this.#finish(session));
    await Promise.race([Promise.all(ended), sleep(LAST_LINES_MS)]);
  }

  async #finish(session: Session): Promise<void> {
    if (session.isEnding) return;
    session.isEnding = true;
    // Its answer is behind the last record.
    await this.#apply().catch((error) => this.#log.warn({ err: error }, 'a trace could not be ended'));
    await this.#tellKernelDrops().catch(() => undefined);
    this.#tellLost(session);
    say(session, { type: 'ended' });
    await session.stream.end();
  }

  async #close(session: number): Promise<void> {
    this.#sessions.delete(session);
    if (this.#sessions.size === 0) {
      for (const timer of this.#timers) clearInterval(timer);
      this.#timers = [];
    }
    await this.#apply().catch((error) => this.#log.warn({ err: error }, 'a trace could not be ended'));
  }

  /** A fan that goes down meanwhile has no counters to read, nor a worker that died marks: the next time is soon. */
  #keepTime(): void {
    if (this.#timers.length > 0) return;
    this.#timers = [
      setInterval(() => this.#tick().catch(() => undefined), TICK_MS),
      setInterval(() => this.#mark().catch(() => undefined), MARK_MS),
    ];
  }

  #apply(): Promise<void> {
    const going = [...this.#sessions.values()].filter(({ isEnding }) => !isEnding);
    return this.#forwarding.trace(going.map(({ spec }) => spec));
  }

  #specOf(request: TraceRequest): TraceSpec {
    const { program = [], bridge, dropsOnly = false } = request;
    // The worker must not meet one that is broken.
    if (program.length > 0) new PacketFilter(program);
    const fan = this.#fans().find(({ view }) => view.bridge === bridge);
    if (bridge !== undefined && !fan) throw new FanError('not-configured', `no fan has the bridge ${bridge}`);
    const snapLen = within('snapLen', request.snapLen, MOST_SNAP);
    return {
      session: ++this.#lastSession,
      program,
      ...(fan && { fan: fan.id }),
      dropsOnly: dropsOnly === true,
      snapLen,
      burstSnapLen: within('burstSnapLen', request.burstSnapLen ?? snapLen, MOST_SNAP),
      recordsPerSecond: within('recordsPerSecond', request.recordsPerSecond, MOST_RECORDS),
      bytesPerSecond: within('bytesPerSecond', request.bytesPerSecond, MOST_BYTES),
      epochNs: readEpochNs(),
      shared: new SharedArrayBuffer(CELL_BYTES),
    };
  }

  #take(number: number, records: TraceRecord[]): void {
    const session = this.#sessions.get(number);
    if (!session) return;
    const { cells, stream } = session;
    this.#tellLost(session);
    let bytes = 0;
    const lines = records.map((record) => {
      const fan = this.#fans().find(({ id }) => id === record.fan);
      if (fan) this.#tell(session, fan);
      const endNs = record.readNs + BigInt(Math.ceil(record.doneNs));
      if (endNs > session.newestNs) session.newestNs = endNs;
      bytes += heldBytes(record);
      return packetLine(record, fan?.view.bridge ?? '');
    });
    stream.send(lines, () => {
      Atomics.sub(cells, CELL.waiting, records.length);
      Atomics.sub(cells, CELL.waitingBytes, bytes);
    });
  }

  #tell(session: Session, { id, view, plan }: FanRecord): void {
    if (session.told.has(id) || (session.spec.fan ?? id) !== id) return;
    session.told.add(id);
    const { bridge, device, io } = view;
    say(session, {
      type: 'fan',
      bridge,
      tun: plan.tun,
      device,
      underlayMtu: plan.mtu + overheadOf(plan.vxlan),
      io,
      ...(plan.vxlan && { vxlanPort: plan.vxlan.port }),
    });
  }

  #tellLost(session: Session): void {
    const behind = Atomics.load(session.cells, CELL.behind) - session.behindTold;
    // Read last, as it is counted first: those who are behind are among all.
    const records = Atomics.load(session.cells, CELL.lost) - session.lostTold;
    if (records === 0 || !say(session, { type: 'lost', records, behind })) return;
    session.lostTold += records;
    session.behindTold += behind;
  }

  /** Tells up to when nothing more comes: what a worker reads after it was asked is later. */
  async #mark(): Promise<void> {
    if (this.#isMarking) return;
    this.#isMarking = true;
    const nowNs = process.hrtime.bigint();
    await this.#forwarding.markTraces().finally(() => {
      this.#isMarking = false;
    });
    for (const session of this.#sessions.values()) {
      if (session.newestNs <= session.markedNs || session.isEnding) continue;
      session.markedNs = session.spec.epochNs + nowNs;
      say(session, { type: 'mark', timeNs: `${session.markedNs}` });
    }
  }

  async #tick(): Promise<void> {
    for (const session of this.#sessions.values()) this.#tellLost(session);
    await this.#tellKernelDrops();
  }

  async #tellKernelDrops(): Promise<void> {
    const drops = await this.#readKernelDrops();
    for (const [key, count] of drops) {
      const packets = count - (this.#kernelDrops.get(key) ?? 0);
      const [reason, bridge = ''] = key.split(' ') as [KernelDrop, string];
      if (packets <= 0) continue;
      for (const session of this.#sessions.values()) {
        const { fan } = session.spec;
        if (fan === undefined || this.#bridgeOf(fan) === bridge) {
          say(session, { type: 'kernel', reason, bridge, packets });
        }
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

/** Says a line to the client; false where it is so far behind that the line was left out. */
function say({ stream }: Session, line: TraceLine): boolean {
  return stream.write(line);
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
