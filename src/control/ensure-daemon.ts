/**
 * Finds the fand of this host, or starts one in the background and waits until it answers.
 *
 * 1. One that answers is used, provided that it serves our network namespace. One that is just starting, or leaving
 *    after its last `down`, is given the time to do so.
 * 2. Otherwise systemd starts it, where it has its unit (fand-unit.ts); or fand.js is started in a session of its own, its output appended to the log in UFAN_RUN_DIR.
 * 3. It is asked for its status until it answers. Where it ends first, its own last words are the error.
 *    Of two that start at once fand's lock lets one live; the other says so by its exit status, and everything begins
 *    anew: the winner may answer by then, or have left again.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { type FileHandle, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorText, FanError } from '../base/error.js';
import { openOwnLog } from '../base/own-files.js';
import { mountForPins } from '../host/pin-dir.js';
import { FandClient } from './client.js';
import { startFandUnit } from './fand-unit.js';
import { makeRunDir, removeRunDir } from './made-run-dir.js';
import { isAlive, readPidFile, waitUntilGone } from './process-end.js';
import { type DaemonStatus, EXIT_LOCKED, type RunPaths } from './protocol.js';

const START_TIMEOUT_MS = 30_000;
/** Of all attempts together: each rival that was faster than the fand that we started is given its time. */
const LONGEST_MS = 60_000;
const STOP_TIMEOUT_MS = 5_000;
const POLL_MS = 15;
/** A fand whose fanctl was killed before it asked for a fan is not to stay for ever. */
const LEAVE_AFTER_S = 30;
/** pino's number for "error". */
const ERROR_LEVEL = 50;

export interface Daemon {
  readonly client: FandClient;
  readonly pid: number;
}

/**
 * `workers`: how many forwarding threads it is to have; undefined leaves it to fand. Throws FanError daemon where fand
 * can't be started, serves another host, or runs with another number of them.
 */
export async function ensureDaemon(paths: RunPaths, workers?: number): Promise<Daemon> {
  const client = new FandClient(paths);
  const end = Date.now() + LONGEST_MS;
  for (;;) {
    const deadline = Math.min(end, Date.now() + START_TIMEOUT_MS);
    const status =
      (await awaitStatus(client, deadline, () => hasOther(paths))) ??
      (await startDaemon(paths, client, deadline, workers));
    if (!status) {
      await sleep(POLL_MS);
      continue;
    }
    requireOurNamespace(paths, status);
    if (workers !== undefined) requireWorkers(status, workers);
    return { client, pid: status.pid };
  }
}

/** Two hosts that share a directory, as namespaces of one machine do, would change each other's network. */
function requireOurNamespace(paths: RunPaths, status: DaemonStatus): void {
  const ours = readlinkSync('/proc/self/ns/net');
  if (inodeOf(status.netns) === inodeOf(ours)) return;
  throw new FanError(
    'daemon',
    `the fand in ${paths.dir} (pid ${status.pid}) serves another network namespace: set UFAN_RUN_DIR to a directory per host`,
  );
}

/** The devices of fans that are up are made for the workers that fand has. */
function requireWorkers(status: DaemonStatus, workers: number): void {
  if (status.workers === workers) return;
  throw new FanError(
    'daemon',
    `fand (pid ${status.pid}) runs with ${status.workers} workers, not ${workers}: leave out --workers, or take all fans down first`,
  );
}

/** The number in "net:[4026531833]". */
function inodeOf(namespace: string): string {
  return namespace.replace(/\D/g, '');
}

/** Undefined where another fand had the lock, while there is time to look again. */
async function startDaemon(
  paths: RunPaths,
  client: FandClient,
  deadline: number,
  workers: number | undefined,
): Promise<DaemonStatus | undefined> {
  const fand = createRequire(import.meta.url).resolve('#fand');
  if (workers === undefined && (await startFandUnit(paths.dir, fand))) {
    return awaitStatus(client, deadline, () => hasOther(paths));
  }
  const isMade = await makeRunDir(paths);
  await mountForPins();
  const log = await openLog(paths, deadline);
  if (!log) return undefined;
  const logStart = (await log.stat()).size;
  const child = spawnFand(fand, paths, log, isMade, workers);
  await log.close();
  const status = await awaitStatus(client, deadline, async () => child.pid !== undefined && !hasEnded(child));
  const end = endOf(child);
  // A rival that answered first may be gone before ours comes to the lock: ours would take it and stay for nobody.
  if (status?.pid !== child.pid) await endChild(child);
  if (status) return status;
  if (child.exitCode === EXIT_LOCKED && Date.now() < deadline) return undefined;
  const reason = (await lastWords(paths.log, logStart)) ?? `${end}, see ${paths.log}`;
  // Once the reason is told, the log and the directory that came with this start go as well.
  if (logStart === 0 && child.exitCode !== EXIT_LOCKED) await rm(paths.log, { force: true });
  await removeRunDir(paths);
  throw new FanError('daemon', `fand did not start: ${reason}`);
}

/** In a session of its own, so that no Ctrl-C or hang-up of the operator's terminal reaches it. */
function spawnFand(
  fand: string,
  paths: RunPaths,
  log: FileHandle,
  isMade: boolean,
  workers: number | undefined,
): ChildProcess {
  const words = [fand, '--leave-after', `${LEAVE_AFTER_S}`];
  if (isMade) words.push('--remove-run-dir');
  if (workers !== undefined) words.push('--workers', `${workers}`);
  const child = spawn(process.execPath, words, {
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
    cwd: '/',
    env: { ...process.env, UFAN_RUN_DIR: paths.dir, UFAN_STATE_DIR: paths.stateDir },
  });
  // Without a listener a failed start would end fanctl; it is seen by the missing pid.
  child.on('error', () => {});
  child.unref();
  return child;
}

/** Undefined where a fand that left took the directory away since we made sure of it. */
async function openLog(paths: RunPaths, deadline: number): Promise<FileHandle | undefined> {
  try {
    return await openOwnLog(paths.log, 0o640);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT' && Date.now() < deadline) return undefined;
    if (cause instanceof FanError) throw cause;
    throw new FanError('daemon', `cannot write ${paths.log}: ${errorText(cause)}`, { cause });
  }
}

/** Asks until fand answers; undefined once `isHopeful` says no, or time is up. */
async function awaitStatus(
  client: FandClient,
  deadline: number,
  isHopeful: () => Promise<boolean>,
): Promise<DaemonStatus | undefined> {
  for (;;) {
    const status = await client.status();
    if (status) return status;
    if (Date.now() > deadline || !(await isHopeful())) return undefined;
    await sleep(POLL_MS);
  }
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || hasEnded(child)) return;
  child.kill();
  await waitUntilGone(child.pid, STOP_TIMEOUT_MS);
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function endOf(child: ChildProcess): string {
  if (child.pid === undefined) return `${process.execPath} cannot be run`;
  if (child.signalCode !== null) return `it was ended by ${child.signalCode}`;
  return child.exitCode === null
    ? `no answer within ${START_TIMEOUT_MS / 1000} s`
    : `it ended with status ${child.exitCode}`;
}

/** Whether the pid file names a fand that lives. After a crash its number may be another program's by now. */
async function hasOther(paths: RunPaths): Promise<boolean> {
  const pid = Number(await readPidFile(paths.pid));
  if (!(pid > 0) || !(await isAlive(pid))) return false;
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return commandLine.includes('fand');
}

/** The last error that fand logged from byte `start` on, or the line of a JavaScript error that ended it. */
async function lastWords(logPath: string, start: number): Promise<string | undefined> {
  const bytes = await readFile(logPath).catch(() => Buffer.alloc(0));
  const lines = bytes.subarray(start).toString().split('\n');
  const errors = lines.map(messageOf).filter((message) => message !== undefined);
  return errors.at(-1) ?? lines.find((line) => /^\w*Error\b.*: /.test(line));
}

function messageOf(line: string): string | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const entry = JSON.parse(line) as { level?: unknown; msg?: unknown };
    const isError = typeof entry.level === 'number' && entry.level >= ERROR_LEVEL;
    return isError && typeof entry.msg === 'string' ? entry.msg : undefined;
  } catch {
    return undefined;
  }
}
