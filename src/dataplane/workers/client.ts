/**
 * The main thread's end of one forwarding worker: starts it, reconfigures it, stops it.
 */
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { FanError } from '../../base/error.js';
import { native } from '../../io/native.js';
import type { Share } from '../../io/receive-filter.js';
import type { ForwarderState } from '../forwarder.js';
import type { Inherited } from '../ports/inherited.js';
import type { ByDirection, FanSpec, Relays } from '../tables/fan-spec.js';
import type { TraceRecord, TraceSpec } from '../tracing/protocol.js';
import type { OnProbe } from '../walks/probe-tap.js';
import type { Configured, FromWorker, ToWorker, WorkerData, WorkerState } from './protocol.js';

type Answer = Exclude<FromWorker, { type: 'lost' | 'traced' | 'probe' }>;
type Done = Extract<FromWorker, { type: 'done' }>;
type Inspected = Extract<FromWorker, { type: 'inspected' }>;
type Marked = Extract<FromWorker, { type: 'marked' }>;
type Lent = Extract<FromWorker, { type: 'lent' }>;
export type Paused = Extract<FromWorker, { type: 'paused' }>;
type Began = Extract<FromWorker, { type: 'began' }>;

/** What programs in the kernel have sent on: packets, and inner bytes. */
export interface KernelCounts {
  encap: Count;
  decap: Count;
}

interface Count {
  packets: number;
  bytes: number;
}

const NOTHING: Count = { packets: 0, bytes: 0 };

export interface WorkerEvents {
  /** The thread ended without having been told to, of which who waits for its answers hears first. */
  onDeath(cause: Error): void;
  /** The TUN of this fan broke; the other fans go on. */
  onLost(fan: string, message: string): void;
  /** A peer's probe, see probe-tap.ts. */
  onProbe: OnProbe;
  /** What a trace saw. */
  onTraced(session: number, records: TraceRecord[]): void;
}

export class WorkerClient {
  readonly #worker: Worker;
  readonly #wakeFd = native.eventOpen();
  readonly #waiting = new Map<number, (answer: Answer | Error) => void>();
  #lastId = 0;
  /** What ended it. */
  #death: Error | undefined;
  #stopping = false;
  #receiverFds: readonly number[] = [];
  #kernelCounters: Readonly<Record<string, ByDirection>> = {};
  #kernelLinks: Readonly<Record<string, Readonly<Record<string, number>>>> = {};
  /** As last read: while the worker is being configured the descriptors can't be asked. */
  readonly #kernelCounts = new Map<string, KernelCounts>();
  /** Drops of receivers that are closed by now: the sum never falls. */
  #earlierDrops = 0;

  /** `share`: which worker of how many it is. With devices that it inherits it serves none until begin(). */
  constructor(
    shared: Pick<WorkerData, 'counters' | 'sentSizes' | 'inherited'>,
    share: Share,
    { onDeath, onLost, onProbe, onTraced }: WorkerEvents,
  ) {
    const workerData: WorkerData = { ...shared, wakeFd: this.#wakeFd, share };
    const entry = createRequire(import.meta.url).resolve('#worker');
    this.#worker = new Worker(entry, { workerData, name: `ufan-forward-${share.index}` });
    this.#worker.on('message', (answer: FromWorker) => {
      if (answer.type === 'lost') return onLost(answer.fan, answer.message);
      if (answer.type === 'probe') return onProbe(answer.fan, answer.sender, answer.packet);
      if (answer.type === 'traced') return onTraced(answer.session, answer.records);
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
    const die = (cause: Error): void => {
      if (this.#death) return;
      this.#death = cause;
      for (const settle of this.#waiting.values()) settle(cause);
      this.#waiting.clear();
      onDeath(cause);
    };
    this.#worker.on('error', (cause) => die(cause instanceof Error ? cause : new Error(String(cause))));
    this.#worker.on('exit', (code) => {
      if (!this.#stopping) die(new Error(`it ended with status ${code}`));
    });
  }

  /** Makes the worker forward for exactly these fans. Throws FanError step-failed; the old ones then go on. */
  async configure(fans: FanSpec[], generation: number): Promise<Configured> {
    const before = { receivers: this.#receiverFds, kernel: this.#kernelCounters, links: this.#kernelLinks };
    for (const fan of Object.keys(before.kernel)) this.kernelCounts(fan);
    // The worker may close any of them meanwhile, and the number be another file's.
    this.#watch([], {}, {});
    try {
      const answer = await this.#ask<Done>({ type: 'configure', id: ++this.#lastId, generation, fans });
      this.#watch(answer.receiverFds, answer.kernelCounters, answer.kernelLinks);
      for (const fan of this.#kernelCounts.keys()) {
        if (!(fan in answer.kernelCounters)) this.#kernelCounts.delete(fan);
      }
      return answer;
    } catch (error) {
      this.#watch(before.receivers, before.kernel, before.links);
      throw error;
    }
  }

  /** Takes exactly these relays from now on. Throws FanError step-failed. */
  async useRelays(relays: Relays): Promise<void> {
    await this.#ask({ type: 'relays', id: ++this.#lastId, relays });
  }

  /** Traces for exactly these sessions from now on. Throws FanError step-failed. */
  async trace(sessions: TraceSpec[], generation: number): Promise<void> {
    await this.#ask({ type: 'trace', id: ++this.#lastId, generation, sessions });
  }

  /** Resolves when all that it traced before the call has been handed over. */
  async mark(): Promise<void> {
    await this.#ask<Marked>({ type: 'mark', id: ++this.#lastId });
  }

  /** What a worker of another process needs to serve the same devices. */
  async lend(): Promise<Inherited> {
    return (await this.#ask<Lent>({ type: 'lend', id: ++this.#lastId })).inherited;
  }

  /** Resolves when it serves no device any more, until begin(): with what it knows. */
  pause(): Promise<Paused> {
    return this.#ask<Paused>({ type: 'pause', id: ++this.#lastId });
  }

  /** Resolves when it serves its devices, to the time since when. Throws FanError step-failed. */
  async begin(known: ForwarderState): Promise<bigint> {
    return (await this.#ask<Began>({ type: 'begin', id: ++this.#lastId, known })).atNs;
  }

  /** What the worker knows beside its counters, between two batches. */
  inspect(): Promise<WorkerState> {
    return this.#ask<Inspected>({ type: 'inspect', id: ++this.#lastId });
  }

  /** Packets that the kernel dropped because our receive buffer was full. */
  get socketDrops(): number {
    return this.#receiverFds.reduce((sum, fd) => sum + native.socketDrops(fd), this.#earlierDrops);
  }

  /** Of those, what the receivers that there are don't say: for who inherits them. */
  get earlierDrops(): number {
    return this.#earlierDrops;
  }

  /** Descriptors of what the programs count, by the fan's id; good until the next configure(). */
  get kernelCounters(): Readonly<Record<string, ByDirection>> {
    return this.#kernelCounters;
  }

  /** What programs in the kernel have sent on for this fan; undefined where it has none. */
  kernelCounts(fan: string): KernelCounts | undefined {
    const fds = this.#kernelCounters[fan];
    if (fds) {
      const countOf = (fd: number) => (fd < 0 ? NOTHING : native.programCount(fd));
      this.#kernelCounts.set(fan, { encap: countOf(fds.encap), decap: countOf(fds.decap) });
    }
    return this.#kernelCounts.get(fan);
  }

  /** What programs of this fan do that somebody detached from their device: "encap", "GSO shim". */
  detached(fan: string): string[] {
    const links = Object.entries(this.#kernelLinks[fan] ?? {});
    return links.filter(([, fd]) => native.programDevice(fd) === 0).map(([what]) => what);
  }

  /** The process ends: it would wait for a thread that sleeps. */
  leave(): void {
    if (this.#death || this.#stopping) return;
    this.#worker.postMessage({ type: 'leave' } satisfies ToWorker);
    native.eventSignal(this.#wakeFd);
  }

  /** One that died is as good as stopped. */
  async stop(): Promise<void> {
    this.#watch([], {}, {});
    if (this.#death) return;
    this.#stopping = true;
    const gone = new Promise((resolve) => this.#worker.once('exit', resolve));
    await this.#ask({ type: 'stop', id: ++this.#lastId }).catch(() => undefined);
    await gone;
    native.close(this.#wakeFd);
  }

  #watch(
    receiverFds: readonly number[],
    kernelCounters: Configured['kernelCounters'],
    kernelLinks: Configured['kernelLinks'],
  ): void {
    this.#kernelLinks = kernelLinks;
    const total = this.socketDrops;
    this.#kernelCounters = kernelCounters;
    this.#receiverFds = receiverFds;
    this.#earlierDrops = 0;
    this.#earlierDrops = Math.max(0, total - this.socketDrops);
  }

  #ask<Reply extends Answer>(message: Exclude<ToWorker, { type: 'leave' }>): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const dead = (cause: Error) =>
        reject(new FanError('daemon', `the worker died: ${cause.message}`, { cause }));
      if (this.#death) return dead(this.#death);
      this.#waiting.set(message.id, (answer) => {
        if (answer instanceof Error) dead(answer);
        else if (answer.type === 'failed') reject(new FanError('step-failed', answer.message));
        else resolve(answer as Reply);
      });
      this.#worker.postMessage(message);
      native.eventSignal(this.#wakeFd);
    });
  }
}
