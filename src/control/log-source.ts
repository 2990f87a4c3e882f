/** Where what fand says is to be read: its log file, or the journal where a service manager runs it. */
import { access, readFile } from 'node:fs/promises';
import { FanError } from '../base/error.js';
import { FandClient } from './client.js';
import type { RunPaths } from './protocol.js';

const UNIT = 'fand.service';
/** There where systemd is the init of this host (sd_booted(3)). */
const SYSTEMD = '/run/systemd/system';

/** The command that prints its last `lines`, and with `follow` those that come. Throws FanError daemon. */
export async function logCommand(paths: RunPaths, lines: number, follow: boolean): Promise<string[]> {
  const journal = ['journalctl', '-u', UNIT, '-o', 'cat', '-n', `${lines}`, ...(follow ? ['-f'] : [])];
  const status = await new FandClient(paths).status();
  if (status && (await isOfUnit(status.pid))) return journal;
  if (await isThere(paths.log)) return ['tail', '-n', `${lines}`, ...(follow ? ['-F'] : []), '--', paths.log];
  if (await isThere(SYSTEMD)) return journal;
  throw new FanError(
    'daemon',
    `there is no log: ${paths.log} comes with the first fanctl up, and goes with the last down`,
  );
}

async function isOfUnit(pid: number): Promise<boolean> {
  const groups = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '');
  return groups.includes(`/${UNIT}`);
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
