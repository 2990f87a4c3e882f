/**
 * Files of the host's configuration: read, and replaced as a whole, so that a reader never sees half of one.
 */
import { randomUUID } from 'node:crypto';
import { chmod, chown, mkdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorText, FanError } from '../base/error.js';

/** The text of a file; undefined where there is none. Throws FanError config, not-root. */
export async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    if (code === 'EACCES') throw new FanError('not-root', `no permission on ${path}: run as root`, { cause });
    throw new FanError('config', `cannot read ${path}: ${errorText(cause)}`, { cause });
  }
}

/**
 * Keeps mode and owner, and follows a link; makes the file, and the directories above it, where there is none. Throws
 * FanError config, and the old file is there then.
 */
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
