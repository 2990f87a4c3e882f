/**
 * One dnsmasq process: found, started, ended. It leaves the daemon (fork) once it listens, so it lives on when fand
 * crashes, and its exit status says whether it could start.
 *
 * A pid alone proves nothing, as pids are used again: the process must have exactly the command line that we gave.
 */
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorText, FanError } from '../../base/error.js';
import { isNoted } from '../rehearsal.js';
import { run } from '../run.js';

const COMMAND = 'dnsmasq';
const POLL_MS = 20;
/** How long it may take to end when asked, and then when forced. */
const PATIENCE_MS = 3000;

/**
 * The pid of the dnsmasq that `pidFile` names, if it is one of ours: with `args`, or, without, any that was told to
 * write this file. Where the file is gone all processes are looked at. Undefined where there is none in our network
 * namespace.
 */
export async function findDnsmasq(pidFile: string, args?: readonly string[]): Promise<number | undefined> {
  const pid = Number((await readText(pidFile)).trim());
  if (Number.isInteger(pid) && pid > 1) return checkProcess(pid, pidFile, args);
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const found = await checkProcess(Number(entry), pidFile, args);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function checkProcess(
  pid: number,
  pidFile: string,
  args?: readonly string[],
): Promise<number | undefined> {
  const words = (await readText(`/proc/${pid}/cmdline`)).split('\0').slice(0, -1);
  const [command = '', ...given] = words;
  if (!command.endsWith(COMMAND) || !given.includes(pidFileOption(pidFile))) return undefined;
  if (!(await isInOurNamespace(pid))) return undefined;
  if (args && JSON.stringify(given) !== JSON.stringify(args)) return undefined;
  return pid;
}

export function pidFileOption(pidFile: string): string {
  return `--pid-file=${pidFile}`;
}

/** Whether dnsmasq gave up as another program has port 53 of its address. */
export function isDnsTaken(error: unknown): boolean {
  return /failed to create listening socket .*in use/.test(errorText(error));
}

/** Starts it and checks that it stands. Throws FanError with dnsmasq's own words. */
export async function startDnsmasq(pidFile: string, args: readonly string[]): Promise<void> {
  await run(COMMAND, args);
  if ((await findDnsmasq(pidFile, args)) === undefined) {
    await stopDnsmasq(pidFile);
    throw new FanError('step-failed', 'dnsmasq ended right after it had started: the system log says why');
  }
}

/** Ends the dnsmasq of `pidFile` and waits until it is gone. */
export async function stopDnsmasq(pidFile: string): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const pid = await findDnsmasq(pidFile);
    if (pid === undefined) break;
    if (isNoted('kill', String(pid))) return;
    sendSignal(pid, signal);
    for (let waited = 0; waited < PATIENCE_MS; waited += POLL_MS) {
      if (await isGone(pid)) break;
      await sleep(POLL_MS);
    }
  }
  if (!isNoted('rm', '-f', pidFile)) await rm(pidFile, { force: true });
}

/**
 * A zombie has closed its sockets and counts as gone. The command line is no sign: a process that is ending loses it
 * before its sockets, and the next dnsmasq would find the port taken.
 */
async function isGone(pid: number): Promise<boolean> {
  const stat = await readText(`/proc/${pid}/stat`);
  const state = stat.charAt(stat.lastIndexOf(')') + 2);
  return state === '' || state === 'Z' || state === 'X';
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/**
 * Each network namespace has a /proc/net of its own, with inodes of its own. /proc/PID/ns/net would say the same, but
 * dnsmasq gives up root, and to read that link of it takes CAP_SYS_PTRACE, which a service may lack.
 */
async function isInOurNamespace(pid: number): Promise<boolean> {
  const [its, own] = await Promise.all([pid, 'self'].map((who) => inodeOf(`/proc/${who}/net/dev`)));
  return its !== undefined && its === own;
}

async function inodeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).ino;
  } catch {
    return undefined;
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return '';
  }
}
