/**
 * The run directory, as the one fand holds it that has its lock: taken before anything else, released after all else.
 *
 * The lock is flock(2) on fand.lock and goes with the process, however that ends. A lock on a file that is no longer
 * in the directory keeps nobody out, so it counts only while the name still leads to it. The directory is root's alone
 * (base/own-files.ts), or it is not taken.
 */
import { closeSync, fstatSync, statSync } from 'node:fs';
import { mkdir, rm, rmdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorText, FanError } from '../base/error.js';
import { replaceFile, requireOwnDir, writeNewFile } from '../base/own-files.js';
import { native } from '../io/native.js';
import { readPidFile } from './process-end.js';
import type { RunPaths } from './protocol.js';

/** A fand that leaves removes its lock file, and perhaps the directory, while the next one comes. */
const ATTEMPTS = 50;
const RETRY_MS = 10;

/** Another fand holds the run directory. */
export class Locked extends FanError {}

export class RunDir {
  readonly paths: RunPaths;
  #lock: number;

  private constructor(paths: RunPaths, lock: number) {
    this.paths = paths;
    this.#lock = lock;
  }

  /** Makes the directory, locks it and writes the pid file. Throws Locked, or FanError daemon. */
  static async take(paths: RunPaths): Promise<RunDir> {
    await requireOwnDir(paths.dir);
    await requireOwnDir(paths.stateDir);
    const runDir = new RunDir(paths, await takeLock(paths));
    await writeNewFile(paths.pid, `${process.pid}\n`, 0o644).catch(async (cause) => {
      await runDir.release([], false);
      throw new FanError('daemon', `cannot write ${paths.pid}: ${errorText(cause)}`, { cause });
    });
    return runDir;
  }

  /**
   * Goes on with the lock that another process has: `lock` is a descriptor of the same open file, which keeps others out
   * until both have closed it. The pid file stays as it is until announce(). Throws FanError daemon.
   */
  static async inherit(paths: RunPaths, lock: number): Promise<RunDir> {
    await requireOwnDir(paths.dir);
    await requireOwnDir(paths.stateDir);
    if (isAt(lock, paths.lock)) return new RunDir(paths, lock);
    throw new FanError('daemon', `${paths.lock} is not the file that fand had locked`);
  }

  /** Writes the pid file: this process is who answers here. */
  async announce(): Promise<void> {
    await replaceFile(this.paths.pid, `${process.pid}\n`, 0o644);
  }

  /** For inherit(). */
  get lock(): number {
    return this.#lock;
  }

  /** Whether the lock still keeps others out: false once somebody removed its file, or the directory. */
  get isOurs(): boolean {
    return isAt(this.#lock, this.paths.lock);
  }

  /** Takes a directory that was removed anew. Throws Locked where another fand was faster. */
  async retake(): Promise<void> {
    const old = this.#lock;
    this.#lock = (await RunDir.take(this.paths)).#lock;
    closeSync(old);
  }

  /** Removes `files`, then pid and lock; `whole`: the directory too, unless something else has its files there. */
  async release(files: readonly string[], whole: boolean): Promise<void> {
    // The lock last: until then nobody else puts files of these names there.
    for (const file of [...files, this.paths.pid, this.paths.lock]) await rm(file, { force: true });
    if (whole) await rmdir(this.paths.dir).catch(() => undefined);
  }
}

async function takeLock(paths: RunPaths): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    try {
      await mkdir(paths.dir, { recursive: true, mode: 0o755 });
      const fd = native.lockFile(paths.lock);
      if (isAt(fd, paths.lock)) return fd;
      closeSync(fd);
    } catch (cause) {
      const { code = '' } = cause as { code?: string };
      if (code === 'EWOULDBLOCK' || code === 'EAGAIN') throw await lockedBy(paths);
      if (code !== 'ENOENT' || attempt === ATTEMPTS) {
        throw new FanError('daemon', `cannot lock ${paths.lock}: ${errorText(cause)}`, { cause });
      }
    }
    if (attempt === ATTEMPTS) throw await lockedBy(paths);
    await sleep(RETRY_MS);
  }
}

async function lockedBy(paths: RunPaths): Promise<Locked> {
  const pid = (await readPidFile(paths.pid)) ?? '?';
  return new Locked('in-use', `another fand (pid ${pid.trim()}) runs on ${paths.dir}`);
}

/** Whether the open file is the one that `path` names. */
export function isAt(fd: number, path: string): boolean {
  const file = fstatSync(fd);
  const named = statSync(path, { throwIfNoEntry: false });
  return named !== undefined && named.ino === file.ino && named.dev === file.dev;
}
