/**
 * Enables and disables a runtime for a fan: the order of things that is the same for all. Nothing is done twice, what
 * was done stands in the ledger, and every refusal comes before the first change.
 */
import { FanError } from '../base/error.js';
import type { FanName, Ledger } from './ledger.js';
import type { Entry, Runtime, RuntimeFan, Wishes } from './runtime.js';
import { chooseRange, dhcpOverlap } from './slice-part.js';

export interface Outcome {
  /** False: it was so already. */
  readonly changed: boolean;
  readonly notes: readonly string[];
}

/** Throws FanError: unsupported, in-use, usage, config, step-failed. */
export async function enableRuntime(
  runtime: Runtime,
  fan: RuntimeFan,
  wishes: Wishes,
  ledger: Ledger,
): Promise<Outcome> {
  await runtime.requirePresent();
  const known = ledger.of(fan, runtime.name).find(({ network }) => network === wishes.network);
  if (known && (await runtime.isSetUp(known))) {
    return { changed: false, notes: [`${runtime.title} is enabled already`] };
  }
  if (known) await forget(runtime, known, ledger);
  requireFree(runtime, fan, wishes, ledger);
  if (!runtime.ownsRange) requireDhcp(runtime, fan);
  // Networks of one fan in the same runtime are told apart by it, but not their addresses.
  const range = runtime.ownsRange ? chooseRange(fan, wishes.range, ledger.of(fan)) : undefined;
  const { edits, keys, notes } = await runtime.enable(fan, range, wishes, ledger.backups);
  await ledger.add({
    runtime: runtime.name,
    overlay: fan.overlay,
    underlay: fan.underlay,
    bridge: fan.bridge,
    ...(wishes.network !== undefined && { network: wishes.network }),
    ...(range !== undefined && { range }),
    edits,
    ...(keys && { keys }),
  });
  const overlap = range === undefined ? undefined : dhcpOverlap(fan, range);
  return { changed: true, notes: overlap === undefined ? notes : [...notes, overlap] };
}

/** All that is set up of it for this fan, or its one network. Throws as enableRuntime. */
export async function disableRuntime(
  runtime: Runtime,
  fan: FanName,
  wishes: Wishes,
  ledger: Ledger,
): Promise<Outcome> {
  const { network } = wishes;
  const entries = ledger
    .of(fan, runtime.name)
    .filter((entry) => network === undefined || entry.network === network);
  if (entries.length === 0) return { changed: false, notes: [`${runtime.title} is not enabled`] };
  const notes: string[] = [];
  for (const entry of entries) {
    notes.push(...(await runtime.disable(entry, wishes)));
    await ledger.remove(entry);
  }
  return { changed: true, notes };
}

/** Of a fan: the runtimes that are set up for it, by their names, and are still so. */
export async function enabledRuntimes(
  runtimes: readonly Runtime[],
  fan: FanName,
  ledger: Ledger,
): Promise<string[]> {
  const found = new Set<string>();
  for (const entry of ledger.of(fan)) {
    const runtime = runtimes.find(({ name }) => name === entry.runtime);
    // One that doesn't answer is as it was left.
    if (runtime && (await runtime.isSetUp(entry).catch(() => true))) found.add(runtime.name);
  }
  return [...found];
}

/** Somebody undid it by hand: what is left of it goes, and nothing restarts for that. */
async function forget(runtime: Runtime, entry: Entry, ledger: Ledger): Promise<void> {
  await runtime.disable(entry, { restart: false, force: true });
  await ledger.remove(entry);
}

/** Throws FanError in-use where another fan has the runtime, which can have one only. */
function requireFree(runtime: Runtime, fan: RuntimeFan, wishes: Wishes, ledger: Ledger): void {
  if (!runtime.isSingle || wishes.network !== undefined) return;
  const other = ledger.entries.find(
    ({ runtime: name, network }) => name === runtime.name && network === undefined,
  );
  if (!other) return;
  const ends = `-o ${other.overlay} -u ${other.underlay}`;
  throw new FanError(
    'in-use',
    `${runtime.title} is enabled for ${other.bridge}: fanatic disable-${runtime.name} ${ends} first, ` +
      `as it has one fan at a time${runtime.name === 'docker' ? ', but for --network NAME' : ''}; this one is ${fan.bridge}`,
  );
}

/** Throws FanError unsupported where nobody gives addresses on the fan's bridge. */
function requireDhcp({ title }: Runtime, { hasDhcp, overlay, underlay, bridge }: RuntimeFan): void {
  if (hasDhcp) return;
  throw new FanError(
    'unsupported',
    `${title}'s containers ask for their addresses by DHCP, which ${bridge} has not: fanctl config set ` +
      `${overlay} ${underlay} dhcp; fanctl down ${overlay} ${underlay}; fanctl up -a`,
  );
}
