/**
 * One dnsmasq process: found, started, ended. It leaves the daemon (fork) once it listens, so it lives on when fand
 * crashes, and its exit status says whether it could start.
 *
 * A pid alone proves nothing, as pids are used again, nor does a command line, which anybody can give a process. Proof is
 * pid and start time together, which the state has since the start. Where it has none, after a crash in the middle of an
 * `up`, it is a process of dnsmasq's own user with the command line that we gave. What stands in the pid file, which
 * dnsmasq may write, is a hint.
 */
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorText, FanError } from '../../base/error.js';
import { readPlainFile } from '../../base/own-files.js';
import { isNoted } from '../rehearsal.js';
import { run } from '../run.js';

const COMMAND = 'dnsmasq';
const POLL_MS = 20;
/** How long it may take to end when asked, and then when forced. */
const PATIENCE_MS = 3000;

/** Whom dnsmasq runs as: Debian's user, or the one that it takes by default. */
const USERS = ['dnsmasq', 'nobody'];
/** Digits and a line's end. */
const LONGEST_PID = 16;
/** Fields of /proc/PID/stat behind the command: 22 of all is when it started, in ticks since boot. */
const START_FIELD = 19;

/** A process that no later one is taken for. */
export interface Process {
  readonly pid: number;
  /** Ticks since boot, as the kernel writes them. */
  readonly start: string;
}

/** Undefined where there is none of this pid. */
export async function processOf(pid: number): Promise<Process | undefined> {
  const stat = await readText(`/proc/${pid}/stat`);
  const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[START_FIELD];
  return start === undefined ? undefined : { pid, start };
}

/**
 * The pid of our dnsmasq that writes `pidFile`: with `args`, or, without, with any. `known` is the one that was started.
 * Undefined where there is none in our network namespace.
 */
export async function findDnsmasq(
  pidFile: string,
  known: Process | undefined,
  args?: readonly string[],
): Promise<number | undefined> {
  if (known && (await processOf(known.pid))?.start === known.start) {
    return !args || (await hasArguments(known.pid, pidFile, args)) ? known.pid : undefined;
  }
  const hint = Number(await readPlainFile(pidFile, LONGEST_PID).catch(() => ''));
  const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry)).map(Number);
  for (const pid of Number.isInteger(hint) && hint > 1 ? [hint, ...pids] : pids) {
    if (!(await hasArguments(pid, pidFile, args))) continue;
    if ((await isInOurNamespace(pid)) && (await isTrusted(pid))) return pid;
  }
  return undefined;
}

async function hasArguments(pid: number, pidFile: string, args?: readonly string[]): Promise<boolean> {
  const words = (await readText(`/proc/${pid}/cmdline`)).split('\0').slice(0, -1);
  const [command = '', ...given] = words;
  if (!command.endsWith(COMMAND) || !given.includes(pidFileOption(pidFile))) return false;
  return !args || JSON.stringify(given) === JSON.stringify(args);
}

/** Whether it runs as root, as we do, or as who dnsmasq becomes: a user may call a process of theirs as they like. */
async function isTrusted(pid: number): Promise<boolean> {
  const uid = Number(/^Uid:\s+(\d+)/m.exec(await readText(`/proc/${pid}/status`))?.[1] ?? -1);
  if (uid === 0 || uid === process.geteuid?.()) return true;
  const users = (await readText('/etc/passwd')).split('\n').map((line) => line.split(':'));
  return users.some(([name = '', , its]) => USERS.includes(name) && Number(its) === uid);
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
  if ((await findDnsmasq(pidFile, undefined, args)) === undefined) {
    await stopDnsmasq(pidFile, undefined);
    throw new FanError('step-failed', 'dnsmasq ended right after it had started: the system log says why');
  }
}

/** Ends the dnsmasq of `pidFile`, which is `known` where that still runs, and waits until it is gone. */
export async function stopDnsmasq(pidFile: string, known: Process | undefined): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const pid = await findDnsmasq(pidFile, known);
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
