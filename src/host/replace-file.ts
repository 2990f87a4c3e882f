/**
 * A file replaced as a whole, so that a reader never sees half of it: mode and owner stay, and a link is followed.
 */
import { randomUUID } from 'node:crypto';
import { chmod, chown, mkdir, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorText, FanError } from '../base/error.js';

/** Makes the file, and the directories above it, where there is none. Throws FanError config; the old file is there then. */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  const target = await realpath(path).catch(() => path);
  const draft = `${target}.${randomUUID().slice(0, 8)}.new`;
  try {
    await mkdir(dirname(target), { recursive: true, mode: 0o755 });
    const before = await stat(target).catch(() => undefined);
    await writeFile(draft, content, { mode: 0o644, flag: 'wx', flush: true });
    if (before) {
      await chmod(draft, before.mode & 0o7777);
      await chown(draft, before.uid, before.gid);
    }
    await rename(draft, target);
  } catch (cause) {
    await rm(draft, { force: true }).catch(() => undefined);
    throw new FanError('config', `cannot write ${path}: ${errorText(cause)}`, { cause });
  }
}
