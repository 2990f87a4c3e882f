/**
 * The state file: what fand did to the host and for whom, written before each step, so that the next fand (or
 * `fanctl show`) knows it after a crash. Replaced by rename: a reader never sees half of it.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { FanError } from '../base/error.js';
import { replaceFile } from '../base/own-files.js';
import type { FanPlan } from '../host/steps/fan-steps.js';
import type { StepRecord } from '../host/steps/step.js';
import type { FanView, UpRequest } from './protocol.js';

/** A fan as recorded: `view.state` is what it was when the file was written. */
export interface FanRecord {
  id: string;
  view: FanView;
  request: UpRequest;
  plan: FanPlan;
  steps: StepRecord[];
  /** False while its `up` is under way: a fand that dies then leaves a part, which the next one undoes. */
  complete: boolean;
}

export interface State {
  version: 1;
  /** Steps that all fans share, such as ip_forward; undone with the last fan. */
  host: StepRecord[];
  fans: FanRecord[];
  /** The run directory came with the first `up` and goes with the last `down`. */
  removeRunDir: boolean;
}

export class StateStore {
  readonly #path: string;
  #writes: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
  }

  /** The recorded state; an empty one where there is no file. Throws FanError daemon for a file that can't be read. */
  async load(): Promise<State> {
    const text = await readFile(this.#path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (text === undefined) return { version: 1, host: [], fans: [], removeRunDir: false };
    try {
      return JSON.parse(text) as State;
    } catch (cause) {
      throw new FanError(
        'daemon',
        `${this.#path} is no state file of fand: move it away and run "fanctl up" again`,
        {
          cause,
        },
      );
    }
  }

  get isThere(): boolean {
    return existsSync(this.#path);
  }

  /** Makes the run directory again where somebody removed it. */
  save(state: State): Promise<void> {
    const text = `${JSON.stringify(state, null, 2)}\n`;
    const write = this.#writes.then(async () => {
      await mkdir(dirname(this.#path), { recursive: true, mode: 0o755 });
      await replaceFile(this.#path, text, 0o644);
    });
    // One that failed, of which its caller hears, is no reason for the next to fail.
    this.#writes = write.catch(() => undefined);
    return write;
  }

  async remove(): Promise<void> {
    await this.#writes;
    await rm(this.#path, { force: true });
  }
}
