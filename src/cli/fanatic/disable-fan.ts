/** `fanatic disable-fan`: the fan down, and its line out of /etc/network/fan. */
import { FanError } from '../../base/error.js';
import { formatEnds, unsetFan } from '../../config/fan-file.js';
import { parseFanWords } from '../../config/fan-line.js';
import { formatOverlay } from '../../config/overlay.js';
import { formatUnderlay } from '../../config/underlay.js';
import { writeConfig } from '../../control/config-file.js';
import type { RunPaths } from '../../control/protocol.js';
import { requestDown } from '../../control/request-down.js';
import { enabledRuntimes } from '../../runtimes/enable.js';
import { Ledger } from '../../runtimes/ledger.js';
import { RUNTIMES } from '../../runtimes/runtimes.js';
import { type Command, type Invocation, QUIET, requireRoot } from '../commands/command.js';
import { openConfig } from '../commands/config-lines.js';
import { printNote } from '../output/output.js';
import { endsInText, lineOf } from './fan-of.js';

export const disableFan: Command = {
  name: 'disable-fan',
  synopsis: ['disable-fan -o OVERLAY -u UNDERLAY', 'disable-fan OVERLAY UNDERLAY', 'disable-fan'],
  summary: 'take a fan down and its line out of /etc/network/fan',
  description: `Refused while a runtime is enabled for it, or containers are on its bridge. One that is
neither up nor in the file is no error. Without words, the one line there is.`,
  options: [
    { names: ['--force'], summary: 'also with containers on the bridge, which the next up plugs in again' },
    QUIET,
  ],
  completes: 'FANS-UP',
  examples: ['disable-fan -o 250.0.0.0/8 -u 172.30.0.0/16', 'disable-fan'],
  run: async ({ words, given, paths }: Invocation) => {
    requireRoot('disable-fan');
    await disableOne(words, given.has('--force'), paths);
  },
};

export async function disableOne(words: readonly string[], force: boolean, paths: RunPaths): Promise<void> {
  const config = await openConfig();
  const asked = parseFanWords(words);
  const line = await lineOf(config, asked, paths);
  const ends = line
    ? endsInText(line)
    : asked.overlay && asked.underlay
      ? { overlay: formatOverlay(asked.overlay), underlay: formatUnderlay(asked.underlay) }
      : undefined;
  if (!ends) return printNote(`${config.path} has no such fan: nothing to disable`);
  const users = await enabledRuntimes(RUNTIMES, ends, await Ledger.open(paths.stateDir));
  if (users.length > 0) {
    const name = `${ends.overlay} on ${ends.underlay}`;
    const commands = users.map((user) => `fanatic disable-${user}`).join(' and ');
    throw new FanError('in-use', `${name} is used by ${users.join(' and ')}: ${commands} first`);
  }
  const isDown = await requestDown(paths, { ...ends, force }).catch((error) => {
    // It is in the file only.
    if (error instanceof FanError && error.code === 'not-configured') return undefined;
    throw error;
  });
  for (const note of isDown?.notes ?? []) printNote(note);
  if (line) await writeConfig(unsetFan(config.text, line.fan));
  else if (!isDown)
    printNote(`${formatEnds({ overlay: asked.overlay!, underlay: asked.underlay! })} is not enabled`);
}
