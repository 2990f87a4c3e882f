/**
 * What fanatic set up and has not undone yet, in a file of the state directory: so that it is done once, undone exactly,
 * and no fan is taken from under a runtime.
 */
import { readFile, rm, rmdir } from 'node:fs/promises';
import { errorText, FanError } from '../base/error.js';
import { replaceFile } from '../host/text-file.js';
import type { Entry } from './runtime.js';

interface LedgerFile {
  readonly version: 1;
  readonly entries: readonly Entry[];
}

/** Which fan, in text as config/ has it. */
export interface FanName {
  readonly overlay: string;
  readonly underlay: string;
}

export class Ledger {
  /** For copies of the files that were edited. */
  readonly backups: string;
  readonly #path: string;
  #entries: readonly Entry[];

  private constructor(dir: string, entries: readonly Entry[]) {
    this.#path = pathIn(dir);
    this.backups = `${dir}/backups`;
    this.#entries = entries;
  }

  /** Throws FanError config where it can't be read. */
  static async open(stateDir: string): Promise<Ledger> {
    const path = pathIn(stateDir);
    try {
      const { version, entries } = JSON.parse(await readFile(path, 'utf8')) as LedgerFile;
      if (version !== 1) throw new Error('it is from another version of ufan');
      return new Ledger(stateDir, entries);
    } catch (cause) {
      if (['ENOENT', 'ENOTDIR'].includes((cause as NodeJS.ErrnoException).code ?? '')) {
        return new Ledger(stateDir, []);
      }
      throw new FanError('config', `cannot read ${path}: ${errorText(cause)}`, { cause });
    }
  }

  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** Of one fan, and perhaps of one runtime. */
  of({ overlay, underlay }: FanName, runtime?: string): readonly Entry[] {
    return this.#entries.filter(
      (entry) =>
        entry.overlay === overlay &&
        entry.underlay === underlay &&
        (runtime === undefined || entry.runtime === runtime),
    );
  }

  add(entry: Entry): Promise<void> {
    return this.#write([...this.#entries, entry]);
  }

  remove(entry: Entry): Promise<void> {
    return this.#write(this.#entries.filter((one) => one !== entry));
  }

  /**
   * Without an entry nothing of it is left. The directory stays: systemd has mounted it for fand (StateDirectory), which
   * could write no lease any more.
   */
  async #write(entries: readonly Entry[]): Promise<void> {
    const file: LedgerFile = { version: 1, entries };
    if (entries.length > 0) await replaceFile(this.#path, `${JSON.stringify(file, undefined, 2)}\n`);
    else {
      await rm(this.#path, { force: true });
      await rmdir(this.backups).catch(() => undefined);
    }
    this.#entries = entries;
  }
}

const pathIn = (dir: string): string => `${dir}/runtimes.json`;
