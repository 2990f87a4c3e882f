/**
 * Asks fand, started where none runs, to bring a fan up; again where the fand that answered has left in between, as it
 * does when it has no fan.
 */

import { BrokenOff, NotRunning } from './client.js';
import { type Daemon, ensureDaemon } from './ensure-daemon.js';
import { removeRunDir } from './made-run-dir.js';
import { isAlive, waitUntilGone } from './process-end.js';
import type { RunPaths, UpReply, UpRequest } from './protocol.js';
import { readStateFans } from './state-file.js';

const LEAVE_TIMEOUT_MS = 10_000;
/** Several failing ups at once meet a leaving fand more than once. */
const MAX_ATTEMPTS = 5;

/** `workers` as of ensureDaemon. Throws as it and FandClient.up do. */
export async function requestUp(paths: RunPaths, request: UpRequest, workers?: number): Promise<UpReply> {
  for (let attempt = 1; ; attempt++) {
    const daemon = await ensureDaemon(paths, workers);
    try {
      return await askUp(paths, daemon, request);
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
async function askUp(paths: RunPaths, { client, pid }: Daemon, request: UpRequest): Promise<UpReply> {
  try {
    return await client.up(request);
  } catch (error) {
    const isLeaving = await client.fans().then(
      (fans) => fans.length === 0,
      () => true,
    );
    if (isLeaving && (await waitUntilGone(pid, LEAVE_TIMEOUT_MS))) await removeRunDir(paths);
    throw error;
  }
}
