/**
 * The underlay device of a fan whose name has changed: which one it is now, and the fan as it is with that. The device is
 * known by our address on it.
 */
import type { FanRecord } from '../control/state-store.js';
import { readDevices } from '../host/links.js';
import { fanSteps } from '../host/steps/fan-steps.js';
import type { StepRecord } from '../host/steps/step.js';
import { carriesNothing } from '../host/underlay.js';
import { findDevice } from '../io/netlink/device-index.js';

/** The name that the device has now; undefined where the one that is recorded is there, or none has our address. */
export async function newNameOf({ plan }: FanRecord): Promise<string | undefined> {
  if (findDevice(plan.underlayDevice)) return undefined;
  const { links, addresses } = await readDevices();
  const holders = addresses.filter(({ address }) => address === plan.mapping.address);
  const carriers = links.filter((link) => !carriesNothing(link));
  return carriers.find(({ name }) => holders.some(({ device }) => device === name))?.name;
}

/** Records it, and returns the steps that it makes different. */
export function takeName(fan: FanRecord, name: string): StepRecord[] {
  const before = fan.plan.underlayDevice;
  fan.plan = { ...fan.plan, underlayDevice: name };
  fan.view.device = name;
  const steps = fanSteps(fan.plan);
  const changed: StepRecord[] = [];
  fan.steps = fan.steps.map((step) => {
    const data = { ...step.data, ...steps.find(({ kind }) => kind === step.kind)?.data };
    const found = step.data.before;
    // What a step found at first, it may have found by devices.
    if (isRecord(found) && before in found) {
      const { [before]: value, ...rest } = found;
      data.before = { ...rest, [name]: value };
    }
    const next = { kind: step.kind, data };
    if (JSON.stringify(next) === JSON.stringify(step)) return step;
    changed.push(next);
    return next;
  });
  return changed;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
