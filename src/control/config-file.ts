/**
 * The file of the fans of this host, /etc/network/fan: read, and replaced as a whole. Its text is
 * config/fan-file.ts's.
 */
import { readFile } from 'node:fs/promises';
import { errorText, FanError } from '../base/error.js';
import { replaceFile } from '../host/replace-file.js';

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
export function writeConfig(text: string, path = configPath()): Promise<void> {
  return replaceFile(path, text);
}
