/**
 * Child processes of the host layer: iproute2, nft, dnsmasq, iptables-legacy. Never a shell: device names may hold
 * any character, so each argument goes to the program as it is.
 *
 * A failure is a FanError whose text holds the command and what it wrote to stderr; a program that is not there
 * names the Debian package that has it.
 */
import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { FanError } from '../base/error.js';
import { isNoted } from './rehearsal.js';

const PACKAGES: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  tc: 'iproute2',
  ethtool: 'ethtool',
  nft: 'nftables',
  dnsmasq: 'dnsmasq-base',
  'iptables-legacy': 'iptables',
  arping: 'iputils-arping',
};

/** A host with thousands of links or rules lists some megabytes. */
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;
const TIMEOUT_MS = 60_000;
/** Characters of a command in an error: enough to tell which, without a ruleset in JSON. */
const MAX_SHOWN = 100;

/** A service or a login without root's PATH lacks sbin, and messages are read in the C locale. */
const ENVIRONMENT = {
  ...process.env,
  LC_ALL: 'C',
  PATH: searchPath(process.env.PATH),
};

/** Which calls of a program only read: all others may change the host. */
const READING: Readonly<Record<string, (args: readonly string[]) => boolean>> = {
  ip: ([first]) => first === '-json',
  nft: (args) => args.includes('list'),
  'iptables-legacy': (args) => args.includes('-S') || args.includes('-C'),
  tc: ([first]) => first === '-json',
  lsns: () => true,
  nsenter: (args) => args.includes('-json'),
};

/**
 * Runs `command` and returns its stdout; in a rehearsal, one that may change the host is noted. Throws FanError unsupported where the program is
 * missing, step-failed where it exits with another status than `statuses` has.
 */
export function run(
  command: string,
  args: readonly string[],
  statuses: readonly number[] = [0],
): Promise<string> {
  const isReading = READING[command]?.(args) ?? false;
  if (!isReading && isNoted(command, ...args)) return Promise.resolve('');
  return new Promise((resolve, reject) => {
    const options = { env: ENVIRONMENT, maxBuffer: MAX_OUTPUT_BYTES, timeout: TIMEOUT_MS };
    const child = execFile(command, [...args], options, (error, stdout, stderr) => {
      const isFine = !error || statuses.includes(Number(error.code));
      if (!isFine) reject(failure(command, args, error, stderr));
      else resolve(stdout);
    });
    // `lxc launch` waits for more on an input that is open. One that can't be started has an input all the same.
    child.stdin?.on('error', () => {}).end();
  });
}

/** Absolute directories only, `path`'s first: an empty or relative one is the working directory, where anybody may write. */
export function searchPath(path = ''): string {
  const own = path.split(':').filter((directory) => directory.startsWith('/'));
  return [...own, '/usr/sbin', '/sbin', '/usr/bin', '/bin'].join(':');
}

/** Runs an iproute2 command with `-json`. The text is checked by whoever reads the fields. */
export async function ipJson<Row>(args: readonly string[]): Promise<Row[]> {
  const text = (await run('ip', ['-json', ...args])).trim();
  return text === '' ? [] : (JSON.parse(text) as Row[]);
}

/** Whether there is such a program where run() looks for it. */
export async function isInstalled(command: string): Promise<boolean> {
  const places = ENVIRONMENT.PATH.split(':').map((directory) => join(directory, command));
  const found = await Promise.allSettled(places.map((place) => access(place, constants.X_OK)));
  return found.some(({ status }) => status === 'fulfilled');
}

function failure(
  command: string,
  args: readonly string[],
  cause: Error & { code?: unknown },
  stderr: string,
) {
  if (cause.code === 'ENOENT') {
    const name = PACKAGES[command] ?? command;
    return new FanError('unsupported', `${command} is not installed: apt-get install ${name}`, { cause });
  }
  const said = stderr.trim().replace(/\s*\n\s*/g, '; ') || cause.message;
  const line = [command, ...args].join(' ');
  const shown = line.length > MAX_SHOWN ? `${line.slice(0, MAX_SHOWN)}…` : line;
  return new FanError('step-failed', `${shown}: ${said}`, { cause });
}
