/**
 * What fand may do: it gives up, for itself and all that it starts, every capability that it needs nothing of, and
 * no_new_privs keeps it so. Each thread has capabilities of its own, and Node has several before the first line of ours
 * runs: so fand begins anew, in the same process, before it has done anything else.
 *
 * One thing needs more than it keeps, the namespace in which the I/O modes are tried out: that begins before, and tells
 * what it found through a pipe (dataplane/io-probe/client.ts).
 */
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { errorText } from '../base/error.js';
import { dropIoProbe, startIoProbe } from '../dataplane/io-probe/client.js';
import { native } from '../io/native.js';

/** linux/capability.h. */
export const CAPABILITY = {
  dacReadSearch: 2,
  kill: 5,
  setgid: 6,
  setuid: 7,
  netBindService: 10,
  netAdmin: 12,
  netRaw: 13,
  sysAdmin: 21,
  perfmon: 38,
  bpf: 39,
} as const;

/**
 * Links, routes, rules and sockets; programs in the kernel; and dnsmasq, which takes ports 53 and 67, then a user of its
 * own, whom fand ends.
 */
const KEPT = Object.entries(CAPABILITY)
  .filter(([name]) => name !== 'sysAdmin' && name !== 'dacReadSearch')
  .reduce((sum, [, number]) => sum + 2 ** number, 0);

export interface Privileges {
  /** Of this thread: the sum of 2 ** n. */
  readonly effective: bigint;
  readonly noNewPrivs: boolean;
}

/** From the text of /proc/PID/status. */
export function readPrivileges(status: string): Privileges {
  const field = (name: string) => new RegExp(`^${name}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1] ?? '0';
  return { effective: BigInt(`0x${field('CapEff')}`), noNewPrivs: field('NoNewPrivs') === '1' };
}

/** Run from the directory of a user who lets nobody in, fand must go on reading its own program. */
function kept(): number {
  const programs = [process.execPath, process.argv[1] ?? ''].map((path) => realpathSync(path));
  return programs.every(isOpenTo) ? KEPT : KEPT + 2 ** CAPABILITY.dacReadSearch;
}

/** Whether root without privileges gets there: every directory is root's, or lets others in. */
function isOpenTo(path: string): boolean {
  const stats = statSync(path);
  const bit = stats.uid === 0 ? 0o100 : 0o001;
  const enters = !stats.isDirectory() || (stats.mode & bit) !== 0;
  return enters && (path === '/' || isOpenTo(dirname(path)));
}

/**
 * Options of V8, which can be told so only as it begins: some ten seconds after any work it would collect garbage twice, on
 * all cores (60 ms), for 9 MB of 87. One that it does not know ends Node, so only those that do are told.
 */
function quiet(): string[] {
  return Number.parseInt(process.versions.node, 10) <= 24 ? ['--no-memory-reducer'] : [];
}

/** Whether there is anything to give up. */
export function isConfined({ effective, noNewPrivs }: Privileges): boolean {
  return noNewPrivs && (effective & ~BigInt(kept())) === 0n;
}

/**
 * Returns in a process that is confined, or was started so that it can't be: then what is to be said of it. Otherwise the
 * same program begins anew. Called before there are files, timers or threads of ours.
 */
export function confine(): string | undefined {
  const privileges = readPrivileges(readFileSync('/proc/self/status', 'latin1'));
  if (isConfined(privileges) || process.geteuid?.() !== 0) return undefined;
  const canUnshare = (privileges.effective & (1n << BigInt(CAPABILITY.sysAdmin))) !== 0n;
  const probe = canUnshare ? startIoProbe() : -1;
  const argv = [process.argv0, ...process.execArgv, ...quiet(), ...process.argv.slice(1)];
  try {
    native.confineAndExecute(process.execPath, argv, kept(), probe);
    return undefined;
  } catch (error) {
    dropIoProbe();
    return `fand keeps the privileges that it was started with: ${errorText(error)}`;
  }
}
