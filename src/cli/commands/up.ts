/** `fanctl up`: asks fand, started where none runs, for a fan; prints the name of its bridge. */

import { FanError } from '../../base/error.js';
import { parseFanLine } from '../../config/fan-line.js';
import { formatOverlay } from '../../config/overlay.js';
import { formatUnderlay } from '../../config/underlay.js';
import { MOST_WORKERS, parseWorkers } from '../../config/worker-count.js';
import type { RunPaths, UpReply, UpRequest } from '../../daemon/protocol.js';
import { BrokenOff, NotRunning } from '../client.js';
import { type Command, type Invocation, refuseAuto, requireRoot } from '../command.js';
import { type Daemon, ensureDaemon } from '../ensure-daemon.js';
import { print, printNote } from '../output.js';
import { isAlive, waitUntilGone } from '../process-end.js';
import { readStateFans } from '../state-file.js';

const LEAVE_TIMEOUT_MS = 10_000;
/** Several failing ups at once meet a leaving fand more than once. */
const MAX_ATTEMPTS = 5;

export const up: Command = {
  name: 'up',
  synopsis: ['up OVERLAY UNDERLAY [FLAGS]', 'up -o OVERLAY -u UNDERLAY [FLAGS]'],
  summary: 'bring a fan up and print its bridge',
  description: `OVERLAY   250.0.0.0/8, or 250 for it.
UNDERLAY  172.30.0.28/16, eth0/16, or default/16 for the device of the default route;
          without a width, /16.
The words may stand in any order, flags with or without dashes in front. fand is started
in the background where none runs. A fan whose fand died is restored by the same line.`,
  options: [
    {
      names: ['--workers'],
      value: 'N',
      summary: `forwarding threads of the fand that this starts, 1 to ${MOST_WORKERS}`,
    },
  ],
  takesFlags: true,
  run,
};

async function run({ words, given, paths }: Invocation): Promise<void> {
  requireRoot('up');
  refuseAuto('up', words);
  const workers = given.has('--workers') ? parseWorkers('--workers', given.get('--workers')!) : undefined;
  const { overlay, underlay, options } = parseFanLine(words);
  if (options.off)
    throw new FanError('usage', 'off is for a line of /etc/network/fan: leave it out to bring the fan up');
  const request = { overlay: formatOverlay(overlay), underlay: formatUnderlay(underlay), options };
  const reply = await requestUp(paths, request, workers);
  for (const note of reply.notes) printNote(note);
  print(reply.bridge);
}

/** Asks again where the fand that answered has left in between, as it does when it has no fan. */
async function requestUp(paths: RunPaths, request: UpRequest, workers: number | undefined): Promise<UpReply> {
  for (let attempt = 1; ; attempt++) {
    const daemon = await ensureDaemon(paths, workers);
    try {
      return await askUp(daemon, request);
    } catch (error) {
      if (attempt === MAX_ATTEMPTS || !(await wasNotSeen(error, paths, daemon.pid))) throw error;
    }
  }
}

/**
 * Whether a failed request has surely left nothing behind: fand had gone, or went without a record of any fan. It
 * writes the record before each change to the host.
 */
async function wasNotSeen(error: unknown, paths: RunPaths, pid: number): Promise<boolean> {
  if (error instanceof NotRunning) return true;
  if (!(error instanceof BrokenOff) || (await isAlive(pid))) return false;
  return (await readStateFans(paths)).length === 0;
}

/** After a failed first `up` fand has no fan and leaves: nothing of it may be there when we return. */
async function askUp({ client, pid }: Daemon, request: UpRequest): Promise<UpReply> {
  try {
    return await client.up(request);
  } catch (error) {
    const isLeaving = await client.fans().then(
      (fans) => fans.length === 0,
      () => true,
    );
    if (isLeaving) await waitUntilGone(pid, LEAVE_TIMEOUT_MS);
    throw error;
  }
}
