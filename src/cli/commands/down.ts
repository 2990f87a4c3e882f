/** `fanctl down`: asks fand to undo a fan, or every one; returns when nothing of it is left. */

import { FanError } from '../../base/error.js';
import { parseFanLine } from '../../config/fan-line.js';
import { formatOverlay } from '../../config/overlay.js';
import { formatUnderlay } from '../../config/underlay.js';
import type { DownRequest } from '../../control/protocol.js';
import { requestDown } from '../../control/request-down.js';
import { printNote } from '../output/output.js';
import { type Command, type Invocation, refuseAuto, requireRoot } from './command.js';

export const down: Command = {
  name: 'down',
  synopsis: ['down OVERLAY UNDERLAY', 'down -o OVERLAY -u UNDERLAY', 'down -e'],
  summary: 'take a fan down',
  description: `OVERLAY and UNDERLAY are those that up was told, whatever the host's address is by now.
Flags are taken and ignored, so that the line of an up can be pasted.`,
  completes: 'FANS-UP',
  examples: ['down 250.0.0.0/8 eth0/16', 'down -e'],
  options: [
    { names: ['-e', '--every'], summary: 'every fan; none is no error' },
    { names: ['--force'], summary: 'also with containers on the bridge, which the next up plugs in again' },
  ],
  run,
};

async function run({ words, given, paths }: Invocation): Promise<void> {
  requireRoot('down');
  refuseAuto('down', words);
  const request = { ...readRequest(words, given.has('-e')), force: given.has('--force') };
  const reply = await requestDown(paths, request);
  for (const note of reply?.notes ?? []) printNote(note);
  if (reply || request.every) return;
  throw new FanError('not-configured', `${request.overlay} on ${request.underlay} is not configured`);
}

function readRequest(words: readonly string[], every: boolean): DownRequest {
  if (every) {
    if (words.length > 0) throw new FanError('usage', 'down -e takes every fan: name none beside it');
    return { every: true };
  }
  const { overlay, underlay } = parseFanLine(words);
  return { overlay: formatOverlay(overlay), underlay: formatUnderlay(underlay) };
}
