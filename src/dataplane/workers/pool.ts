/**
 * All forwarding workers of fand as one: each has a queue of every TUN, a part of what the underlay brings, and
 * counters of its own, and all packets of an inner flow in one direction go through one of them, in order.
 *
 *   out    the kernel puts a flow into the TUN queue of its hash (io/devices/tun.ts)
 *   in     packet receivers form a group, which the kernel serves by the inner flow's hash (native/packet_socket.c);
 *          raw receivers have filters that each take a share (io/receive-filter.ts)
 *   errors ICMP errors reach every worker: each learns path MTUs, the first one answers (path-errors.ts)
 *
 * The first worker decides on the io of a fan, and has the programs in the kernel; the others follow, and give its
 * programs the flows that no trace can show (untraced-flows.ts).
 */

import { awaitActive } from '../../io/netlink/active-device.js';
import type { ForwarderState } from '../forwarder.js';
import type { Inherited } from '../ports/inherited.js';
import type { ByDirection, FanSpec, Relays } from '../tables/fan-spec.js';
import type { TraceSpec } from '../tracing/protocol.js';
import { SentSizes } from '../walks/sent-sizes.js';
import { type KernelCounts, type Paused, WorkerClient, type WorkerEvents } from './client.js';
import type { WorkerCounters } from './counters.js';
import type { Configured, WorkerState } from './protocol.js';

export class WorkerPool {
  readonly #first: WorkerClient;
  readonly #others: readonly WorkerClient[];
  readonly #counters: WorkerCounters;
  /** What they were last told to forward for. */
  #fans: FanSpec[] = [];
  /** As in ToWorker. */
  #generation = 0;
  readonly #onExit = (): void => {
    for (const worker of this.#all) worker.leave();
  };

  /**
   * A worker for each copy of `counters`. The death of any is an event: without its part no fan is whole. `inherited`: the
   * devices of each, which another process serves until begin().
   */
  constructor(counters: WorkerCounters, events: WorkerEvents, inherited?: readonly Inherited[]) {
    this.#counters = counters;
    const count = counters.copies.length;
    const sentSizes = new SentSizes().shared;
    const [first, ...others] = counters.copies.map(
      ({ shared }, index) =>
        new WorkerClient(
          { counters: shared, sentSizes, inherited: inherited?.[index] },
          { index, count },
          events,
        ),
    );
    this.#first = first!;
    this.#others = others;
    process.once('exit', this.#onExit);
  }

  /**
   * Makes them forward for exactly these fans, whose packets pass when it returns. Throws FanError step-failed; the old
   * ones then go on.
   */
  async configure(fans: FanSpec[]): Promise<Configured> {
    const added = fans.filter(({ id }) => !this.#fans.some((fan) => fan.id === id));
    try {
      const answer = await this.#configureAll(fans);
      await Promise.all(added.map(({ tun }) => awaitActive(tun)));
      this.#fans = fans;
      return answer;
    } catch (error) {
      // One that can't go back to the fans before is one that died, of which its event tells.
      await this.#configureAll(this.#fans).catch(() => undefined);
      throw error;
    }
  }

  /** Takes exactly these relays from now on. Throws FanError step-failed. */
  async useRelays(relays: Relays): Promise<void> {
    await Promise.all(this.#all.map((worker) => worker.useRelays(relays)));
  }

  /** Traces for exactly these sessions from now on. Throws FanError step-failed. */
  async trace(sessions: TraceSpec[]): Promise<void> {
    const generation = ++this.#generation;
    await Promise.all(this.#all.map((worker) => worker.trace(sessions, generation)));
  }

  /** Resolves when all that was traced before the call has been handed over. */
  async mark(): Promise<void> {
    await Promise.all(this.#all.map((worker) => worker.mark()));
  }

  /** What each knows beside its counters, between two of its batches. */
  async inspect(): Promise<(WorkerState & { packets: number })[]> {
    const states = await Promise.all(this.#all.map((worker) => worker.inspect()));
    return states.map((state, index) => ({ ...state, packets: this.#counters.packets(index) }));
  }

  /** What the workers of another process need to serve the same devices. */
  lend(): Promise<Inherited[]> {
    return Promise.all(this.#all.map((worker) => worker.lend()));
  }

  /** Resolves when no device is served any more, until begin(): since when each serves none, and what it knows. */
  pause(): Promise<Paused[]> {
    return Promise.all(this.#all.map((worker) => worker.pause()));
  }

  /**
   * Resolves when all devices are served, to the time since when. `known`: to add to what each knows. Throws FanError
   * step-failed.
   */
  async begin(known: readonly ForwarderState[]): Promise<bigint> {
    const nothing: ForwarderState = { peers: [], pathMtus: [] };
    const times = await Promise.all(this.#all.map((worker, index) => worker.begin(known[index] ?? nothing)));
    return times.sort((a, b) => (a < b ? 1 : -1))[0]!;
  }

  /** Drops of receivers that are closed by now: those that there are don't say. */
  get earlierDrops(): number {
    return this.#all.reduce((sum, worker) => sum + worker.earlierDrops, 0);
  }

  /** As WorkerClient.kernelCounters. */
  get kernelCounters(): Readonly<Record<string, ByDirection>> {
    return this.#first.kernelCounters;
  }

  /** Packets that the kernel dropped because a receive buffer of ours was full. */
  get socketDrops(): number {
    return this.#all.reduce((sum, worker) => sum + worker.socketDrops, 0);
  }

  /** What programs in the kernel have sent on for this fan; undefined where it has none. */
  kernelCounts(fan: string): KernelCounts | undefined {
    return this.#first.kernelCounts(fan);
  }

  /** As WorkerClient.detached, of all workers. */
  detached(fan: string): string[] {
    return [...new Set(this.#all.flatMap((worker) => worker.detached(fan)))];
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all.map((worker) => worker.stop()));
    process.off('exit', this.#onExit);
  }

  get #all(): readonly WorkerClient[] {
    return [this.#first, ...this.#others];
  }

  async #configureAll(fans: FanSpec[]): Promise<Configured> {
    const generation = ++this.#generation;
    const answer = await this.#first.configure(fans, generation);
    const followers = fans.map((spec) => following(spec, answer));
    const results = await Promise.allSettled(
      this.#others.map((worker) => worker.configure(followers, generation)),
    );
    const failed = results.find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
    return answer;
  }
}

/** A fan as the other workers forward for it: in the mode that the first one found to work, with its program. */
function following(spec: FanSpec, { io, kernelFlows, kernelPeers }: Configured): FanSpec {
  const { mode, receiverGroup } = io[spec.id]!;
  return {
    ...spec,
    io: [mode === 'bpf' ? 'packet' : mode],
    ioNotes: [],
    receiverGroup,
    kernelFlows: kernelFlows[spec.id] ?? spec.kernelFlows,
    kernelPeers: kernelPeers[spec.id]?.encap ?? -1,
  };
}
