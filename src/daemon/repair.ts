/**
 * Puts back what somebody else changed on the host since `up`: steps done once more. For who asks (`fanctl doctor
 * --fix`), and unasked for what healing/cure.ts lets: a firewall that drops the fan's packets may mean it.
 */
import { FanError } from '../base/error.js';
import type { Repair } from '../control/protocol.js';
import type { FanRecord, State, StateStore } from '../control/state-store.js';
import { STEP_KINDS } from '../host/steps/fan-steps.js';
import { repairSteps, type StepRecord } from '../host/steps/step.js';

export class Repairer {
  readonly #state: State;
  readonly #store: StateStore;

  constructor(state: State, store: StateStore) {
    this.#state = state;
    this.#store = store;
  }

  /** Returns what was done, in words; throws FanError usage for an unknown repair, step-failed. */
  async repair(repairs: readonly Repair[], fans: readonly FanRecord[]): Promise<string[]> {
    const unknown = repairs.find((kind) => !Object.hasOwn(STEP_KINDS, kind));
    if (unknown !== undefined) throw new FanError('usage', `no such repair: ${unknown}`);
    const wanted = new Set<string>(repairs);
    const done: string[] = [];
    const { host } = this.#state;
    done.push(...(await repairSteps(STEP_KINDS, host, wanted, (i, step) => this.#replace(host, i, step))));
    for (const { steps } of fans) {
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
}
