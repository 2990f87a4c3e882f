/**
 * fand's side of the dataplane: the workers, started with the first fan, and the counters of each fan.
 */

import { isDeepStrictEqual } from 'node:util';
import { formatAddress } from '../addr/ipv4-address.js';
import { DROP } from '../base/drop-reason.js';
import { FanError } from '../base/error.js';
import type { Logger } from '../base/log.js';
import type { FanView, Offender, Stats } from '../control/protocol.js';
import type { FanRecord } from '../control/state-store.js';
import type { ForwarderState } from '../dataplane/forwarder.js';
import { HOST_BLOCK, MAX_FANS } from '../dataplane/tables/counters.js';
import type { FanIo, FanSpec } from '../dataplane/tables/fan-spec.js';
import type { TraceRecord, TraceSpec } from '../dataplane/tracing/protocol.js';
import type { OnProbe } from '../dataplane/walks/probe-tap.js';
import type { WorkerEvents } from '../dataplane/workers/client.js';
import { WorkerCounters } from '../dataplane/workers/counters.js';
import { WorkerPool } from '../dataplane/workers/pool.js';
import type { WorkerState } from '../dataplane/workers/protocol.js';
import type { Lore } from '../diagnosis/probe/peer-lore.js';
import { readTransmitDrops } from '../host/link-statistics.js';
import { pinDirOf } from '../host/pin-dir.js';
import { findDevice } from '../io/netlink/device-index.js';
import { removePins } from '../io/programs/pins.js';
import { ChecksumTally } from './checksum-tally.js';
import { FanSpecs } from './fan-specs.js';
import { GuardTally } from './guard-tally.js';
import type { Account, Counted, CountedFan, Estate } from './handover/heritage.js';
import { kernelObstacles } from './kernel-obstacles.js';
import { KernelTally } from './kernel-tally.js';
import { RelayKeeper } from './relay-keeper.js';

export class Forwarding {
  readonly #counters: WorkerCounters;
  /** Fan id → counter block. */
  readonly #blocks = new Map<string, number>();
  /** Where programs are named that outlive us; undefined where none can. */
  readonly #pins: string | undefined;
  readonly #log: Logger;
  readonly #events: WorkerEvents;
  #workers: WorkerPool | undefined;
  readonly #specs: FanSpecs;
  readonly #relays: RelayKeeper;
  readonly #guard = new GuardTally();
  readonly #checksums = new ChecksumTally();
  /** Fan id → by which io it goes, since the last configure(). */
  #io: Readonly<Record<string, FanIo>> = {};
  readonly #kernel = new KernelTally();
  /** Fan id → the underlay device that it was opened with. */
  #devices = new Map<string, string>();
  /** Fan id → why decap is kept from the kernel, as last noted. */
  #obstacles: Readonly<Record<string, readonly string[]>> = {};
  /** Fan id → what programs of it do that somebody detached, as last noted. */
  #detached: Readonly<Record<string, readonly string[]>> = {};
  /** What the fand before us serves still, until begin(). */
  #estate: Estate | undefined;
  /** Lost by receivers that were closed before ours. */
  #earlierDrops = 0;
  /** Takes what the traces see. */
  onTraced: (session: number, records: TraceRecord[]) => void = () => undefined;
  /** Takes the probes of peers. */
  onProbe: OnProbe = () => undefined;
  /** Told for which fans it forwards now. */
  onConfigured: (fans: readonly FanRecord[]) => Promise<void> = async () => undefined;

  /** `workers`: how many forward; `runDir`: of the fand that this is a part of. */
  constructor(
    workers: number,
    runDir: string,
    log: Logger,
    events: Omit<WorkerEvents, 'onTraced' | 'onProbe'>,
  ) {
    this.#counters = new WorkerCounters(workers);
    this.#pins = pinDirOf(runDir);
    this.#specs = new FanSpecs(this.#pins);
    this.#log = log;
    this.#relays = new RelayKeeper(runDir, async (relays) => this.#workers?.useRelays(relays));
    this.#events = {
      ...events,
      onTraced: (session, records) => this.onTraced(session, records),
      onProbe: (fan, sender, packet) => this.onProbe(fan, sender, packet),
    };
  }

  /** How many forward. */
  get workers(): number {
    return this.#counters.copies.length;
  }

  /** Forwards for exactly `fans` from now on, and says in their views by which io. Throws FanError step-failed; then the fans before still are. */
  async configure(fans: readonly FanRecord[]): Promise<void> {
    if (fans.length === 0 && !this.#workers) return;
    this.#workers ??= new WorkerPool(this.#counters, this.#events, this.#estate?.workers);
    const before = new Map(this.#blocks);
    try {
      for (const { id } of fans) if (!this.#blocks.has(id)) this.#blocks.set(id, this.#freeBlock());
      const specs = await Promise.all(fans.map((fan) => this.#specOf(fan)));
      const { tunOffloads, io } = await this.#workers.configure(specs);
      const relayed = fans.filter(({ id }) => io[id]!.cuts).map(({ plan }) => plan.underlayDevice);
      await this.#relays.fit(relayed);
      this.#noteChecksums();
      this.#io = io;
      this.#note(fans);
      this.#log.debug({ tunOffloads }, `forwarding for ${fans.length} fans`);
    } catch (error) {
      this.#blocks.clear();
      for (const [id, block] of before) this.#blocks.set(id, block);
      throw error;
    }
    for (const id of before.keys()) {
      if (fans.some((fan) => fan.id === id)) continue;
      this.#blocks.delete(id);
      this.#kernel.forget(id);
    }
    this.#devices = new Map(fans.map(({ id, plan }) => [id, plan.underlayDevice]));
    await this.onConfigured(fans);
  }

  /** What the next fand needs to forward for the same fans by the same devices; null where nothing is forwarded. */
  async lend(): Promise<Estate | null> {
    if (!this.#workers) return null;
    const probe = await this.#specs.probed();
    const { kernelCounters } = this.#workers;
    const fans = Object.entries(this.#io).map(([id, { mode, notes }]) => {
      const cookie = this.#specs.cookieOf(id);
      return [id, { mode, notes, kernelCounters: kernelCounters[id] ?? { encap: -1, decap: -1 }, cookie }];
    });
    const workers = await this.#workers.lend();
    return { probe, workers, relays: this.#relays.relays, fans: Object.fromEntries(fans) };
  }

  /** Reads from no device any more, until begin(). Returns what was counted by then, but for the programs in the kernel. */
  async pause(): Promise<Account> {
    const paused = (await this.#workers?.pause()) ?? [];
    this.#noteChecksums();
    const [pausedNs] = paused.map(({ atNs }) => atNs).sort((a, b) => (a < b ? -1 : 1));
    const counted = (block: number): Counted => {
      return { counts: this.#counters.read(block), blamed: this.#counters.blamed(block) };
    };
    const fans = [...this.#blocks].map(([id, block]): [string, CountedFan] => {
      return [id, { ...counted(block), block, earlier: this.#kernel.earlier(id) ?? null }];
    });
    return {
      pausedNs: pausedNs === undefined ? null : `${pausedNs}`,
      host: counted(HOST_BLOCK),
      fans: Object.fromEntries(fans),
      states: paused.map(({ state }) => state),
      earlierDrops: this.#earlierDrops + (this.#workers?.earlierDrops ?? 0),
      guard: this.#guard.totals,
    };
  }

  /** From now on configure() only prepares, by devices that another fand serves, until begin(). */
  inherit(estate: Estate): void {
    this.#estate = estate;
    this.#specs.adopt(estate);
    this.#relays.adopt(estate.relays);
    const counters = Object.entries(estate.fans).map(([id, { kernelCounters }]) => [id, kernelCounters]);
    this.#kernel.watchOthers(Object.fromEntries(counters));
  }

  /**
   * Nobody else reads from our devices any more. `account`: of who did; without one, everything counts on. Returns since
   * when they are served, ns by CLOCK_MONOTONIC; undefined where there are none.
   */
  async begin(account?: Account): Promise<bigint | undefined> {
    this.#estate = undefined;
    return this.#workers?.begin(account ? this.#restore(account) : []);
  }

  /** The fand before us is gone, and its programs with it. */
  forgetOthers(): void {
    this.#kernel.settleOthers(new Set(this.#blocks.keys()));
  }

  /** Returns what the workers of another fand had learnt, in our terms. */
  #restore({ host, fans, states, earlierDrops, guard }: Account): ForwarderState[] {
    const blocks = new Map<number, number>();
    this.#counters.restore(HOST_BLOCK, host.counts, host.blamed);
    this.#checksums.restore(this.#counters.read(HOST_BLOCK)['drop-outer-checksum-packets']!);
    for (const [id, { block: theirs, counts, blamed, earlier }] of Object.entries(fans)) {
      const block = this.#blocks.get(id);
      if (block === undefined) continue;
      blocks.set(theirs, block);
      this.#counters.restore(block, counts, blamed);
      if (earlier) this.#kernel.add(id, earlier);
    }
    this.#earlierDrops = earlierDrops;
    this.#guard.restore(guard);
    return states.map(({ peers, pathMtus }) => {
      const known = peers.filter(({ block }) => blocks.has(block));
      return { peers: known.map((peer) => ({ ...peer, block: blocks.get(peer.block)! })), pathMtus };
    });
  }

  /** Those of `fans` whose devices were made anew, or have another name, since they were attached to, and are there; `andDetached`: or whose programs somebody detached. */
  outdated(fans: readonly FanRecord[], andDetached: boolean): FanRecord[] {
    return fans.filter(({ id, plan: { underlayDevice, bridge, vxlanDevice } }) => {
      const io = this.#io[id];
      const at = { underlay: findDevice(underlayDevice)?.index, bridge: findDevice(bridge)?.index };
      if (io === undefined || at.underlay === undefined || at.bridge === undefined) return false;
      const isAnother = io.underlayIndex !== undefined && io.underlayIndex !== at.underlay;
      const isMoved = this.#devices.get(id) !== underlayDevice;
      const isDetached = andDetached && this.#detached[id] !== undefined;
      const vxlan = io.vxlanIndex === undefined ? undefined : findDevice(vxlanDevice ?? '')?.index;
      if (vxlan !== undefined && vxlan !== io.vxlanIndex) return true;
      return (
        isAnother || isMoved || isDetached || (io.decapAt !== undefined && io.decapAt.bridge !== at.bridge)
      );
    });
  }

  /** Attaches anew to the devices of some of `fans`, which are all that it forwards for. Throws as configure(). */
  async reattach(some: readonly FanRecord[], fans: readonly FanRecord[]): Promise<void> {
    const specs = await Promise.all(
      fans.filter((fan) => !some.includes(fan)).map((fan) => this.#specOf(fan)),
    );
    for (const { id } of some) this.#keepKernelCounts(id);
    await this.#workers?.configure(specs);
    await this.configure(fans);
  }

  /** Path MTU that was learnt toward an underlay host, u32, outer header included; null where none was. */
  async pathMtu(host: number): Promise<number | null> {
    const states = (await this.#workers?.inspect()) ?? [];
    const known = states.flatMap(({ pathMtus }) => pathMtus).filter(({ address }) => address === host);
    return known.length === 0 ? null : Math.min(...known.map(({ mtu }) => mtu));
  }

  /** What it knows of other hosts, for the responder. */
  async lore(): Promise<Lore> {
    const states = (await this.#workers?.inspect()) ?? [];
    const received = states.flatMap(({ peers }) => peers.filter(({ rxPackets }) => rxPackets > 0));
    const paths = new Map<number, number>();
    for (const { address, mtu } of states.flatMap(({ pathMtus }) => pathMtus)) {
      paths.set(address, Math.min(mtu, paths.get(address) ?? mtu));
    }
    return { peers: new Set(received.map(({ address }) => address)), paths };
  }

  async stats(fans: readonly FanRecord[]): Promise<Stats> {
    const lost = this.#earlierDrops + (this.#workers?.socketDrops ?? 0);
    this.#counters.setDrop(HOST_BLOCK, DROP['socket-overflow'], lost);
    this.#noteChecksums();
    const transmitDrops = await readTransmitDrops();
    this.#guard.read(fans, (id, reason, packets) => {
      const block = this.#blocks.get(id);
      if (block !== undefined) this.#counters.setDrop(block, reason, packets);
    });
    const views: Stats['fans'] = [];
    for (const { id, view, plan } of fans) {
      const block = this.#blocks.get(id);
      if (block === undefined) continue;
      this.#counters.setDrop(block, DROP['tun-overflow'], transmitDrops.get(plan.tun) ?? 0);
      const { bridge, overlay, underlay, io } = view;
      views.push({ bridge, overlay, underlay, io, counters: this.#read(id, block) });
    }
    return { host: { counters: this.#counters.read(HOST_BLOCK) }, fans: views };
  }

  /** Before it is another io that fans come in by. */
  #noteChecksums(): void {
    const isOurs = Object.values(this.#io).some(({ mode, vxlanIndex }) => mode === 'raw' || vxlanIndex);
    this.#counters.setDrop(HOST_BLOCK, DROP['outer-checksum'], this.#checksums.read(isOurs));
  }

  /** Ours and those of the programs in the kernel, which send on all that they take. */
  #read(id: string, block: number): Record<string, number> {
    const counters = this.#counters.read(block);
    const kernel = [this.#workers?.kernelCounts(id), ...this.#kernel.read(id)];
    for (const [direction, { packets, bytes }] of kernel.flatMap((counts) => Object.entries(counts ?? {}))) {
      for (const side of ['rx', 'tx']) {
        counters[`${direction}-${side}-packets`]! += packets;
        counters[`${direction}-${side}-bytes`]! += bytes;
      }
    }
    return counters;
  }

  /** What programs have counted that are about to go. */
  #keepKernelCounts(id: string): void {
    const now = this.#workers?.kernelCounts(id);
    if (now) this.#kernel.add(id, now);
  }

  /** Traces for exactly these sessions from now on. Throws FanError not-configured where no fan is up. */
  async trace(sessions: TraceSpec[]): Promise<void> {
    if (!this.#workers) throw new FanError('not-configured', 'no fan is up');
    await this.#workers.trace(sessions);
  }

  /** Resolves when all that was traced before the call has been handed over. */
  async markTraces(): Promise<void> {
    await this.#workers?.mark();
  }

  /** What the workers know beside the counters, with the bridge of each counter block; [] where none runs. */
  async inspect(
    fans: readonly FanRecord[],
  ): Promise<{ workers: (WorkerState & { packets: number })[]; bridges: Map<number, string> }> {
    const bridges = new Map<number, string>();
    for (const { id, view } of fans) {
      const block = this.#blocks.get(id);
      if (block !== undefined) bridges.set(block, view.bridge);
    }
    return { workers: (await this.#workers?.inspect()) ?? [], bridges };
  }

  /** Who sent the last packet that was dropped, for each fan and reason. */
  offenders(fans: readonly FanRecord[]): Offender[] {
    return fans.flatMap(({ id, view: { bridge } }) => {
      const block = this.#blocks.get(id);
      const blamed = block === undefined ? [] : this.#counters.blamed(block);
      return blamed.map(({ reason, address, atMs }) => {
        return { bridge, reason, address: formatAddress(address), ageMs: Math.max(0, Date.now() - atMs) };
      });
    });
  }

  /** Makes the relays anew, where somebody broke one; returns what was done, in words. */
  renewRelays(): Promise<string[]> {
    return this.#relays.renew();
  }

  /** Whether something has come or gone, since it was last noted, that keeps packets from the kernel. */
  obstaclesChanged(fans: readonly FanRecord[]): boolean {
    return !isDeepStrictEqual(this.#findObstacles(fans), this.#obstacles);
  }

  /** Whether programs were detached since that was last noted. */
  detachedChanged(fans: readonly FanRecord[]): boolean {
    return !isDeepStrictEqual(this.#findDetached(fans), this.#detached);
  }

  /** Says in the views of `fans` why decap is not the kernel's; the worker has seen it itself. */
  noteObstacles(fans: readonly FanRecord[]): void {
    this.#note(fans);
  }

  #note(fans: readonly FanRecord[]): void {
    this.#obstacles = this.#findObstacles(fans);
    this.#detached = this.#findDetached(fans);
    this.#noteIo(fans);
  }

  /** Whether IPsec policies have come or gone, which bursts by a relay would pass by. */
  get policiesChanged(): boolean {
    return this.#relays.isOutdated;
  }

  /** Lets bursts go by relays only where no IPsec policy is passed by; `fans` are those that it forwards for. */
  async followPolicies(fans: readonly FanRecord[]): Promise<void> {
    await this.#relays.refit();
    this.#noteIo(fans);
  }

  /** Detaches the programs of a fan that nobody forwards for any more, also those of a fand that died. */
  forgetPrograms({ id }: FanRecord): void {
    if (this.#pins !== undefined) removePins(`${this.#pins}/${id}`);
  }

  /** Takes away what forwarding needs of the host beside the steps of the fans, after the last one has gone. */
  async release(): Promise<void> {
    await this.#relays.clear();
  }

  async stop(): Promise<void> {
    await this.#workers?.stop();
    this.#workers = undefined;
  }

  /** A system call for each program. Links say nothing when they are detached, so it is asked now and then. */
  #findDetached(fans: readonly FanRecord[]): Record<string, string[]> {
    const found = fans.map(({ id }) => [id, this.#workers?.detached(id) ?? []] as const);
    return Object.fromEntries(found.filter(([, detached]) => detached.length > 0));
  }

  /** As last noted where the kernel can't be asked for a moment: it is for `show` alone. */
  #findObstacles(fans: readonly FanRecord[]): Readonly<Record<string, readonly string[]>> {
    const byKernel = fans.flatMap(({ id, plan: { underlayDevice, bridge } }) => {
      const { decapAt: at, vxlanIndex } = this.#io[id] ?? {};
      const overVxlan = vxlanIndex !== undefined;
      return at ? [{ id, overVxlan, underlayDevice, bridge, at }] : [];
    });
    try {
      return kernelObstacles(byKernel);
    } catch {
      return this.#obstacles;
    }
  }

  #noteIo(fans: readonly FanRecord[]): void {
    for (const { id, view, plan } of fans) {
      const io = this.#io[id]!;
      const relayFailure = io.cuts ? this.#relays.failure(plan.underlayDevice) : undefined;
      const obstacles = this.#obstacles[id] ?? [];
      const detached = this.#detached[id];
      if (detached) view.detached = [...detached];
      else delete view.detached;
      this.#noteIoOf(view, io, [
        ...(relayFailure === undefined ? [] : [`${io.mode}: bursts go without a relay: ${relayFailure}`]),
        ...obstacles.map((obstacle) => `bpf: ${obstacle}`),
      ]);
    }
  }

  #noteIoOf(view: FanView, { mode, notes: ways }: FanIo, more: readonly string[]): void {
    const notes = [...ways, ...more];
    for (const note of notes) {
      if (!view.ioNotes.includes(note)) this.#log.info(`${view.bridge}: io ${mode}, as ${note}`);
    }
    view.io = mode;
    view.ioNotes = notes;
  }

  #specOf(fan: FanRecord): Promise<FanSpec> {
    return this.#specs.of(fan, this.#blocks.get(fan.id)!, this.#estate?.fans[fan.id]);
  }

  #freeBlock(): number {
    const used = new Set(this.#blocks.values());
    for (let block = HOST_BLOCK + 1; block <= MAX_FANS; block++) {
      if (used.has(block)) continue;
      this.#counters.clear(block);
      return block;
    }
    throw new FanError('unsupported', `a host has at most ${MAX_FANS} fans: take one down first`);
  }
}
