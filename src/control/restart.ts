/**
 * `fanctl restart`: a fand in place of the one that runs, or died, with the same fans.
 *
 * 1. The fand that runs is asked to hand over to another one, which it starts itself (daemon/handover/): connections and
 *    counters stay. Where it can't, everything goes on, and what stood against it is thrown.
 * 2. Or, told `hard`, it is ended as a service manager would: its fans stay on the host, and in its record; another one is
 *    started, with as many workers. Devices, routes and DHCP stay meanwhile, and what is sent waits or is lost for the
 *    moment between the two. Never unasked: in a reload of the service it would take that down, and us with it.
 * 3. Fans that were dead before are restored, and after a hard restart all of them.
 */
import { FanError } from '../base/error.js';
import { FandClient } from './client.js';
import { ensureDaemon } from './ensure-daemon.js';
import { waitUntilGone } from './process-end.js';
import type { DaemonStatus, FanView, HandoverReply, RunPaths } from './protocol.js';
import { readStateFans } from './state-file.js';

const END_TIMEOUT_MS = 15_000;

export interface Restarted {
  readonly pid: number;
  readonly fans: readonly FanView[];
  /** As HandoverReply.pausedMs; null also where nobody measured. */
  readonly pausedMs: number | null;
  /** What could not be restored, and why. */
  readonly notes: readonly string[];
}

/** Throws FanError, also where there is nothing to restart. */
export async function restartDaemon(paths: RunPaths, hard: boolean): Promise<Restarted> {
  const before = new FandClient(paths);
  const status = await before.status();
  if (!status && (await readStateFans(paths)).length === 0) {
    throw new FanError('daemon', 'fand is not running and there is no fan: bring one up with fanctl up');
  }
  const handover = status && !hard ? await handOver(before, status) : undefined;
  const { client, pid } = handover ? { client: before, pid: handover.pid } : await startAnew(paths, status);
  const pausedMs = handover?.pausedMs ?? null;
  const fans = await client.fans();
  if (fans.every(({ state }) => state !== 'dead')) return { pid, fans, pausedMs, notes: [] };
  const { notes } = await client.restore();
  return { pid, fans: await client.fans(), pausedMs, notes };
}

async function handOver(client: FandClient, { version }: DaemonStatus): Promise<HandoverReply> {
  try {
    return await client.handOver();
  } catch (error) {
    if (!(error instanceof FanError && error.code === 'usage')) throw error;
    throw new FanError(
      'unsupported',
      `fand ${version} knows of no handing over: "fanctl restart --hard" ends it, and what is sent waits for a second`,
      { cause: error },
    );
  }
}

function startAnew(paths: RunPaths, status: DaemonStatus | undefined) {
  const start = () => ensureDaemon(paths, status?.workers);
  return status ? endDaemon(status.pid, paths).then(start) : start();
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
