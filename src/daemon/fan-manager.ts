/**
 * The fans of this host: brings them up and down, restores them after a crash, and keeps host, worker and state file
 * in step. One change at a time; each either happens whole or leaves everything as it was.
 */
import { randomUUID } from 'node:crypto';
import { errorText, FanError } from '../base/error.js';
import type { Logger } from '../base/log.js';
import { formatFlags } from '../config/fan-flags.js';
import { formatOverlay, parseOverlay } from '../config/overlay.js';
import { formatUnderlay, parseUnderlay } from '../config/underlay.js';
import { renewCommand } from '../control/fan-command.js';
import type {
  DownReply,
  DownRequest,
  FanView,
  RepairReply,
  RepairRequest,
  UpReply,
  UpRequest,
} from '../control/protocol.js';
import type { FanRecord, State, StateStore } from '../control/state-store.js';
import { enslave, readAddresses } from '../host/links.js';
import { fanSteps, hostSteps, STEP_KINDS } from '../host/steps/fan-steps.js';
import { applySteps, reapplySteps, type StepRecord, undoSteps } from '../host/steps/step.js';
import { writeSysctl } from '../host/sysctl.js';
import { planFan, viewOf } from './fan-plan.js';
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
  readonly #runDir: string;
  readonly #log: Logger;
  readonly #underlayMtu: UnderlayMtu;
  readonly #upkeep: Upkeep;
  readonly #ports: PortMemory;
  readonly #health: Health;
  /** The change under way; the next one waits for it. */
  #turn: Promise<unknown> = Promise.resolve();
  /** Changes under way or waiting. */
  #pending = 0;
  /** Changes that were ever begun. */
  #changes = 0;

  /** Fans in `state` are dead until `up` restores them. `watch`: what the healer knows of ports, and of troubles. */
  constructor(
    state: State,
    store: StateStore,
    forwarding: Forwarding,
    watch: { readonly ports: PortMemory; readonly health: Health },
    runDir: string,
    log: Logger,
  ) {
    this.#ports = watch.ports;
    this.#health = watch.health;
    this.#upkeep = new Upkeep(state, store, forwarding, watch.ports, log);
    this.#state = state;
    this.#store = store;
    this.#forwarding = forwarding;
    this.#runDir = runDir;
    this.#log = log;
    this.#underlayMtu = new UnderlayMtu(forwarding, () => store.save(state), log);
    for (const fan of state.fans) fan.view.state = 'dead';
  }

  /** As `show` has them; in the records a fan is up or dead. */
  get views(): FanView[] {
    return this.#state.fans.map(({ view }) => {
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
      const notes = await this.#restore(dead);
      const restored = dead.find((fan) => isSame(fan, request));
      if (restored?.view.state === 'up') {
        return { bridge: restored.view.bridge, notes: [...notes, ...flagsKept(restored, request)] };
      }
      const known = this.#state.fans.find((fan) => isSame(fan, request));
      if (known?.view.state === 'dead') throw new FanError('step-failed', notes.join('; '));
      if (known) {
        throw new FanError(
          'already-configured',
          `${known.view.overlay} on ${known.view.underlay} is already configured (${known.view.bridge})`,
        );
      }
      return { bridge: await this.#bringUp(request), notes };
    });
  }

  /** Brings fans up that a fand before us left; returns what could not be restored, in words. */
  restore(): Promise<string[]> {
    return this.#inTurn(() => this.#restore(this.#state.fans.filter(({ view }) => view.state === 'dead')));
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

  /** Lets the fans that are up follow the MTU of their underlay devices, and what comes and goes that keeps bursts or decap from the kernel. */
  async followUnderlay(): Promise<void> {
    if (this.#underlayMtu.hasChanged(this.#upFans())) {
      await this.#inTurn(() => this.#underlayMtu.follow(this.#upFans()));
    }
    if (this.#forwarding.policiesChanged) await this.#inTurn(() => this.#followPolicies());
    if (this.#forwarding.outdated(this.#upFans()).length > 0)
      await this.#inTurn(() => this.#upkeep.reattach(this.#upFans()));
    if (this.#forwarding.obstaclesChanged(this.#upFans())) await this.#inTurn(() => this.#noteObstacles());
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

  /** Takes one fan or all down. Throws FanError not-configured where there is no such fan. */
  down(request: DownRequest): Promise<DownReply> {
    return this.#inTurn(async () => {
      const fans = request.every ? [...this.#state.fans] : [this.#find(request)];
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
      const bridge = await this.#bringUp(fan.request);
      await enslave(ports, bridge);
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
    const options = { runDir: this.#runDir, workers: this.#forwarding.workers };
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

  async #bringUp(request: UpRequest): Promise<string> {
    const plan = await planFan(
      request,
      this.#state.fans.map((fan) => fan.plan),
      { runDir: this.#runDir, workers: this.#forwarding.workers },
    );
    const view = viewOf(plan, request, 'up');
    const fan: FanRecord = { id: randomUUID(), view, request, plan, steps: [], complete: false };
    const first = this.#state.host.length === 0;
    // Of a bridge of this name that stood here before.
    this.#ports.takeOrphans(plan.bridge);
    this.#state.fans.push(fan);
    try {
      const log = request.options.debug ? this.#log.child({}, { level: 'debug' }) : this.#log;
      if (first) await this.#apply(hostSteps(), log, (done) => (this.#state.host = done));
      await this.#apply(fanSteps(plan), log, (done) => (fan.steps = done));
      await this.#forwarding.configure(this.#upFans());
    } catch (error) {
      const notes = await undoSteps(STEP_KINDS, fan.steps);
      this.#state.fans = this.#state.fans.filter((other) => other !== fan);
      if (first) notes.push(...(await this.#releaseHost()));
      await this.#store.save(this.#state);
      this.#log.error({ notes, request }, `up failed: ${errorText(error)}`);
      throw error;
    }
    fan.complete = true;
    await this.#store.save(this.#state);
    this.#log.info({ fan: view }, `${view.bridge} is up`);
    return view.bridge;
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
        await reapplySteps(STEP_KINDS, fan.steps);
        fan.view.state = 'up';
        this.#upkeep.lost.delete(fan.id);
        await this.#forwarding.configure(this.#upFans());
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
    const wasUp = fan.view.state === 'up';
    fan.view.state = 'dead';
    this.#health.forget(fan.view.bridge);
    if (wasUp) await this.#forwarding.configure(this.#upFans());
    const notes = await undoSteps(STEP_KINDS, fan.steps);
    this.#state.fans = this.#state.fans.filter((other) => other !== fan);
    await this.#store.save(this.#state);
    this.#log.info(`${fan.view.bridge} is down`);
    return notes;
  }

  async #releaseHost(): Promise<string[]> {
    await this.#forwarding.release();
    const notes = await undoSteps(STEP_KINDS, this.#state.host);
    this.#state.host = [];
    await this.#store.save(this.#state);
    return notes;
  }

  #upFans(): FanRecord[] {
    return this.#state.fans.filter(({ view }) => view.state === 'up');
  }

  #find(request: DownRequest): FanRecord {
    const overlay = parseOverlay(request.overlay ?? '');
    const underlay = parseUnderlay(request.underlay ?? '');
    const wanted = { overlay: formatOverlay(overlay), underlay: formatUnderlay(underlay) };
    const fan = this.#state.fans.find((each) => isSame(each, wanted));
    if (!fan)
      throw new FanError('not-configured', `${wanted.overlay} on ${wanted.underlay} is not configured`);
    return fan;
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    this.#pending += 1;
    this.#changes += 1;
    const mine = this.#turn.then(change).finally(() => {
      this.#pending -= 1;
    });
    this.#turn = mine.catch(() => undefined);
    return mine;
  }
}

/** What to say where a fan was restored by a request with other flags than its own. */
function flagsKept({ view, request }: FanRecord, { options }: UpRequest): string[] {
  const wanted = formatFlags(options);
  if (wanted === formatFlags(request.options)) return [];
  return [
    `${view.bridge} is restored with the flags that it had (${view.flags}); with those given: ${renewCommand(request, wanted)}`,
  ];
}

/** Whether the request names this fan: in the words of its `up`, or by its address as `show` prints it. */
function isSame(
  { view, request }: FanRecord,
  { overlay, underlay }: { overlay: string; underlay: string },
): boolean {
  return view.overlay === overlay && (view.underlay === underlay || request.underlay === underlay);
}
