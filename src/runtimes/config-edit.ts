/**
 * An edit of a runtime's own configuration that can be undone: a copy of the file as it was is kept, and comes back byte
 * for byte as long as nobody else changed the file; else only what was ours is taken out.
 */
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, rm, rmdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { readText, replaceFile } from '../host/text-file.js';

export interface Edit {
  readonly path: string;
  /** The copy of the file as it was; absent where there was none. */
  readonly backup?: string;
  /** SHA-256 of what we wrote. */
  readonly sha256: string;
  /** The directories that we made for it, the innermost first. */
  readonly madeDirs: readonly string[];
}

/** Writes what `change` makes of the text of the file, after copying the file to `backup`. Throws FanError config. */
export async function editFile(
  path: string,
  backup: string,
  change: (text: string | undefined) => string,
): Promise<Edit> {
  const before = await readText(path);
  const text = change(before);
  const madeDirs = await missingDirs(dirname(path));
  if (before !== undefined) {
    await mkdir(dirname(backup), { recursive: true, mode: 0o755 });
    await copyFile(path, backup);
  }
  await replaceFile(path, text);
  return { path, sha256: hashOf(text), madeDirs, ...(before !== undefined && { backup }) };
}

/**
 * `remove` takes what was ours out of a text that others changed since; it gets what stood there before, too, and
 * returns undefined where nothing is left that a file is needed for. Throws FanError config.
 */
export async function undoEdit(
  { path, backup, sha256, madeDirs }: Edit,
  remove: (text: string, before: string | undefined) => string | undefined,
): Promise<void> {
  const now = await readFile(path).catch(() => undefined);
  const before = backup === undefined ? undefined : await readFile(backup).catch(() => undefined);
  if (now) {
    const left = hashOf(now) === sha256 ? before : remove(now.toString('utf8'), before?.toString('utf8'));
    if (left === undefined) await rm(path, { force: true });
    else await replaceFile(path, left);
  }
  if (backup !== undefined) await rm(backup, { force: true });
  // One that somebody else uses by now stays.
  for (const dir of madeDirs) await rmdir(dir).catch(() => undefined);
}

async function missingDirs(dir: string): Promise<string[]> {
  const missing: string[] = [];
  for (let at = dir; !(await stat(at).catch(() => undefined)); at = dirname(at)) missing.push(at);
  return missing;
}

function hashOf(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
