/**
 * The run directory where fanctl makes it: that one goes again with the last fan, one that was there before stays.
 *
 * Which it is stands in its mode, the sticky bit, as that comes with the directory in one call: a fanctl that is killed
 * leaves none that nobody knows for ours, and of several at once each knows it.
 */
import { lstat, mkdir, rmdir } from 'node:fs/promises';
import { errorText, FanError } from '../base/error.js';
import { requireOwnDir } from '../base/own-files.js';
import { unmountPins } from '../host/pin-dir.js';
import type { RunPaths } from './protocol.js';

const STICKY = 0o1000;
/** For others than the owner: such a one is not of our making. */
const WRITABLE = 0o022;

/** True where the directory is of fanctl's making, now or before. Throws FanError daemon, also where it is not root's alone. */
export async function makeRunDir({ dir }: RunPaths): Promise<boolean> {
  await requireOwnDir(dir);
  try {
    await mkdir(dir, { recursive: true, mode: STICKY | 0o755 });
  } catch (cause) {
    throw new FanError('daemon', `cannot make ${dir}: ${errorText(cause)}`, { cause });
  }
  return isMade(dir);
}

/** Removes a directory of fanctl's making that has no files, and what else fanctl made for a fand, where it is empty. */
export async function removeRunDir({ dir }: RunPaths): Promise<void> {
  await unmountPins();
  if (await isMade(dir)) await rmdir(dir).catch(() => undefined);
}

async function isMade(dir: string): Promise<boolean> {
  return lstat(dir).then(
    ({ mode }) => (mode & (STICKY | WRITABLE)) === STICKY,
    () => false,
  );
}
