/**
 * fand.service: where systemd runs this host and the unit is installed, fand is started by it rather than by fanctl.
 * Started by fanctl it would belong to whatever called that, and end with it: a hook of networking.service, a session.
 */
import { execFile } from 'node:child_process';
import { existsSync, readlinkSync, realpathSync } from 'node:fs';
import { RUN_DIR } from './protocol.js';

const UNIT = 'fand.service';
const UNIT_DIRS = [
  '/etc/systemd/system',
  '/run/systemd/system',
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
];
/** What the unit runs. */
const PROGRAM = '/usr/sbin/fand';
const TIMEOUT_MS = 100_000;

/**
 * True once the unit's fand is ready. False where it is not ours to use: another run directory or network namespace
 * than the host's, a fanctl of another installation; or where it can't be started, and fanctl finds out why.
 */
export async function startFandUnit(runDir: string, fand: string): Promise<boolean> {
  if (runDir !== RUN_DIR || !isHostsOwn() || !isPackaged(fand)) return false;
  return new Promise((resolve) => {
    execFile('systemctl', ['start', UNIT], { timeout: TIMEOUT_MS }, (error) => resolve(error === null));
  });
}

function isHostsOwn(): boolean {
  try {
    return (
      existsSync('/run/systemd/system') &&
      readlinkSync('/proc/1/ns/net') === readlinkSync('/proc/self/ns/net')
    );
  } catch {
    return false;
  }
}

function isPackaged(fand: string): boolean {
  try {
    return (
      UNIT_DIRS.some((dir) => existsSync(`${dir}/${UNIT}`)) && realpathSync(PROGRAM) === realpathSync(fand)
    );
  } catch {
    return false;
  }
}
