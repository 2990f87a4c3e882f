/**
 * Asks fand to take a fan or all of them down, and returns when nothing is left of them. One that died with fans up is
 * started again, as it undoes them from its record; where there is none, nothing is started.
 */
import { FanError } from '../base/error.js';
import { Attachments } from './attachments.js';
import { FandClient, NotRunning } from './client.js';
import { type Daemon, ensureDaemon } from './ensure-daemon.js';
import { findFan } from './find-fan.js';
import { removeRunDir } from './made-run-dir.js';
import { waitUntilGone } from './process-end.js';
import type { DownReply, DownRequest, RunPaths } from './protocol.js';
import { readStateFans } from './state-file.js';
import { StateStore } from './state-store.js';

const LEAVE_TIMEOUT_MS = 10_000;
const MAX_ATTEMPTS = 5;

/** Undefined where no fan is up. Throws FanError not-configured, in-use, or as fand says. */
export async function requestDown(paths: RunPaths, request: DownRequest): Promise<DownReply | undefined> {
  const answered = await ask(paths, request);
  if (!answered) {
    await removeRunDir(paths);
    return undefined;
  }
  const { reply, daemon } = answered;
  if (!reply.last) return reply;
  if (await waitUntilGone(daemon.pid, LEAVE_TIMEOUT_MS)) {
    await removeRunDir(paths);
    return reply;
  }
  return { ...reply, notes: [...reply.notes, `fand (pid ${daemon.pid}) has not left yet: see ${paths.log}`] };
}

/** Looks again where the fand that was found has left in between. */
async function ask(
  paths: RunPaths,
  request: DownRequest,
): Promise<{ reply: DownReply; daemon: Daemon } | undefined> {
  for (let attempt = 1; ; attempt++) {
    const daemon = await findDaemon(paths);
    if (!daemon) return undefined;
    try {
      return { reply: await daemon.client.down(request), daemon };
    } catch (error) {
      if (error instanceof FanError && error.code === 'in-use') await nameContainers(paths, request);
      if (attempt === MAX_ATTEMPTS || !(error instanceof NotRunning)) throw error;
    }
  }
}

/**
 * fand sees the ports of a bridge, but may not look into the processes behind them, as this one may that root started.
 * Throws FanError in-use, which names them.
 */
async function nameContainers(
  paths: RunPaths,
  { every, overlay = '', underlay = '' }: DownRequest,
): Promise<void> {
  const { fans } = await new StateStore(paths.state).load();
  const asked = every ? fans : [await findFan(fans, { overlay, underlay })];
  await new Attachments(paths.stateDir).requireNone(asked.filter((fan) => fan !== undefined));
}

async function findDaemon(paths: RunPaths): Promise<Daemon | undefined> {
  const runs = (await new FandClient(paths).status()) !== undefined;
  if (!runs && (await readStateFans(paths)).length === 0) return undefined;
  return ensureDaemon(paths);
}
