/**
 * What the workers are told of a fan (FanSpec), from its plan and its flags, from what this kernel was found to be able
 * to, and from what only this fand knows.
 */
import { randomFillSync } from 'node:crypto';
import { DEFAULT_MIN_PATH_MTU } from '../config/fan-options.js';
import type { FanRecord } from '../control/state-store.js';
import { adoptIoProbe, type IoProbe, probeIo } from '../dataplane/io-probe/client.js';
import type { FanSpec } from '../dataplane/tables/fan-spec.js';
import { overheadOf } from '../fan/encapsulation.js';
import { COOKIE_WORDS } from '../io/programs/fan-program.js';
import type { Estate, LentFan } from './handover/heritage.js';
import { inheritedIo } from './handover/inherited-io.js';

/** Outer TTL of VXLAN. */
const VXLAN_TTL = 64;

type Ways = Pick<FanSpec, 'io' | 'ioNotes' | 'decapRefused'>;

export class FanSpecs {
  readonly #pins: string | undefined;
  /** Under way since before we gave up what it needs, else asked for with the first fan whose io is auto. */
  #probe: Promise<IoProbe> | undefined = adoptIoProbe();
  /** Fan id → what only its programs and workers know. */
  readonly #cookies = new Map<string, readonly number[]>();

  /** `pins`: where programs are named that outlive us; undefined where none can. */
  constructor(pins: string | undefined) {
    this.#pins = pins;
  }

  /** What the kernel was found to be able to; null where nobody has asked. */
  async probed(): Promise<IoProbe | null> {
    return (await this.#probe) ?? null;
  }

  /** What another fand, which still forwards, found and made of it. */
  adopt({ probe, fans }: Pick<Estate, 'probe' | 'fans'>): void {
    this.#probe = probe ? Promise.resolve(probe) : undefined;
    for (const [id, { cookie }] of Object.entries(fans)) if (cookie) this.#cookies.set(id, cookie);
  }

  /** As LentFan.cookie. */
  cookieOf(id: string): readonly number[] | null {
    return this.#cookies.get(id) ?? null;
  }

  /** `lent`: of a fan that another fand still forwards for. */
  async of(
    { id, plan, request }: FanRecord,
    counterBlock: number,
    lent: LentFan | undefined,
  ): Promise<FanSpec> {
    const { ttl, dscp, fragment, io, minPathMtu } = request.options;
    const { mapping, tun, bridge, underlayDevice, vxlan } = plan;
    // As Ubuntu's and LXD's hosts send it, unless told otherwise; IP-in-IP copies (−1).
    const usual = vxlan ? { ttl: VXLAN_TTL, dscp: 0 } : { ttl: -1, dscp: -1 };
    const given: Ways = { io: io === 'auto' ? [] : [io], ioNotes: [], decapRefused: undefined };
    return {
      id,
      mapping,
      tun,
      bridge,
      underlayDevice,
      vxlan,
      kernelVxlan: this.#kernelVxlanOf(id, plan),
      ...(io === 'auto' ? await this.#autoWays(vxlan !== undefined) : given),
      ...inheritedIo(lent),
      underlayMtu: plan.mtu + overheadOf(vxlan),
      minPathMtu: minPathMtu ?? DEFAULT_MIN_PATH_MTU,
      pins: this.#pins && `${this.#pins}/${id}`,
      counterBlock,
      ttl: ttl ?? usual.ttl,
      dscp: dscp ?? usual.dscp,
      fragment,
      receiverGroup: 0,
      kernelFlows: { encap: -1, decap: -1 },
      kernelPeers: -1,
    };
  }

  /** The fastest first, without those that don't work on this kernel. */
  async #autoWays(isVxlan: boolean): Promise<Ways> {
    this.#probe ??= probeIo();
    const reasons = await this.#probe;
    if (isVxlan) {
      const { vxlan: reason } = reasons;
      if (reason === null) return { io: ['bpf', 'raw'], ioNotes: [], decapRefused: undefined };
      return { io: ['raw'], ioNotes: [`bpf: ${reason}`], decapRefused: undefined };
    }
    const faster = ['bpf', 'packet'] as const;
    return {
      io: [...faster.filter((mode) => reasons[mode] === null), 'raw'],
      ioNotes: faster.flatMap((mode) => (reasons[mode] === null ? [] : [`${mode}: ${reasons[mode]}`])),
      decapRefused: reasons.decap ?? undefined,
    };
  }

  /** The cookie is another with each run of fand that is not handed it. */
  #kernelVxlanOf(id: string, { vxlanDevice: device }: FanRecord['plan']): FanSpec['kernelVxlan'] {
    if (device === undefined) return undefined;
    const cookie = this.#cookies.get(id) ?? [...randomFillSync(new Uint32Array(COOKIE_WORDS))];
    this.#cookies.set(id, cookie);
    return { device, cookie };
  }
}
