/**
 * Kernel settings under /proc/sys/net, of the network namespace that this process is in. Paths are files, not
 * dotted names: a device called "eth0.5" has a dot of its own.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { errorText, FanError } from '../base/error.js';
import { isNoted } from './rehearsal.js';

const ROOT = '/proc/sys/net';

/** The value as text, or undefined where the kernel has no such setting (no IPv6, no such device). */
export async function readSysctl(path: string): Promise<string | undefined> {
  try {
    return (await readFile(`${ROOT}/${path}`, 'latin1')).trim();
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}

/** Writes and reads back. Returns false where the kernel has no such setting; throws FanError step-failed. */
export async function writeSysctl(path: string, value: string): Promise<boolean> {
  if ((await readSysctl(path)) === undefined) {
    // In a rehearsal the device may not be there yet: those of its kind have the setting.
    const [family, , , ...setting] = path.split('/');
    const isOfKind = (await readSysctl([family, 'conf', 'default', ...setting].join('/'))) !== undefined;
    return isOfKind && isNoted('sysctl', '-qw', `net/${path}=${value}`);
  }
  if (isNoted('sysctl', '-qw', `net/${path}=${value}`)) return true;
  try {
    await writeFile(`${ROOT}/${path}`, value);
  } catch (cause) {
    if (isAbsence(cause)) return false;
    throw new FanError('step-failed', `cannot set ${ROOT}/${path} to ${value}: ${errorText(cause)}`, {
      cause,
    });
  }
  const now = await readSysctl(path);
  if (now === value || now === undefined) return now === value;
  throw new FanError('step-failed', `${ROOT}/${path} is ${now} after ${value} was written to it`);
}

/** Names of all devices with IPv4 settings, `all` and `default` included. */
export function ipv4Devices(): Promise<string[]> {
  return readdir(`${ROOT}/ipv4/conf`);
}

/** A fan carries IPv4 only: no link-local address, no router solicitation, no IPv6 at all on its devices. */
export async function disableIpv6(device: string): Promise<void> {
  await writeSysctl(`ipv6/conf/${device}/router_solicitations`, '0');
  await writeSysctl(`ipv6/conf/${device}/disable_ipv6`, '1');
}

function isAbsence(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOENT' || code === 'ENODEV';
}
