/**
 * Waits for fand to be gone, so that a `down` that returns has left no process and no file behind: removing its
 * files is the last that fand does.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { readOwnFile } from '../base/own-files.js';

const POLL_MS = 10;
/** Digits and a line's end. */
const LONGEST_PID = 16;

/** False where the process still runs after `timeoutMs`. */
export async function waitUntilGone(pid: number, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (await isAlive(pid)) {
    if (Date.now() > deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}

/**
 * Whether a process runs. One that has ended and waits to be reaped does not: a container's PID 1 may never do
 * that, and kill(pid, 0) would take it for alive. But its first thread may have ended alone: as long as there are
 * others, sockets and locks are still held. Fields of proc(5): 3 state, 20 threads.
 */
export async function isAlive(pid: number): Promise<boolean> {
  try {
    // No disk is waited for, so no other thread is woken.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, threads] = [fields[0], Number(fields[17])];
    return (state !== 'Z' && state !== 'X') || threads > 1;
  } catch {
    return false;
  }
}

/** What a pid file says; undefined where it is none of ours. */
export async function readPidFile(path: string): Promise<string | undefined> {
  return readOwnFile(path, LONGEST_PID).catch(() => undefined);
}
