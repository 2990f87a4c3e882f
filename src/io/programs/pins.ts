/**
 * Programs that outlive the process which attached them: their links have names in a file system of type bpf (bpffs), in
 * a directory a fan. Who comes next attaches its own beside them, then removes these names, and no packet is without.
 */
import { mkdirSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { native } from '../native.js';

/** bpffs allows no dot in a name. */
const OWN = `${process.pid}-`;

export class Pins {
  readonly #dir: string;

  /** `dir`: in a bpffs, made here. Throws an Error with {code} where that can't be. */
  constructor(dir: string) {
    this.#dir = dir;
    for (const each of [dirname(dir), dir]) mkdirIfMissing(each);
  }

  /** Throws an Error with {code, errno, syscall}. */
  add(name: string, link: number): void {
    const path = `${this.#dir}/${OWN}${name}`;
    // Of a process that had our number.
    rmSync(path, { force: true });
    native.programPin(link, path);
  }

  /** Of another process: its programs are detached once it is gone as well. */
  removeOthers(): void {
    this.#remove((name) => !name.startsWith(OWN));
  }

  removeOwn(): void {
    this.#remove((name) => name.startsWith(OWN));
    removeIfEmpty(this.#dir);
    removeIfEmpty(dirname(this.#dir));
  }

  #remove(which: (name: string) => boolean): void {
    for (const name of namesIn(this.#dir).filter(which)) rmSync(`${this.#dir}/${name}`, { force: true });
  }
}

/** What a fan has there, whoever made it; and the directory above, once it is empty. */
export function removePins(dir: string): void {
  for (const name of namesIn(dir)) rmSync(`${dir}/${name}`, { force: true });
  removeIfEmpty(dir);
  removeIfEmpty(dirname(dir));
}

/** Not what it stands in: that is a mount, or gone. */
function mkdirIfMissing(dir: string): void {
  try {
    mkdirSync(dir, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}

function removeIfEmpty(dir: string): void {
  try {
    rmdirSync(dir);
  } catch {
    // It is not there, or another fan's.
  }
}
