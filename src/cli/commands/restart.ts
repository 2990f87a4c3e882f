/** `fanctl restart`: another fand in place of the one that runs, with the same fans. */
import { FanError } from '../../base/error.js';
import { printable } from '../../base/printable.js';
import { restartDaemon } from '../../control/restart.js';
import { fanToJson, formatJson, print, printNote } from '../output/output.js';
import { type Command, type Invocation, JSON_OPTION, QUIET, refuseWord, requireRoot } from './command.js';

export const restart: Command = {
  name: 'restart',
  synopsis: ['restart'],
  summary: 'replace the running fand, as after an upgrade',
  description: `Devices, routes and DHCP stay; packets wait or are lost for the moment between the two.
It prints the bridges of the fans that are up again. A fand that died is started again.`,
  options: [JSON_OPTION, QUIET],
  examples: ['restart'],
  run,
};

async function run({ words, given, paths }: Invocation): Promise<void> {
  refuseWord('restart', words[0]);
  requireRoot('restart');
  const { pid, fans, notes } = await restartDaemon(paths);
  const dead = fans.filter(({ state }) => state === 'dead');
  for (const note of dead.length > 0 ? [] : notes) printNote(note);
  if (given.has('--json')) print(formatJson({ pid, fans: fans.map(fanToJson), notes }));
  else for (const fan of fans) if (fan.state !== 'dead') print(printable(fan.bridge));
  if (dead.length > 0) throw new FanError('step-failed', notes.join('; '));
}
