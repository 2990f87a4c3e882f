/** `fanatic configure` and `deconfigure`: a fan and what is on this host of Docker and LXD; without words, by questions. */
import { createInterface } from 'node:readline/promises';
import { errorText, FanError } from '../../base/error.js';
import { stderr } from '../../base/standard-streams.js';
import { parseFanWords } from '../../config/fan-line.js';
import { parseOverlay } from '../../config/overlay.js';
import { parseUnderlay } from '../../config/underlay.js';
import type { RunPaths } from '../../control/protocol.js';
import { Ledger } from '../../runtimes/ledger.js';
import type { Runtime, Wishes } from '../../runtimes/runtime.js';
import { RUNTIMES } from '../../runtimes/runtimes.js';
import { type Command, type Invocation, QUIET, requireRoot } from '../commands/command.js';
import { openConfig } from '../commands/config-lines.js';
import { print, printError } from '../output/output.js';
import { disableOne } from './disable-fan.js';
import { enableOne } from './enable-fan.js';
import { endsInText, lineOf } from './fan-of.js';
import { disableFor, enableFor } from './runtime-commands.js';

/** What Ubuntu's configures, where it is on the host. */
const USUAL = ['docker', 'lxd'];
const AS_USUAL: Wishes = { restart: true, force: false };

export const configure: Command = {
  name: 'configure',
  synopsis: ['configure OVERLAY UNDERLAY', 'configure'],
  summary: 'enable a fan, and Docker and LXD where they are on this host',
  description: `Each as enable-fan, enable-docker and enable-lxd would; what fails stops none of the others.
Without words it asks, at a terminal, as fanatic alone does.`,
  options: [QUIET],
  completes: 'FAN-WORDS',
  examples: ['configure 250.0.0.0/8 172.30.0.0/16'],
  run: async ({ words, paths }: Invocation) => {
    if (words.length === 0 && process.stdin.isTTY) return runWizard(paths);
    requireRoot('configure');
    await enableAll(words, await presentOnes(USUAL), paths);
  },
};

export const deconfigure: Command = {
  name: 'deconfigure',
  synopsis: ['deconfigure [OVERLAY UNDERLAY]'],
  summary: 'disable every runtime of a fan, and the fan',
  description: `The fan stays where a runtime can't be disabled. Without words, the one line of
/etc/network/fan.`,
  options: [QUIET],
  completes: 'FANS-UP',
  examples: ['deconfigure', 'deconfigure 250.0.0.0/8 172.30.0.0/16'],
  run: async ({ words, paths }: Invocation) => {
    requireRoot('deconfigure');
    const line = await lineOf(await openConfig(), parseFanWords(words), paths);
    if (line) {
      const entries = (await Ledger.open(paths.stateDir)).of(endsInText(line));
      const used = RUNTIMES.filter(({ name }) => entries.some(({ runtime }) => runtime === name));
      await each(used, (runtime) => disableFor(runtime, words, AS_USUAL, paths));
    }
    await disableOne(words, false, paths);
  },
};

/** `fanatic` alone at a terminal. */
export async function runWizard(paths: RunPaths): Promise<void> {
  requireRoot('configure');
  const terminal = createInterface({ input: process.stdin, output: stderr.stream });
  try {
    const ask = async (
      question: string,
      usual: string,
      check: (text: string) => unknown,
    ): Promise<string> => {
      for (;;) {
        const answer = (await terminal.question(`${question} [${usual}]: `)).trim() || usual;
        try {
          check(answer);
          return answer;
        } catch (error) {
          printError(errorText(error));
        }
      }
    };
    const underlay = await ask('Underlay: an address, a network or a device', 'default/16', parseUnderlay);
    const overlay = await ask('Overlay: a network that nothing else uses', '250.0.0.0/8', parseOverlay);
    const chosen: Runtime[] = [];
    for (const runtime of await presentOnes(RUNTIMES.map(({ name }) => name))) {
      const answer = await ask(`Enable ${runtime.title} for it?`, 'yes', requireYesOrNo);
      if (isYes(answer)) chosen.push(runtime);
    }
    terminal.close();
    await enableAll([overlay, underlay], chosen, paths);
  } finally {
    terminal.close();
  }
}

async function enableAll(
  words: readonly string[],
  runtimes: readonly Runtime[],
  paths: RunPaths,
): Promise<void> {
  print(await enableOne(words, paths));
  await each(runtimes, (runtime) => enableFor(runtime, words, AS_USUAL, paths));
}

/** What fails is told and stops no other. Throws FanError step-failed at the end where any did. */
async function each(runtimes: readonly Runtime[], act: (runtime: Runtime) => Promise<void>): Promise<void> {
  const failed: string[] = [];
  for (const runtime of runtimes) {
    try {
      await act(runtime);
    } catch (error) {
      printError(errorText(error));
      failed.push(runtime.title);
    }
  }
  if (failed.length > 0) throw new FanError('step-failed', `see above for ${failed.join(' and ')}`);
}

/** Those of `names` that are on this host. */
async function presentOnes(names: readonly string[]): Promise<Runtime[]> {
  const present: Runtime[] = [];
  for (const runtime of RUNTIMES.filter(({ name }) => names.includes(name))) {
    const isThere = await runtime.requirePresent().then(
      () => true,
      () => false,
    );
    if (isThere) present.push(runtime);
  }
  return present;
}

const isYes = (answer: string): boolean => /^y(es)?$/i.test(answer);

function requireYesOrNo(answer: string): void {
  if (!isYes(answer) && !/^no?$/i.test(answer)) throw new FanError('usage', 'say yes or no');
}
