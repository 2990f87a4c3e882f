/**
 * The fans of this host: brings them up and down, restores them after a crash, and keeps host, worker and state file
 * in step. One change at a time; each either happens whole or leaves everything as it was.
 */
import { randomUUID } from 'node:crypto';
import { errorText, FanError } from '../base/error.js';
import type { Logger } from '../base/log.js';
import { formatOverlay, parseOverlay } from '../config/overlay.js';
import { formatUnderlay, parseUnderlay } from '../config/underlay.js';
import { Attachments, withLeasesKept } from '../control/attachments.js';
import { planFan, viewOf } from '../control/fan-plan.js';
import { findFan } from '../control/find-fan.js';
import { flagsKept, keep } from '../control/known-fan.js';
import type {
  DownReply,
  DownRequest,
  FanView,
  RepairReply,
  RepairRequest,
  RestoreReply,
  RunPaths,
  UpReply,
  UpRequest,
} from '../control/protocol.js';
import type { FanRecord, State, StateStore } from '../control/state-store.js';
import { enslave, readAddresses } from '../host/links.js';
import { fanSteps, hostSteps, STEP_KINDS } from '../host/steps/fan-steps.js';
import { followPorts, type IsolateData } from '../host/steps/isolate-step.js';
import { applySteps, reapplySteps, remarksOf, type StepRecord, undoSteps } from '../host/steps/step.js';
import { writeSysctl } from '../host/sysctl.js';
import { requireDescriptors } from './descriptors.js';
import type { Forwarding } from './forwarding.js';
import { type Cure, heals } from './healing/cure.js';
import type { Health } from './healing/health.js';
import type { PortMemory } from './healing/port-memory.js';
import { newNameOf } from './underlay-device.js';
import { UnderlayMtu } from './underlay-mtu.js';
import { Upkeep } from './upkeep.js';

export class FanManager {
  readonly #state: State;
  readonly #store: StateStore;
  readonly #forwarding: Forwarding;
  readonly #paths: RunPaths;
  readonly #attachments: Attachments;
  readonly #log: Logger;
  readonly #underlayMtu: UnderlayMtu;
  /** The fan that an `up` is at. */
  #rising: FanRecord | undefined;
  readonly #upkeep: Upkeep;
  readonly #ports: PortMemory;
  readonly #health: Health;
  /** The change under way; the next one waits for it. */
  #turn: Promise<unknown> = Promise.resolve();
  /** Changes under way or waiting. */
  #pending = 0;
  #isHandedOver = false;
  /** Changes that were ever begun. */
  #changes = 0;

  /** Fans in `state` are dead until `up` restores them. `watch`: what the healer knows of ports, and of troubles. */
  constructor(
    state: State,
    store: StateStore,
    forwarding: Forwarding,
    watch: { readonly ports: PortMemory; readonly health: Health },
    paths: RunPaths,
    log: Logger,
  ) {
    this.#ports = watch.ports;
    this.#health = watch.health;
    this.#upkeep = new Upkeep(state, store, forwarding, watch.ports, log);
    this.#state = state;
    this.#store = store;
    this.#forwarding = forwarding;
    this.#paths = paths;
    this.#attachments = new Attachments(paths.stateDir);
    this.#log = log;
    this.#underlayMtu = new UnderlayMtu(forwarding, () => store.save(state), log);
    for (const fan of state.fans) fan.view.state = 'dead';
  }

  /** As `show` has them; in the records a fan is up or dead. One that an `up` is still at is none yet. */
  get views(): FanView[] {
    const there = this.#state.fans.filter((fan) => fan !== this.#rising);
    return there.map(({ view }) => {
      const health = [...this.#health.of(view.bridge)];
      const state = view.state === 'up' && health.length > 0 ? 'degraded' : view.state;
      return { ...view, state, health };
    });
  }

  /** Grows with each change: what was seen of the host before is of no use then. */
  get changes(): number {
    return this.#changes;
  }

  get records(): readonly FanRecord[] {
    return this.#state.fans;
  }

  get isEmpty(): boolean {
    return this.#state.fans.length === 0;
  }

  /** Whether a change is under way. */
  get isBusy(): boolean {
    return this.#pending > 0;
  }

  /** Resolves when no change is under way. */
  async settled(): Promise<void> {
    while (this.isBusy) await this.#turn;
  }

  /** Writes the record anew, where somebody removed it. */
  save(): Promise<void> {
    return this.#inTurn(() => this.#store.save(this.#state));
  }

  /** Brings a fan up, after restoring those whose daemon died. Throws FanError; then nothing has changed. */
  up(request: UpRequest): Promise<UpReply> {
    return this.#inTurn(async () => {
      const dead = this.#state.fans.filter(({ view }) => view.state === 'dead');
      requireDescriptors();
      const notes = await this.#restore(dead);
      const known = await findFan(this.#state.fans, request);
      if (!known) return this.#bringUp(request, notes);
      const { bridge, state } = known.view;
      if (state === 'dead') throw new FanError('step-failed', notes.join('; '));
      if (dead.includes(known)) {
        return { bridge, outcome: 'restored', notes: [...notes, ...flagsKept(known, request)] };
      }
      return { bridge, outcome: 'kept', notes: [...notes, ...keep(known, request)] };
    });
  }

  /** Brings fans up that a fand before us left; returns what could not be restored, in words. */
  restore(): Promise<RestoreReply> {
    return this.#inTurn(async () => {
      const dead = this.#state.fans.filter(({ view }) => view.state === 'dead');
      return { notes: await this.#restore(dead) };
    });
  }

  /** Runs `passOn` between two changes, after which all is another fand's: what comes behind is refused, unless it throws. */
  handOver<T>(passOn: () => Promise<T>): Promise<T> {
    return this.#inTurn(async () => {
      await this.#store.save(this.#state);
      const result = await passOn();
      this.#isHandedOver = true;
      return result;
    });
  }

  /** Prepares to go on with fans that another fand still forwards for, until Forwarding.begin(). Throws FanError. */
  takeOver(ids: readonly string[]): Promise<void> {
    const fans = this.#state.fans.filter(({ id }) => ids.includes(id));
    return this.#inTurn(() => this.#upkeep.takeOver(fans, this.#state.host));
  }

  /** The TUN of a fan broke: it is dead until `up` restores it. */
  lost(id: string, message: string): Promise<void> {
    return this.#inTurn(async () => {
      const fan = this.#state.fans.find((each) => each.id === id);
      if (fan?.view.state !== 'up') return;
      fan.view.state = 'dead';
      this.#upkeep.lost.add(id);
      const next = heals(fan) ? 'it is restored' : '"fanctl up" restores it';
      this.#log.error(`${fan.view.bridge} is dead, its TUN ${fan.plan.tun} broke (${message}): ${next}`);
      await this.#forwarding.configure(this.#upFans());
      await this.#store.save(this.#state);
    });
  }

  /** Lets the fans follow what comes and goes without a word of the kernel's, and keeps packets or bursts from it. */
  async followSilent(): Promise<void> {
    if (this.#forwarding.policiesChanged) await this.#inTurn(() => this.#followPolicies());
    if (this.#forwarding.detachedChanged(this.#upFans())) await this.#inTurn(() => this.#noteObstacles());
  }

  /** The same for all that it tells of: the MTU of their underlay devices, those made anew, and what keeps decap from it. */
  async followUnderlay(): Promise<void> {
    if (this.#underlayMtu.hasChanged(this.#upFans()))
      await this.#inTurn(() => this.#underlayMtu.follow(this.#upFans()));
    if (this.#forwarding.outdated(this.#upFans(), false).length > 0)
      await this.#inTurn(() => this.#upkeep.reattach(this.#upFans()));
    if (this.#forwarding.obstaclesChanged(this.#upFans())) await this.#inTurn(() => this.#noteObstacles());
  }

  /** Tells the rules of isolated fans which ports their bridges have. */
  async followPorts(): Promise<void> {
    const steps = this.#upFans().flatMap((fan) => fan.steps.filter(({ kind }) => kind === 'isolate'));
    for (const { data } of steps) await followPorts(data as unknown as IsolateData);
  }

  /** Lets fans that heal go by the new name of their underlay device, and those told so to the slice of its new address. */
  async followDevices(): Promise<void> {
    for (const fan of this.#upFans()) {
      if (!heals(fan)) continue;
      const name = await newNameOf(fan);
      if (name !== undefined) await this.#inTurn(() => this.#upkeep.rename(fan, name, this.#upFans()));
      else if (fan.request.options.followAddress && (await this.#canMove(fan)))
        await this.#inTurn(() => this.#followAddress(fan));
    }
    await this.followUnderlay();
  }

  /**
   * Takes one fan or all down. Throws FanError not-configured where there is no such fan, in-use where containers are on
   * its bridge, daemon where it would not come to its end for want of descriptors.
   */
  down(request: DownRequest): Promise<DownReply> {
    return this.#inTurn(async () => {
      const fans = request.every ? [...this.#state.fans] : [await this.#find(request)];
      requireDescriptors();
      if (!request.force) await this.#attachments.requireNone(fans);
      const notes: string[] = [];
      for (const fan of fans) notes.push(...(await this.#takeDown(fan)));
      if (this.isEmpty) notes.push(...(await this.#releaseHost()));
      for (const note of notes) this.#log.warn(note);
      return { bridges: fans.map(({ view }) => view.bridge), notes, last: this.isEmpty };
    });
  }

  /** Does steps of the fans that are up once more, as `doctor --fix` asks for. Throws FanError step-failed. */
  repair({ repairs }: RepairRequest): Promise<RepairReply> {
    return this.#inTurn(async () => {
      const done = await this.#upkeep.redo(repairs, this.#upFans(), this.#upFans());
      for (const what of done) this.#log.info(`repair: ${what}`);
      return { done };
    });
  }

  /**
   * The same by ourselves, for one fan, or without one for what all share; and settings under /proc/sys/net. Nothing
   * where the fan has gone meanwhile. Throws FanError.
   */
  heal({ id, repairs, settings, isToRevive }: Cure): Promise<string[]> {
    return this.#inTurn(async () => {
      const fan = this.#state.fans.find((each) => each.id === id);
      if (id !== undefined && fan === undefined) return [];
      if (fan?.view.state === 'dead') return isToRevive ? this.#revive(fan) : [];
      for (const { setting, value } of settings) await writeSysctl(setting, value);
      const done = settings.map(({ setting, value }) => `wrote ${value} to /proc/sys/net/${setting}`);
      return [...done, ...(await this.#upkeep.redo(repairs, fan ? [fan] : [], this.#upFans()))];
    });
  }

  /** Whether a fan that is dead died under this fand, and is not to wait for somebody who brings it up. */
  isLost({ id, view }: FanRecord): boolean {
    return view.state === 'dead' && this.#upkeep.lost.has(id);
  }

  async #revive(fan: FanRecord): Promise<string[]> {
    const notes = await this.#restore([fan]);
    if (notes.length > 0) throw new FanError('step-failed', notes.join('; '));
    await this.#upkeep.putBackPorts(fan.plan.bridge);
    return [`brought ${fan.view.bridge} up again`];
  }

  /** The containers keep their addresses, which are another host's by now, until they ask for new ones. */
  async #followAddress(fan: FanRecord): Promise<void> {
    if (fan.view.state !== 'up' || !(await this.#canMove(fan))) return;
    const before = fan.plan.bridge;
    const ports = this.#ports.portsOf(before);
    for (const note of await this.#takeDown(fan)) this.#log.warn(note);
    try {
      const { bridge } = await this.#bringUp(fan.request, [], ports);
      this.#log.warn(`${before} has moved to ${bridge}, as its underlay has another address`);
    } catch (error) {
      this.#log.error(`${before} can't move: ${errorText(error)}; "fanctl up" tries again`);
      // So that it is still there to be shown, brought up and taken down.
      this.#state.fans.push({ ...fan, view: { ...fan.view, state: 'dead' }, steps: fanSteps(fan.plan) });
      await this.#store.save(this.#state);
    }
  }

  /** Whether its address has gone, and what its `up` said leads to another. What stands against that, doctor says. */
  async #canMove({ id, plan, request }: FanRecord): Promise<boolean> {
    const { address } = plan.mapping;
    if ((await readAddresses()).some((each) => each.address === address)) return false;
    const others = this.#state.fans.filter((other) => other.id !== id).map((other) => other.plan);
    const { dir: runDir, stateDir } = this.#paths;
    const options = { runDir, stateDir, workers: this.#forwarding.workers };
    const next = await planFan(request, others, options).catch(() => undefined);
    return next !== undefined && next.mapping.address !== address;
  }

  async #followPolicies(): Promise<void> {
    try {
      await this.#forwarding.followPolicies(this.#upFans());
      await this.#store.save(this.#state);
    } catch (error) {
      this.#log.error(`relays can't follow IPsec policies: ${errorText(error)}`);
    }
  }

  async #noteObstacles(): Promise<void> {
    this.#forwarding.noteObstacles(this.#upFans());
    await this.#store.save(this.#state);
  }

  /** `ports` are on its bridge before the fan counts as up. */
  async #bringUp(
    request: UpRequest,
    notes: readonly string[],
    ports: readonly string[] = [],
  ): Promise<UpReply> {
    const { dir: runDir, stateDir } = this.#paths;
    const others = this.#state.fans.map((fan) => fan.plan);
    const plan = await planFan(request, others, { runDir, stateDir, workers: this.#forwarding.workers });
    const view = viewOf(plan, request, 'up');
    const fan: FanRecord = { id: randomUUID(), view, request, plan, steps: [], complete: false };
    const first = this.#state.host.length === 0;
    // Of a bridge of this name that stood here before.
    this.#ports.takeOrphans(plan.bridge);
    this.#state.fans.push(fan);
    this.#rising = fan;
    try {
      const log = request.options.debug ? this.#log.child({}, { level: 'debug' }) : this.#log;
      if (first) await this.#apply(hostSteps(), log, (done) => (this.#state.host = done));
      await this.#apply(fanSteps(plan), log, (done) => (fan.steps = done));
      await this.#forwarding.configure(this.#upFans());
      await enslave(ports, plan.bridge);
    } catch (error) {
      const left = await undoSteps(STEP_KINDS, fan.steps);
      this.#state.fans = this.#state.fans.filter((other) => other !== fan);
      if (first) left.push(...(await this.#releaseHost()));
      await this.#store.save(this.#state);
      this.#log.error({ notes: left, request }, `up failed: ${errorText(error)}`);
      throw error;
    } finally {
      this.#rising = undefined;
    }
    fan.complete = true;
    await this.#store.save(this.#state);
    this.#log.info({ fan: view }, `${view.bridge} is up`);
    const remarks = await remarksOf(STEP_KINDS, fan.steps);
    return {
      bridge: view.bridge,
      outcome: 'new',
      notes: [...notes, ...remarks, ...(await this.#plugIn(fan))],
    };
  }

  /** What can't be plugged in again is no reason for the fan to be down. */
  async #plugIn(fan: FanRecord): Promise<string[]> {
    return this.#attachments.putBack(fan).catch((error: unknown) => [errorText(error)]);
  }

  async #apply(
    steps: readonly StepRecord[],
    log: Logger,
    record: (done: StepRecord[]) => void,
  ): Promise<void> {
    await applySteps(STEP_KINDS, steps, async (done) => {
      record([...done]);
      log.debug({ step: done.at(-1) }, done.length > 0 ? 'step' : 'steps undone');
      await this.#store.save(this.#state);
    });
  }

  async #restore(dead: readonly FanRecord[]): Promise<string[]> {
    if (dead.length === 0) return [];
    const notes: string[] = [];
    for (const fan of dead.filter(({ complete }) => !complete)) notes.push(...(await this.#takeDown(fan)));
    if (this.isEmpty) return [...notes, ...(await this.#releaseHost())];
    await reapplySteps(STEP_KINDS, this.#state.host);
    for (const fan of dead.filter(({ complete }) => complete)) {
      try {
        this.#adoptWorkers(fan);
        await this.#upkeep.redoAll(fan);
        await this.#forwarding.configure([...this.#upFans(), fan]);
        fan.view.state = 'up';
        this.#upkeep.lost.delete(fan.id);
        this.#health.forget(fan.view.bridge);
        this.#log.info({ fan: fan.view }, `${fan.view.bridge} is restored`);
      } catch (error) {
        fan.view.state = 'dead';
        notes.push(`${fan.view.bridge} could not be restored: ${errorText(error)}`);
        this.#log.error(notes.at(-1));
      }
    }
    await this.#store.save(this.#state);
    return notes;
  }

  /** The fand before us may have had another number of workers; the step makes the TUN anew where that needs it. */
  #adoptWorkers(fan: FanRecord): void {
    const { workers } = this.#forwarding;
    fan.plan = { ...fan.plan, workers };
    fan.view.workers = workers;
    fan.steps = fan.steps.map(({ kind, data }) =>
      kind === 'tun' ? { kind, data: { ...data, queues: workers } } : { kind, data },
    );
  }

  async #takeDown(fan: FanRecord): Promise<string[]> {
    const remembered = await this.#attachments.remember(fan);
    if (remembered.hasPorts) fan.steps = withLeasesKept(fan.steps);
    const wasUp = fan.view.state === 'up';
    fan.view.state = 'dead';
    this.#health.forget(fan.view.bridge);
    if (wasUp) await this.#forwarding.configure(this.#upFans());
    this.#forwarding.forgetPrograms(fan);
    const notes = await undoSteps(STEP_KINDS, fan.steps);
    this.#state.fans = this.#state.fans.filter((other) => other !== fan);
    await this.#store.save(this.#state);
    this.#log.info(`${fan.view.bridge} is down`);
    return [...notes, ...remembered.notes];
  }

  async #releaseHost(): Promise<string[]> {
    await this.#forwarding.release();
    const notes = await undoSteps(STEP_KINDS, this.#state.host);
    this.#state.host = [];
    await this.#attachments.removeEmpty();
    await this.#store.save(this.#state);
    return notes;
  }

  #upFans(): FanRecord[] {
    return this.#state.fans.filter(({ view }) => view.state === 'up');
  }

  async #find(request: DownRequest): Promise<FanRecord> {
    const overlay = parseOverlay(request.overlay ?? '');
    const underlay = parseUnderlay(request.underlay ?? '');
    const wanted = { overlay: formatOverlay(overlay), underlay: formatUnderlay(underlay) };
    const fan = await findFan(this.#state.fans, wanted);
    if (fan) return fan;
    throw new FanError('not-configured', `${wanted.overlay} on ${wanted.underlay} is not configured`);
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    this.#pending += 1;
    this.#changes += 1;
    const begin = (): Promise<T> => {
      if (this.#isHandedOver) throw new FanError('leaving', 'another fand has taken over: ask again');
      return change();
    };
    const mine = this.#turn.then(begin).finally(() => {
      this.#pending -= 1;
    });
    this.#turn = mine.catch(() => undefined);
    return mine;
  }
}
