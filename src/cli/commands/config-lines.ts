/** What `up -a`, `down -a` and `config` share: the file, and what is said of lines of it that fail. */
import { errorText, FanError } from '../../base/error.js';
import { type FanFile, parseFanFile } from '../../config/fan-file.js';
import { configPath, readConfig } from '../../control/config-file.js';
import { printError } from '../output/output.js';

export interface OpenConfig extends FanFile {
  readonly path: string;
  /** Empty where there is no file. */
  readonly text: string;
  readonly exists: boolean;
  /** "/etc/network/fan:3" */
  placeOf(line: number): string;
}

/** Throws FanError config, not-root where it can't be read; one that is not there is empty. */
export async function openConfig(): Promise<OpenConfig> {
  const path = configPath();
  const text = await readConfig(path);
  const placeOf = (line: number): string => `${path}:${line}`;
  return { path, text: text ?? '', exists: text !== undefined, placeOf, ...parseFanFile(text ?? '') };
}

/** One line after another: each that fails is told at once, with its place, and all of them by the exit status. */
export class LineFailures {
  readonly #places: string[] = [];

  /** Tells the lines that are none of a fan. */
  tellFaults({ faults, placeOf }: OpenConfig): void {
    for (const { line, column, message } of faults) this.#tell(`${placeOf(line)}:${column}`, message);
  }

  /** Returns what `act` does; undefined where it failed, which is told. */
  async attempt<T>(place: string, act: () => Promise<T>): Promise<T | undefined> {
    try {
      return await act();
    } catch (error) {
      this.#tell(place, errorText(error));
      return undefined;
    }
  }

  /** Throws FanError config where any failed. */
  throwIfAny(): void {
    if (this.#places.length === 0) return;
    throw new FanError('config', `see above for ${this.#places.join(', ')}: all others are fine`);
  }

  #tell(place: string, message: string): void {
    this.#places.push(place);
    printError(`${place}: ${message}`);
  }
}
