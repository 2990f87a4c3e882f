/**
 * What is put right on fans that are up: steps done once more, ports back on a bridge that was made anew, devices attached
 * to anew. Each within a change of fan-manager.ts; `all` are the fans that are up.
 */
import { errorText } from '../base/error.js';
import type { Logger } from '../base/log.js';
import type { Repair } from '../control/protocol.js';
import type { FanRecord, State, StateStore } from '../control/state-store.js';
import { announceAddresses } from '../host/announce.js';
import { enslave } from '../host/links.js';
import { STEP_KINDS, withNewSteps } from '../host/steps/fan-steps.js';
import { reapplySteps, type StepRecord } from '../host/steps/step.js';
import type { Forwarding } from './forwarding.js';
import { heals } from './healing/cure.js';
import type { PortMemory } from './healing/port-memory.js';
import { Repairer } from './repair.js';
import { newNameOf, takeName } from './underlay-device.js';

export class Upkeep {
  /** Ids of fans that died while this fand ran: those it may revive by itself. */
  readonly lost = new Set<string>();
  readonly #repairer: Repairer;
  readonly #save: () => Promise<void>;
  readonly #forwarding: Forwarding;
  readonly #ports: PortMemory;
  readonly #log: Logger;

  constructor(state: State, store: StateStore, forwarding: Forwarding, ports: PortMemory, log: Logger) {
    this.#repairer = new Repairer(state, store);
    this.#save = () => store.save(state);
    this.#forwarding = forwarding;
    this.#ports = ports;
    this.#log = log;
  }

  /**
   * All steps of `fans` and of the host once more, with those that a fand before us did not know, and all opened for them;
   * then they count as up. Throws FanError.
   */
  async takeOver(fans: readonly FanRecord[], host: readonly StepRecord[]): Promise<void> {
    if (fans.length > 0) await reapplySteps(STEP_KINDS, host);
    for (const fan of fans) {
      fan.steps = await reapplySteps(STEP_KINDS, withNewSteps(fan.plan, fan.steps));
    }
    await this.#forwarding.configure(fans);
    for (const { view } of fans) view.state = 'up';
  }

  /** Steps of `fans`, and those of the host, of these kinds. Returns what was done, in words. Throws FanError. */
  async redo(
    repairs: readonly Repair[],
    fans: readonly FanRecord[],
    all: readonly FanRecord[],
  ): Promise<string[]> {
    const steps = repairs.filter((repair) => repair !== 'relay' && repair !== 'programs');
    const done = await this.#repairer.repair(steps, fans);
    if (repairs.includes('relay')) done.push(...(await this.#forwarding.renewRelays()));
    if (repairs.includes('programs')) done.push(...(await this.reattach(all, true)));
    if (!repairs.includes('bridge') && !repairs.includes('vxlan-device')) return done;
    for (const { plan } of repairs.includes('bridge') ? fans : []) {
      done.push(...(await this.putBackPorts(plan.bridge)));
      await announceAddresses(plan.bridge);
    }
    await this.reattach(all);
    return done;
  }

  /** Onto a bridge that was made anew, the ports of the one before. Returns what was done, in words. */
  async putBackPorts(bridge: string): Promise<string[]> {
    const back = await enslave(this.#ports.takeOrphans(bridge), bridge);
    return back.length === 0 ? [] : [`put ${back.join(', ')} back on ${bridge}`];
  }

  /**
   * To devices that were made anew, or have another name; `andDetached`: and where somebody detached programs. A fan that can't be is dead
   * then. Returns what was done, in words.
   */
  async reattach(all: readonly FanRecord[], andDetached = false): Promise<string[]> {
    const outdated = this.#forwarding.outdated(all, andDetached);
    if (outdated.length === 0) return [];
    const done = `attached anew to the devices of ${outdated.map(({ view }) => view.bridge).join(', ')}`;
    try {
      await this.#forwarding.reattach(outdated, all);
      this.#log.info(done);
    } catch (error) {
      for (const { id, view } of outdated) {
        view.state = 'dead';
        this.lost.add(id);
        this.#log.error(`${view.bridge} is dead, its devices can't be attached to: ${errorText(error)}`);
      }
      await this.#forwarding.configure(all.filter((fan) => !outdated.includes(fan)));
    }
    await this.#save();
    return [done];
  }

  /** All steps of a fan that nobody forwards for, by the name that its underlay device has now. Throws FanError. */
  async redoAll(fan: FanRecord): Promise<void> {
    const name = heals(fan) ? await newNameOf(fan) : undefined;
    if (name !== undefined) this.#takeName(fan, name);
    fan.steps = withNewSteps(fan.plan, fan.steps);
    fan.steps = await reapplySteps(STEP_KINDS, fan.steps);
  }

  /** Lets a fan go by the new name of its underlay device. Throws FanError. */
  async rename(fan: FanRecord, name: string, all: readonly FanRecord[]): Promise<void> {
    if (!all.includes(fan)) return;
    const changed = this.#takeName(fan, name);
    await this.#save();
    await reapplySteps(STEP_KINDS, changed);
    await this.reattach(all);
  }

  /** Returns the steps that are different. */
  #takeName(fan: FanRecord, name: string): StepRecord[] {
    this.#log.info(`${fan.view.bridge}: the device ${fan.plan.underlayDevice} is called ${name} now`);
    return takeName(fan, name);
  }
}
