/**
 * `fanctl doctor`: what is wrong on this host, with the command that mends it. The checks run in this process, so that
 * they work where fand is dead; what they ask of fand goes by its socket.
 */
import { isTerminal } from '../../base/standard-streams.js';
import { FandClient } from '../../control/client.js';
import type { CheckResult, RunPaths } from '../../control/protocol.js';
import { requestUp } from '../../control/request-up.js';
import type { Fand } from '../../diagnosis/doctor/doctor.js';
import { formatChecks, formatGroups, withTitles } from '../output/check-output.js';
import { fitText } from '../output/fit.js';
import { formatJson, print, printNote } from '../output/output.js';
import { paintFor } from '../output/paint.js';
import { type Command, type Invocation, QUIET, refuseWord, requireRoot } from './command.js';

/** Exit status: of a failed check, and where one could not be made and none failed. */
const EXIT_FAILED = 1;
const EXIT_NOT_MADE = 2;

export const doctor: Command = {
  name: 'doctor',
  synopsis: ['doctor [--fix] [--all | --json]'],
  summary: 'find what is wrong on this host, and mend what is ours',
  description: `Looks at everything on this host that a fan depends on, for two seconds, and changes
nothing. Under each failed check stands what was seen, and the command that mends it.
Exit status: 0 healthy (warnings allowed), 1 a check failed, 2 a check could not be made.`,
  options: [
    { names: ['--fix'], summary: "put back what is ufan's own, then look again" },
    { names: ['--all'], summary: 'on a terminal: a line also for each check that is well' },
    { names: ['--json'], summary: 'a list of objects instead of the lines' },
    QUIET,
  ],
  examples: ['doctor', 'doctor --fix'],
  run,
};

async function run({ words, given, paths }: Invocation): Promise<void> {
  refuseWord('doctor', words[0]);
  if (given.has('--fix')) requireRoot('doctor --fix');
  // Loaded by the one command that needs it, as it brings all of host/ with it.
  const { diagnose } = await import('../../diagnosis/doctor/doctor.js');
  const { results, notMade, done } = await diagnose(paths, fandAt(paths), given.has('--fix'));
  for (const what of done) printNote(what);
  print(
    given.has('--json') ? formatJson(withTitles(results)) : fitText(inWords(results, given.has('--all'))),
  );
  if (results.some(({ status }) => status === 'fail')) process.exitCode = EXIT_FAILED;
  else if (notMade.length > 0) process.exitCode = EXIT_NOT_MADE;
}

function inWords(results: readonly CheckResult[], every: boolean): string {
  return isTerminal() ? formatGroups(results, paintFor(process.env), every) : formatChecks(results);
}

function fandAt(paths: RunPaths): Fand {
  const client = new FandClient(paths);
  return {
    status: () => client.status(),
    fans: () => client.fans(),
    stats: () => client.stats(),
    offenders: () => client.offenders(),
    repair: (request) => client.repair(request),
    revive: async (request) => {
      for (const note of (await requestUp(paths, request)).notes) printNote(note);
    },
  };
}
