/** `fanctl restart`: another fand in place of the one that runs, with the same fans. */
import { FanError } from '../../base/error.js';
import { printable } from '../../base/printable.js';
import { restartDaemon } from '../../control/restart.js';
import { fanToJson, formatJson, print, printNote } from '../output/output.js';
import { type Command, type Invocation, JSON_OPTION, QUIET, refuseWord, requireRoot } from './command.js';

export const restart: Command = {
  name: 'restart',
  synopsis: ['restart [--hard]'],
  summary: 'replace the running fand, as after an upgrade',
  description: `The fand that runs starts another one and hands all over to it: no connection breaks, counters go on.
Where that one can't start, the first goes on, and it is an error. A fand that died is started again.
It prints the bridges of the fans that are up.`,
  options: [
    {
      names: ['--hard'],
      summary: 'end the fand that runs first: what is sent waits or is lost for a moment',
    },
    JSON_OPTION,
    QUIET,
  ],
  examples: ['restart'],
  run,
};

async function run({ words, given, paths }: Invocation): Promise<void> {
  refuseWord('restart', words[0]);
  requireRoot('restart');
  const { pid, fans, pausedMs, notes } = await restartDaemon(paths, given.has('--hard'));
  const dead = fans.filter(({ state }) => state === 'dead');
  for (const note of dead.length > 0 ? [] : notes) printNote(note);
  if (given.has('--json')) {
    print(formatJson({ pid, fans: fans.map(fanToJson), pausedMs, notes }));
  } else {
    for (const fan of fans) if (fan.state !== 'dead') print(printable(fan.bridge));
    if (pausedMs !== null) printNote(`fand (pid ${pid}) has taken over within ${pausedMs.toFixed(1)} ms`);
  }
  if (dead.length > 0) throw new FanError('step-failed', notes.join('; '));
}
