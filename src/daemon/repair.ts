/**
 * Puts back what somebody else changed on the host since `up`: steps done once more, and fans that follow the MTU of
 * their underlay. Only on request (`fanctl doctor --fix`): a firewall that drops the fan's packets may mean it.
 */
import { errorText, FanError } from '../base/error.js';
import { STEP_KINDS } from '../host/fan-steps.js';
import { requireLink } from '../host/links.js';
import { repairSteps, type StepRecord } from '../host/step.js';
import { OUTER_LEN } from '../wire/ipip.js';
import { LEAST_UNDERLAY_MTU } from './fan-plan.js';
import type { Forwarding } from './forwarding.js';
import type { Repair } from './protocol.js';
import type { FanRecord, State, StateStore } from './state-store.js';

/** The steps that set an MTU. */
const MTU_STEPS = ['bridge', 'tun', 'dhcp'];

export class Repairer {
  readonly #state: State;
  readonly #store: StateStore;
  readonly #forwarding: Forwarding;

  constructor(state: State, store: StateStore, forwarding: Forwarding) {
    this.#state = state;
    this.#store = store;
    this.#forwarding = forwarding;
  }

  /** Returns what was done, in words; throws FanError usage for an unknown repair, step-failed. */
  async repair(repairs: readonly Repair[], fans: readonly FanRecord[]): Promise<string[]> {
    const unknown = repairs.find((kind) => kind !== 'mtu' && !(kind in STEP_KINDS));
    if (unknown !== undefined) throw new FanError('usage', `no such repair: ${unknown}`);
    const wanted = new Set<string>(repairs);
    const done: string[] = [];
    const { host } = this.#state;
    done.push(...(await repairSteps(STEP_KINDS, host, wanted, (i, step) => this.#replace(host, i, step))));
    for (const fan of fans) {
      if (wanted.has('mtu')) done.push(...(await this.#followMtu(fan, fans)));
      const { steps } = fan;
      done.push(
        ...(await repairSteps(STEP_KINDS, steps, wanted, (i, step) => this.#replace(steps, i, step))),
      );
    }
    return done;
  }

  async #replace(steps: StepRecord[], index: number, step: StepRecord): Promise<void> {
    steps[index] = step;
    await this.#store.save(this.#state);
  }

  async #followMtu(fan: FanRecord, fans: readonly FanRecord[]): Promise<string[]> {
    const device = fan.plan.underlayDevice;
    const mtu = (await requireLink(device)).mtu - OUTER_LEN;
    if (mtu === fan.plan.mtu) return [];
    if (mtu + OUTER_LEN < LEAST_UNDERLAY_MTU) {
      throw new FanError('step-failed', `${device} needs an MTU of at least ${LEAST_UNDERLAY_MTU} for a fan`);
    }
    const before = fan.plan.mtu;
    fan.plan = { ...fan.plan, mtu };
    fan.view.mtu = mtu;
    const done = await repairSteps(
      STEP_KINDS,
      fan.steps.map((step) => ('mtu' in step.data ? { ...step, data: { ...step.data, mtu } } : step)),
      new Set(MTU_STEPS),
      (i, step) => this.#replace(fan.steps, i, step),
    );
    await this.#reopen(fan, fans);
    return [`MTU of ${fan.view.bridge} from ${before} to ${mtu}`, ...done];
  }

  /** The worker takes a fan's MTU when it opens its devices, so the fan leaves it for a moment. */
  async #reopen(fan: FanRecord, fans: readonly FanRecord[]): Promise<void> {
    await this.#forwarding.configure(fans.filter((other) => other !== fan));
    try {
      await this.#forwarding.configure(fans);
    } catch (error) {
      fan.view.state = 'dead';
      await this.#store.save(this.#state);
      throw new FanError('step-failed', `${fan.view.bridge} is dead: ${errorText(error)}`, { cause: error });
    }
  }
}
