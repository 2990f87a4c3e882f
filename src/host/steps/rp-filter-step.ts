/**
 * Step: loosen the reverse-path filter, and only where a strict one would drop the fan's packets: where the route
 * back to their source leads through another device than the one they come in by. The kernel uses the greater of
 * `all` and the device's own value, so a 2 (loose) on the device is enough, and nobody else's traffic is touched.
 */
import { OWN_ALIAS, readLinks } from '../links.js';
import { routeDevice } from '../routes.js';
import { readSysctl, writeSysctl } from '../sysctl.js';
import type { StepKind } from './step.js';

export interface RpFilterData {
  readonly checks: readonly {
    readonly device: string;
    /** An address, u32, from which packets come in by that device. */
    readonly from: number;
  }[];
  /** The fan's own devices. */
  readonly own: readonly string[];
  /** What was found: the devices to loosen, with the values that they had. */
  readonly before?: Readonly<Record<string, string>>;
}

const STRICT = '1';
const LOOSE = '2';

export const rpFilterStep: StepKind<RpFilterData> = {
  describe: ({ checks }) => `loosen rp_filter on ${checks.map((check) => check.device).join(' or ')}`,

  async prepare(data) {
    if (data.before) return data;
    const before: Record<string, string> = {};
    for (const { device, from } of data.checks) {
      const value = await readSysctl(pathOf(device));
      if (value === undefined || !(await isStrict(value))) continue;
      const back = await routeDevice(from);
      if (back !== undefined && back !== device) before[device] = value;
    }
    return { ...data, before };
  },

  /** Every device that is strict by now: whoever asks has seen that it drops. */
  async renew(data) {
    const before: Record<string, string> = {};
    for (const { device } of data.checks) {
      const value = await readSysctl(pathOf(device));
      if (value !== undefined && (await isStrict(value))) before[device] = value;
    }
    return { ...data, before: { ...before, ...data.before } };
  },

  async apply({ before = {} }) {
    for (const device of Object.keys(before)) await writeSysctl(pathOf(device), LOOSE);
  },

  async undo({ before = {}, own }) {
    const devices = Object.keys(before).filter((device) => !own.includes(device));
    if (devices.length === 0) return undefined;
    const others = (await readLinks()).filter((link) => link.alias === OWN_ALIAS && !own.includes(link.name));
    if (others.length > 0) {
      const list = devices.map((device) => `${device} (was ${before[device]})`).join(', ');
      return `rp_filter stays loose on ${list}: another fan is up and may need it`;
    }
    for (const device of devices) {
      const now = await readSysctl(pathOf(device));
      if (now === LOOSE) await writeSysctl(pathOf(device), before[device] ?? STRICT);
    }
    return undefined;
  },
};

async function isStrict(own: string): Promise<boolean> {
  const all = (await readSysctl(pathOf('all'))) ?? '0';
  return Math.max(Number(own), Number(all)) === Number(STRICT);
}

function pathOf(device: string): string {
  return `ipv4/conf/${device}/rp_filter`;
}
