/**
 * Fans follow the MTU of their underlay device: first the dataplane, which must send nothing that does not fit, then
 * TUN, bridge and DHCP. The kernel is asked now and then, so one that changes often costs no more than that.
 */
import { errorText } from '../base/error.js';
import type { Logger } from '../base/log.js';
import type { FanRecord } from '../control/state-store.js';
import { overheadOf } from '../fan/encapsulation.js';
import { STEP_KINDS } from '../host/steps/fan-steps.js';
import { reapplySteps } from '../host/steps/step.js';
import { LEAST_UNDERLAY_MTU } from '../host/underlay.js';
import { findDevice } from '../io/netlink/device-index.js';
import type { Forwarding } from './forwarding.js';

/** The steps that set an MTU. */
const MTU_STEPS = ['bridge', 'tun', 'dhcp'];

export class UnderlayMtu {
  readonly #forwarding: Forwarding;
  readonly #save: () => Promise<void>;
  readonly #log: Logger;
  /** Fan id → what its underlay takes, too little for a fan; to say it once. */
  readonly #tooSmall = new Map<string, number>();

  /** `save` records what has changed. */
  constructor(forwarding: Forwarding, save: () => Promise<void>, log: Logger) {
    this.#forwarding = forwarding;
    this.#save = save;
    this.#log = log;
  }

  /** Whether any of these has an underlay of another MTU than it was made for, and can follow. */
  hasChanged(fans: readonly FanRecord[]): boolean {
    return fans.some((fan) => this.#target(fan) !== fan.plan.mtu);
  }

  /** Forwards for `fans` as their underlays are now. What fails is logged. */
  async follow(fans: readonly FanRecord[]): Promise<void> {
    for (const fan of fans) {
      const mtu = this.#target(fan);
      if (mtu === fan.plan.mtu) continue;
      const { bridge, underlayDevice, mtu: before } = fan.plan;
      try {
        await this.#change(fan, mtu, fans);
        this.#log.info(`${bridge} follows ${underlayDevice}: MTU from ${before} to ${mtu}`);
      } catch (error) {
        const why = `${bridge} can't follow ${underlayDevice} to MTU ${mtu}: ${errorText(error)}`;
        this.#log.error(`${why}; "fanctl doctor --fix" tries again`);
      }
    }
  }

  async #change(fan: FanRecord, mtu: number, fans: readonly FanRecord[]): Promise<void> {
    fan.plan = { ...fan.plan, mtu };
    fan.view.mtu = mtu;
    fan.steps = fan.steps.map((step) =>
      'mtu' in step.data ? { ...step, data: { ...step.data, mtu } } : step,
    );
    await this.#save();
    await this.#forwarding.configure(fans);
    const standing = await reapplySteps(
      STEP_KINDS,
      fan.steps.filter(({ kind }) => MTU_STEPS.includes(kind)),
    );
    fan.steps = fan.steps.map((step) => standing.find(({ kind }) => kind === step.kind) ?? step);
    await this.#save();
  }

  /** The MTU that the fan should have. */
  #target({ id, plan }: FanRecord): number {
    const { underlayDevice, bridge } = plan;
    const mtu = findDevice(underlayDevice)?.mtu;
    if (mtu === undefined) return plan.mtu;
    if (mtu >= LEAST_UNDERLAY_MTU) {
      this.#tooSmall.delete(id);
      return mtu - overheadOf(plan.vxlan);
    }
    if (this.#tooSmall.get(id) !== mtu) {
      this.#log.error(
        `${underlayDevice} has MTU ${mtu}: ${bridge} needs at least ${LEAST_UNDERLAY_MTU}, and stays at ${plan.mtu}`,
      );
    }
    this.#tooSmall.set(id, mtu);
    return plan.mtu;
  }
}
