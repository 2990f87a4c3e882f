/**
 * `fanctl restart`: a fand in place of the one that runs, or died, with the same fans. Devices, routes and DHCP stay
 * meanwhile, and what is sent waits or is lost for the moment between the two.
 *
 * 1. The fand that runs is ended as a service manager would: its fans stay on the host, and in its record.
 * 2. Another one is started, with as many workers.
 * 3. It is asked to restore the fans, and answers when they are up.
 */
import { FanError } from '../base/error.js';
import { FandClient } from './client.js';
import { ensureDaemon } from './ensure-daemon.js';
import { waitUntilGone } from './process-end.js';
import type { FanView, RunPaths } from './protocol.js';
import { readStateFans } from './state-file.js';

const END_TIMEOUT_MS = 15_000;

export interface Restarted {
  readonly pid: number;
  readonly fans: readonly FanView[];
  /** What could not be restored, and why. */
  readonly notes: readonly string[];
}

/** Throws FanError daemon, also where there is nothing to restart. */
export async function restartDaemon(paths: RunPaths): Promise<Restarted> {
  const status = await new FandClient(paths).status();
  if (!status && (await readStateFans(paths)).length === 0) {
    throw new FanError('daemon', 'fand is not running and there is no fan: bring one up with fanctl up');
  }
  if (status) await endDaemon(status.pid, paths);
  const { client, pid } = await ensureDaemon(paths, status?.workers);
  const { notes } = await client.restore();
  return { pid, fans: await client.fans(), notes };
}

async function endDaemon(pid: number, { log }: RunPaths): Promise<void> {
  try {
    process.kill(pid, 'SIGTERM');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== 'ESRCH')
      throw new FanError('not-root', `cannot end fand (pid ${pid}): run as root`, { cause });
  }
  if (await waitUntilGone(pid, END_TIMEOUT_MS)) return;
  throw new FanError(
    'daemon',
    `fand (pid ${pid}) does not end within ${END_TIMEOUT_MS / 1000} s: see ${log}`,
  );
}
