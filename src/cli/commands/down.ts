/** `fanctl down`: asks fand to undo a fan, or every one; returns when nothing of it is left. */

import { FanError } from '../../base/error.js';
import { parseFanLine } from '../../config/fan-line.js';
import { formatOverlay } from '../../config/overlay.js';
import { formatUnderlay } from '../../config/underlay.js';
import { FandClient, NotRunning } from '../../control/client.js';
import { type Daemon, ensureDaemon } from '../../control/ensure-daemon.js';
import { removeRunDir } from '../../control/made-run-dir.js';
import { waitUntilGone } from '../../control/process-end.js';
import type { DownReply, DownRequest, RunPaths } from '../../control/protocol.js';
import { readStateFans } from '../../control/state-file.js';
import { printNote } from '../output/output.js';
import { type Command, type Invocation, refuseAuto, requireRoot } from './command.js';

const LEAVE_TIMEOUT_MS = 10_000;
const MAX_ATTEMPTS = 5;

export const down: Command = {
  name: 'down',
  synopsis: ['down OVERLAY UNDERLAY', 'down -o OVERLAY -u UNDERLAY', 'down -e'],
  summary: 'take a fan down',
  description: `OVERLAY and UNDERLAY are those that up was told, whatever the host's address is by now.
Flags are taken and ignored, so that the line of an up can be pasted.`,
  completes: 'FANS-UP',
  examples: ['down 250.0.0.0/8 eth0/16', 'down -e'],
  options: [{ names: ['-e', '--every'], summary: 'every fan; none is no error' }],
  run,
};

async function run({ words, given, paths }: Invocation): Promise<void> {
  requireRoot('down');
  refuseAuto('down', words);
  const request = readRequest(words, given.has('-e'));
  const answered = await requestDown(paths, request);
  if (!answered) {
    await removeRunDir(paths);
    if (request.every) return;
    throw new FanError('not-configured', `${request.overlay} on ${request.underlay} is not configured`);
  }
  const { reply, daemon } = answered;
  for (const note of reply.notes) printNote(note);
  if (!reply.last) return;
  const gone = await waitUntilGone(daemon.pid, LEAVE_TIMEOUT_MS);
  if (!gone) printNote(`fand (pid ${daemon.pid}) has not left yet: see ${paths.log}`);
}

/** Undefined where nobody is to be asked. Looks again where the fand that was found has left in between. */
async function requestDown(
  paths: RunPaths,
  request: DownRequest,
): Promise<{ reply: DownReply; daemon: Daemon } | undefined> {
  for (let attempt = 1; ; attempt++) {
    const daemon = await findDaemon(paths);
    if (!daemon) return undefined;
    try {
      return { reply: await daemon.client.down(request), daemon };
    } catch (error) {
      if (attempt === MAX_ATTEMPTS || !(error instanceof NotRunning)) throw error;
    }
  }
}

function readRequest(words: readonly string[], every: boolean): DownRequest {
  if (every) {
    if (words.length > 0) throw new FanError('usage', 'down -e takes every fan: name none beside it');
    return { every: true };
  }
  const { overlay, underlay } = parseFanLine(words);
  return { overlay: formatOverlay(overlay), underlay: formatUnderlay(underlay) };
}

/**
 * The fand to ask. Where it died with fans up a new one is started, which undoes them from its record. Undefined
 * where none runs and none has left a fan: then nothing is started either.
 */
async function findDaemon(paths: RunPaths): Promise<Daemon | undefined> {
  const runs = (await new FandClient(paths).status()) !== undefined;
  if (!runs && (await readStateFans(paths)).length === 0) return undefined;
  return ensureDaemon(paths);
}
