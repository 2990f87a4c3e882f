/**
 * Waits for fand to be gone, so that a `down` that returns has left no process and no socket behind.
 */
import { access, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunPaths } from '../daemon/protocol.js';

const POLL_MS = 10;

/** False where fand, or its socket, is still there after `timeoutMs`. */
export async function waitUntilGone(paths: RunPaths, pid: number, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while ((await isAlive(pid)) || (await exists(paths.socket))) {
    if (Date.now() > deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}

/**
 * Whether a process runs. One that has ended and waits to be reaped does not: a container's PID 1 may never do
 * that, and kill(pid, 0) would take it for alive (proc(5), field 3 of stat).
 */
export async function isAlive(pid: number): Promise<boolean> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1');
    const state = stat.charAt(stat.lastIndexOf(')') + 2);
    return state !== 'Z' && state !== 'X';
  } catch {
    return false;
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
