/** `fanatic enable-docker` and the like: one pair of commands a runtime, from what the runtime says of itself. */
import { FanError } from '../../base/error.js';
import { parseFanWords } from '../../config/fan-line.js';
import { FandClient, NotRunning } from '../../control/client.js';
import { requireMachine } from '../../control/preflight.js';
import type { RunPaths } from '../../control/protocol.js';
import { disableRuntime, enableRuntime, type Outcome } from '../../runtimes/enable.js';
import { Ledger } from '../../runtimes/ledger.js';
import { disableNative, enableNative } from '../../runtimes/lxd-native.js';
import type { Runtime, Wishes } from '../../runtimes/runtime.js';
import { RUNTIMES } from '../../runtimes/runtimes.js';
import {
  type Command,
  type CommandOption,
  type Invocation,
  QUIET,
  requireRoot,
} from '../commands/command.js';
import { openConfig } from '../commands/config-lines.js';
import { printNote } from '../output/output.js';
import { endsInText, lineOf, requireLine, runningFan } from './fan-of.js';

const NETWORK: CommandOption = {
  names: ['--network'],
  value: 'NAME',
  summary: 'a network of that name, and the default bridge stays what it is',
};
const CONFIG_ONLY: CommandOption = {
  names: ['--config-only'],
  summary: 'with --network: only what a network of a swarm takes from this host',
};
const RANGE: CommandOption = {
  names: ['--range'],
  value: 'CIDR',
  summary: "the part of the fan's slice that it gives addresses from (default: the upper half)",
};
const NATIVE: CommandOption = {
  names: ['--native'],
  summary: "LXD's own networks of bridge.mode=fan, on a kernel without the fan patch (not for the snap)",
};
const RESTARTING: readonly CommandOption[] = [
  { names: ['--no-restart'], summary: 'leave the restart to you' },
  { names: ['--force'], summary: 'also where running containers stop or lose their network' },
];
/** The host's rules that a runtime's restart may have come to stand before. */
const AFTER_RESTART = ['forwarding', 'firewall', 'nat'] as const;

export function enableCommand({ name, title, ownsRange, restarts }: Runtime): Command {
  return {
    name: `enable-${name}`,
    synopsis: [`enable-${name} [OVERLAY UNDERLAY]`, `enable-${name} -o OVERLAY -u UNDERLAY`],
    summary: `set ${title} up for a fan`,
    description: `The fan must be in /etc/network/fan, see enable-fan; it is brought up where it is not.
Where ${title} is set up already, nothing is done. Without words, the one line there is.`,
    options: [
      ...(name === 'docker' ? [NETWORK, CONFIG_ONLY] : []),
      ...(ownsRange ? [RANGE] : []),
      ...(name === 'lxd' ? [NATIVE] : []),
      ...(restarts || name === 'lxd' ? RESTARTING : []),
      QUIET,
    ],
    completes: 'FANS-UP',
    examples: [`enable-${name}`, `enable-${name} -o 250.0.0.0/8 -u 172.30.0.0/16`],
    run: (invocation) => enable(name, invocation),
  };
}

export function disableCommand({ name, title, restarts }: Runtime): Command {
  return {
    name: `disable-${name}`,
    synopsis: [`disable-${name} [OVERLAY UNDERLAY]`, `disable-${name} -o OVERLAY -u UNDERLAY`],
    summary: `undo what enable-${name} did`,
    description: `${title}'s own configuration is as before then, to the byte unless somebody else changed
it since. Where it is not enabled, nothing is done. Without words, the one line there is.`,
    options: [
      ...(name === 'docker' ? [NETWORK] : []),
      ...(name === 'lxd' ? [NATIVE] : []),
      ...(restarts || name === 'lxd' ? RESTARTING : []),
      QUIET,
    ],
    completes: 'FANS-UP',
    examples: [`disable-${name}`],
    run: (invocation) => disable(name, invocation),
  };
}

/** Throws FanError usage for a runtime that nobody knows. */
export function runtimeOf(name: string): Runtime {
  const runtime = RUNTIMES.find((one) => one.name === name);
  if (runtime) return runtime;
  const names = RUNTIMES.map((one) => one.name).join(', ');
  throw new FanError('usage', `fanatic knows no ${name}: say one of ${names}`);
}

async function enable(name: string, { words, given, paths }: Invocation): Promise<void> {
  requireRoot(`enable-${name}`);
  if (given.has('--native')) return native(enableNative, words, given);
  await enableFor(runtimeOf(name), words, wishesOf(given), paths);
}

/** Of the fan that `words` mean. */
export async function enableFor(
  runtime: Runtime,
  words: readonly string[],
  wishes: Wishes,
  paths: RunPaths,
): Promise<void> {
  const line = await requireLine(await openConfig(), words, paths);
  await runtime.requirePresent();
  await requireMachine(line.fan.options);
  const fan = await runningFan(line, paths);
  const outcome = await enableRuntime(runtime, fan, wishes, await Ledger.open(paths.stateDir));
  await tell(runtime, outcome, wishes, paths);
}

async function disable(name: string, { words, given, paths }: Invocation): Promise<void> {
  requireRoot(`disable-${name}`);
  if (given.has('--native')) return native(disableNative, words, given);
  await disableFor(runtimeOf(name), words, wishesOf(given), paths);
}

export async function disableFor(
  runtime: Runtime,
  words: readonly string[],
  wishes: Wishes,
  paths: RunPaths,
): Promise<void> {
  const line = await lineOf(await openConfig(), parseFanWords(words), paths);
  if (!line) return printNote(`${runtime.title} is not enabled for such a fan`);
  const ledger = await Ledger.open(paths.stateDir);
  await tell(runtime, await disableRuntime(runtime, endsInText(line), wishes, ledger), wishes, paths);
}

/** Throws FanError usage where a fan is named: each such network of LXD's is one. */
async function native(
  act: (wishes: Wishes) => Promise<Outcome>,
  words: readonly string[],
  given: Invocation['given'],
): Promise<void> {
  if (words.length > 0)
    throw new FanError('usage', '--native takes no fan: LXD says of its own networks what they are');
  for (const note of (await act(wishesOf(given))).notes) printNote(note);
}

async function tell(
  runtime: Runtime,
  { changed, notes }: Outcome,
  { restart }: Wishes,
  paths: RunPaths,
): Promise<void> {
  for (const note of notes) printNote(note);
  if (!changed || !restart || !runtime.restarts) return;
  await new FandClient(paths).repair({ repairs: [...AFTER_RESTART] }).catch((error) => {
    if (!(error instanceof NotRunning)) throw error;
  });
}

function wishesOf(given: ReadonlyMap<string, string>): Wishes {
  const network = given.get('--network');
  const range = given.get('--range');
  return {
    restart: !given.has('--no-restart'),
    force: given.has('--force'),
    ...(network !== undefined && { network }),
    ...(given.has('--config-only') && { configOnly: true }),
    ...(range !== undefined && { range }),
  };
}
