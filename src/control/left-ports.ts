/**
 * The ports that a `down --force` left without a bridge, for the next `up` of the same slice to plug in again. They
 * stand in a file of the state directory, as nothing else of the fan is left then.
 */
import { mkdir, rm, rmdir } from 'node:fs/promises';
import { errorText, FanError } from '../base/error.js';
import { readOwnFile, replaceFile, requireOwnDir } from '../base/own-files.js';
import type { Port } from '../host/bridge-ports.js';
import { leftPortsFault } from './state-shape.js';

/** By slice, "250.0.28.0/24". */
type LeftBySlice = Record<string, Port[]>;

const MOST_BYTES = 16 << 20;

export class LeftPorts {
  readonly #dir: string;
  readonly #path: string;

  constructor(stateDir: string) {
    this.#dir = stateDir;
    this.#path = `${stateDir}/left-ports.json`;
  }

  /** Throws FanError daemon where the file can't be written. */
  async remember(slice: string, ports: readonly Port[]): Promise<void> {
    const kept = ports.map(({ name, index, hardwareAddress }) => ({ name, index, hardwareAddress }));
    await this.#write({ ...(await this.#read()), [slice]: kept });
  }

  /** Those of a slice; none where nothing is known of it. */
  async of(slice: string): Promise<readonly Port[]> {
    return (await this.#read())[slice] ?? [];
  }

  async forget(slice: string): Promise<void> {
    const { [slice]: gone, ...others } = await this.#read();
    if (gone) await this.#write(others);
  }

  /** Removes the state directory where nothing is in it. */
  async removeEmpty(): Promise<void> {
    await rmdir(this.#dir).catch(() => undefined);
  }

  async #read(): Promise<LeftBySlice> {
    try {
      const left: unknown = JSON.parse((await readOwnFile(this.#path, MOST_BYTES)) ?? '{}');
      if (leftPortsFault(left) === undefined) return left as LeftBySlice;
    } catch {
      // As of one that says what no fand writes.
    }
    // None, or damaged: the containers are plugged in by hand then.
    return {};
  }

  async #write(left: LeftBySlice): Promise<void> {
    try {
      if (Object.keys(left).length === 0) return await rm(this.#path, { force: true });
      await requireOwnDir(this.#dir);
      await mkdir(this.#dir, { recursive: true, mode: 0o755 });
      await replaceFile(this.#path, `${JSON.stringify(left, null, 2)}\n`, 0o644);
    } catch (cause) {
      throw new FanError('daemon', `cannot write ${this.#path}: ${errorText(cause)}`, { cause });
    }
  }
}
