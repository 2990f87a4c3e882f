/**
 * The state file: what fand did to the host and for whom, written before each step, so that the next fand (or
 * `fanctl show`) knows it after a crash. Replaced by rename: a reader never sees half of it.
 */
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorText, FanError } from '../base/error.js';
import { readOwnFile, replaceFile } from '../base/own-files.js';
import type { FanPlan } from '../host/steps/fan-steps.js';
import type { StepRecord } from '../host/steps/step.js';
import type { FanView, UpRequest } from './protocol.js';
import { stateFault } from './state-shape.js';

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

/** Of a host with thousands of fans. */
export const MOST_BYTES = 64 << 20;

export class StateStore {
  readonly #path: string;
  #writes: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * The recorded state; an empty one where there is no file. Throws FanError daemon for a file that can't be read, or
   * names what no fand would have: by that nothing is undone.
   */
  async load(): Promise<State> {
    const text = await readOwnFile(this.#path, MOST_BYTES);
    if (text === undefined) return { version: 1, host: [], fans: [], removeRunDir: false };
    let state: unknown;
    try {
      state = JSON.parse(text);
    } catch (cause) {
      throw this.#refusal(errorText(cause), cause);
    }
    const fault = stateFault(state);
    if (fault !== undefined) throw this.#refusal(`${fault} is not what fand writes`);
    return state as State;
  }

  #refusal(why: string, cause?: unknown): FanError {
    const message = `${this.#path} is no state file of fand: move it away and run "fanctl up" again (${why})`;
    return new FanError('daemon', message, { cause });
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
