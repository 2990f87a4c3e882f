/**
 * Files in a directory that is ours alone: the only place where fand, which is root, writes by name. In a directory
 * that others may write in, a name is theirs to bend: a link of theirs has root's files truncated.
 *
 * "Ours" is root's, or of whoever runs this; in a user namespace also of who has "/", who can do everything there anyway.
 * Nothing here follows a link in the last place of a path, waits on a FIFO, or reads more than it is told.
 */
import type { Stats } from 'node:fs';
import { constants, type FileHandle, lstat, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { errorText, FanError } from './error.js';

const STICKY = 0o1000;
/** For others than the owner. */
const WRITABLE = 0o022;
const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

/**
 * Throws FanError daemon where somebody else can put files into `dir`, or another directory in its place. What is not
 * there yet is no fault: whoever makes it does so in a parent that was looked at.
 */
export async function requireOwnDir(dir: string): Promise<void> {
  const path = resolve(dir);
  const self = await lstatOrNone(path);
  if (self && !self.isDirectory()) {
    throw refusal(dir, self.isSymbolicLink() ? 'it is a symbolic link' : 'it is no directory');
  }
  if (self && !isOurs(self)) throw refusal(dir, `it belongs to user ${self.uid}`);
  if (self && (self.mode & WRITABLE) !== 0) {
    throw refusal(dir, `others may write in it (mode ${(self.mode & 0o7777).toString(8)})`);
  }
  const roots = await stat('/');
  for (const parent of await parentsOf(path)) {
    const { uid, mode } = await lstat(parent);
    if (!isOurs({ uid }) && uid !== roots.uid) throw refusal(dir, `${parent} belongs to user ${uid}`);
    const isLink = (mode & constants.S_IFMT) === constants.S_IFLNK;
    if (!isLink && (mode & WRITABLE) !== 0 && (mode & STICKY) === 0) {
      throw refusal(dir, `others may write in ${parent}`);
    }
  }
}

function refusal(dir: string, why: string): FanError {
  return new FanError(
    'daemon',
    `${dir} is not root's alone: ${why}; set UFAN_RUN_DIR (of leases UFAN_STATE_DIR) to a directory of root's, ` +
      'mode 0755, in one where nobody else can replace it',
  );
}

/** Every directory above `path` that is there, as it is written and as it is; links among them too. */
async function parentsOf(path: string): Promise<Set<string>> {
  const parents = new Set<string>();
  const climb = (from: string): void => {
    for (let at = from; ; at = dirname(at)) {
      parents.add(at);
      if (at === '/') return;
    }
  };
  let nearest = dirname(path);
  while (!(await lstatOrNone(nearest))) nearest = dirname(nearest);
  climb(nearest);
  climb(await realpath(nearest).catch(() => nearest));
  return parents;
}

function isOurs({ uid }: { uid: number }): boolean {
  return uid === 0 || uid === process.geteuid?.();
}

async function lstatOrNone(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new FanError('daemon', `cannot look at ${path}: ${errorText(cause)}`, { cause });
  }
}

/**
 * The text of a file of ours; undefined where there is none. Throws FanError daemon for what is somebody else's, is no
 * plain file or is longer than `mostBytes`; other errors as they are.
 */
export function readOwnFile(path: string, mostBytes: number): Promise<string | undefined> {
  return readChecked(path, mostBytes, requireOurs);
}

/** The same of a file in a directory of ours that a program of ours owns: dnsmasq gives up root, and takes its files along. */
export function readPlainFile(path: string, mostBytes: number): Promise<string | undefined> {
  return readChecked(path, mostBytes, requirePlain);
}

async function readChecked(
  path: string,
  mostBytes: number,
  check: (path: string, found: Stats) => void,
): Promise<string | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    if (code === 'ELOOP') throw notOurs(path, 'a symbolic link');
    throw cause;
  }
  try {
    const found = await file.stat();
    check(path, found);
    if (found.size > mostBytes)
      throw notOurs(path, `${found.size} bytes long, at most ${mostBytes} are read`);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

/** Opened to append, made where it is not there. Throws FanError daemon for a file of somebody else's. */
export async function openOwnLog(path: string, mode: number): Promise<FileHandle> {
  const file = await open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, mode).catch(
    (cause: NodeJS.ErrnoException) => {
      throw cause.code === 'ELOOP' ? notOurs(path, 'a symbolic link') : cause;
    },
  );
  try {
    requireOurs(path, await file.stat());
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

function requirePlain(path: string, found: Stats): void {
  if (!found.isFile()) throw notOurs(path, 'no plain file');
}

function requireOurs(path: string, found: Stats): void {
  requirePlain(path, found);
  if (!isOurs(found)) throw notOurs(path, `of user ${found.uid}`);
  if (found.nlink > 1) throw notOurs(path, 'a hard link');
}

function notOurs(path: string, what: string): FanError {
  return new FanError('daemon', `${path} is not a file of fand's, it is ${what}: move it away`);
}

/** A new file of this name, whatever had it; nothing that the name led to is touched. */
export async function writeNewFile(path: string, text: string, mode: number): Promise<void> {
  await rm(path, { force: true });
  const file = await open(path, 'wx', mode);
  try {
    await file.writeFile(text);
  } finally {
    await file.close();
  }
}

/** By rename: a reader finds the old text or the new one, never half of it. */
export async function replaceFile(path: string, text: string, mode: number): Promise<void> {
  await writeNewFile(`${path}.new`, text, mode);
  await rename(`${path}.new`, path);
}
