/**
 * The file of the fans of this host, /etc/network/fan: read, and replaced as a whole so that a reader never sees half of
 * it. Its text is config/fan-file.ts's.
 */
import { randomUUID } from 'node:crypto';
import { chmod, chown, mkdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorText, FanError } from '../base/error.js';

export function configPath(): string {
  return process.env.UFAN_CONFIG || '/etc/network/fan';
}

/** Its text; undefined where there is no such file. Throws FanError config, not-root. */
export async function readConfig(path = configPath()): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    if (code === 'EACCES') throw new FanError('not-root', `no permission on ${path}: run as root`, { cause });
    throw new FanError('config', `cannot read ${path}: ${errorText(cause)}`, { cause });
  }
}

/** Keeps mode and owner, and follows a link; makes the file where there is none. Throws FanError config. */
export async function writeConfig(text: string, path = configPath()): Promise<void> {
  const target = await realpath(path).catch(() => path);
  const draft = `${target}.${randomUUID().slice(0, 8)}.new`;
  try {
    await mkdir(dirname(target), { recursive: true, mode: 0o755 });
    const before = await stat(target).catch(() => undefined);
    await writeFile(draft, text, { mode: 0o644, flag: 'wx', flush: true });
    if (before) {
      await chmod(draft, before.mode & 0o7777);
      await chown(draft, before.uid, before.gid);
    }
    await rename(draft, target);
  } catch (cause) {
    await rm(draft, { force: true });
    throw new FanError('config', `cannot write ${path}: ${errorText(cause)}`, { cause });
  }
}
