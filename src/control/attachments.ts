/**
 * What is plugged into the bridges of the fans: no `down` cuts containers off unasked, and those that a forced one did
 * are plugged in again by the next `up` of the same slice, with the leases that they had.
 */
import { formatPrefix } from '../addr/prefix.js';
import { FanError } from '../base/error.js';
import { describePorts, plugIn, readPorts } from '../host/bridge-ports.js';
import { findLink, OWN_ALIAS } from '../host/links.js';
import { rehearse } from '../host/rehearsal.js';
import type { RehearsedStep, StepRecord } from '../host/steps/step.js';
import { LeftPorts } from './left-ports.js';
import type { FanRecord } from './state-store.js';

/** Names in an error; more are a number. */
const MOST_NAMED = 8;

/** The steps of a fan whose containers stay without it: their leases are the next `up`'s. */
export function withLeasesKept(steps: readonly StepRecord[]): StepRecord[] {
  return steps.map((step) =>
    step.kind === 'dhcp' ? { ...step, data: { ...step.data, keepLeases: true } } : step,
  );
}

export interface Remembered {
  /** Whether anything was on the bridge. */
  readonly hasPorts: boolean;
  /** What the operator should know. */
  readonly notes: readonly string[];
}

export class Attachments {
  readonly #left: LeftPorts;

  constructor(stateDir: string) {
    this.#left = new LeftPorts(stateDir);
  }

  /** Throws FanError in-use, which names what is on the bridge, for the first of `fans` that has anything on it. */
  async requireNone(fans: readonly FanRecord[]): Promise<void> {
    for (const { view } of fans) {
      const ports = await readPorts(view.bridge);
      if (ports.length === 0) continue;
      const named = await describePorts(ports.slice(0, MOST_NAMED));
      const more = ports.length > MOST_NAMED ? ` and ${ports.length - MOST_NAMED} more` : '';
      throw new FanError(
        'in-use',
        `${view.bridge} is in use by ${named.join(', ')}${more}: stop these containers first, ` +
          'or say --force, and the next up of this fan plugs them in again',
      );
    }
  }

  /** Before the fan goes: remembers what its bridge will lose. */
  async remember({ view }: FanRecord): Promise<Remembered> {
    const ports = await readPorts(view.bridge);
    // One that was there before `up` stays, with all that is on it.
    const isOwn = (await findLink(view.bridge))?.alias === OWN_ALIAS;
    if (ports.length === 0 || !isOwn) return { hasPorts: ports.length > 0, notes: [] };
    await this.#left.remember(view.slice, ports);
    const names = ports.map(({ name }) => name).join(', ');
    const note = `${names} without a bridge now: the next up of this fan plugs in again what is still there`;
    return { hasPorts: true, notes: [note] };
  }

  /** Behind `up`: returns what it plugged in, in words. */
  async putBack({ plan, view }: FanRecord): Promise<string[]> {
    const slice = formatPrefix(plan.mapping.slice);
    const ports = await this.#left.of(slice);
    if (ports.length === 0) return [];
    const plugged = await plugIn(ports, view.bridge);
    await this.#left.forget(slice);
    const missing = ports.length - plugged.length;
    return [
      ...(plugged.length > 0 ? [`${plugged.join(', ')} plugged into ${view.bridge} again`] : []),
      ...(missing > 0
        ? [`${missing} of the ports that ${view.bridge} had are gone, or on another bridge`]
        : []),
    ];
  }

  /** What putBack would do. */
  async rehearse(slice: string, bridge: string): Promise<RehearsedStep[]> {
    const ports = await this.#left.of(slice);
    if (ports.length === 0) return [];
    const commands = await rehearse(() => plugIn(ports, bridge));
    return [{ what: `plug in again what is left of ${ports.map(({ name }) => name).join(', ')}`, commands }];
  }

  /** Where no fan is left, nor anything to remember, the directory goes too. */
  removeEmpty(): Promise<void> {
    return this.#left.removeEmpty();
  }
}
