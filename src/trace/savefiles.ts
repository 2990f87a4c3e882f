/**
 * The files of a capture: one, or one after the other by size (-C), by time (-G), and only so many (-W), named as
 * tcpdump names them. Each is a capture by itself, with a beginning and an end.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { errorText, FanError } from '../base/error.js';
import { formatTime, isTimed } from './time-format.js';

export interface Rotation {
  /** Bytes after which the next packet begins another file. */
  readonly bytes?: number;
  /** Files that there are at most: by size they begin again with the first, by time the capture ends. */
  readonly files?: number;
  readonly seconds?: number;
}

/** What begins and ends each file. */
export interface Frame {
  begin(): Uint8Array;
  end(): Uint8Array;
}

/** What -C, -G, -W and the name must say together. Throws FanError usage. */
export function checkRotation(file: string, { bytes, files, seconds }: Rotation): void {
  const isRotated = bytes !== undefined || seconds !== undefined;
  if (files !== undefined && !isRotated) throw usage('-W counts the files of -C or -G: give one of them');
  if (files !== undefined && bytes !== undefined && seconds !== undefined) {
    throw usage('-W counts the files of -C or of -G: give it with one of them');
  }
  if (file === '-' && isRotated) throw usage('-C and -G need a file: standard output is one stream');
  // One file of limited time needs no name of its own.
  if (seconds !== undefined && files !== 1 && bytes === undefined && !isTimed(file)) {
    throw usage(
      `-G would write each file over the last: say the time in its name, such as -w ${file}-%H%M%S`,
    );
  }
  if (seconds !== undefined) formatTime(file, new Date(0));
}

export class Savefiles {
  readonly #file: string;
  readonly #rotation: Rotation;
  readonly #frame: Frame;
  readonly #startMs: number;
  #fd: number | undefined;
  #size = 0;
  /** Of -C, from 0, and of -G. */
  #number = 0;
  #period = 0;
  #pending: Uint8Array[] = [];

  /** Opens the first one, replaced where it is there. Throws FanError usage. `nowMs`: since 1970. */
  constructor(file: string, rotation: Rotation, frame: Frame, nowMs = Date.now()) {
    this.#file = file;
    this.#rotation = rotation;
    this.#frame = frame;
    this.#startMs = nowMs;
    this.#open();
  }

  /** Writes whole blocks, each into one file; true: it can go on. Throws FanError step-failed. */
  write(blocks: readonly Uint8Array[], nowMs = Date.now()): boolean {
    for (const block of blocks) {
      if (this.#isDue(nowMs)) {
        this.#close();
        this.#open();
      }
      this.#pending.push(block);
      this.#size += block.length;
    }
    this.#flush();
    return true;
  }

  /** Ends the last one. */
  close(): void {
    if (this.#fd !== undefined) this.#close();
  }

  /** Moves on to the next name where it is time for it. */
  #isDue(nowMs: number): boolean {
    const { bytes, files, seconds } = this.#rotation;
    if (seconds !== undefined) {
      const period = Math.floor((nowMs - this.#startMs) / 1000 / seconds);
      // What still comes after the last one has its end.
      if (period > this.#period && (files === undefined || period < files)) {
        this.#period = period;
        this.#number = 0;
        return true;
      }
    }
    if (bytes === undefined || this.#size <= bytes) return false;
    this.#number = files === undefined ? this.#number + 1 : (this.#number + 1) % files;
    return true;
  }

  #open(): void {
    const name = this.#name();
    try {
      this.#fd = openSync(name, 'w', 0o600);
    } catch (cause) {
      throw usage(`cannot write ${name}: ${errorText(cause)}`, cause);
    }
    const begin = this.#frame.begin();
    this.#pending = [begin];
    this.#size = begin.length;
    this.#flush();
  }

  /** As planned, not as late as a packet came: no two periods begin in one second, which would give them one name. */
  #periodStart(seconds: number): number {
    return this.#startMs + this.#period * seconds * 1000;
  }

  #name(): string {
    const { bytes, files, seconds } = this.#rotation;
    const file =
      seconds === undefined ? this.#file : formatTime(this.#file, new Date(this.#periodStart(seconds)));
    if (bytes === undefined) return file;
    if (files !== undefined) return `${file}${`${this.#number}`.padStart(`${files - 1}`.length, '0')}`;
    return this.#number === 0 ? file : `${file}${this.#number}`;
  }

  #close(): void {
    const fd = this.#fd!;
    try {
      this.#pending.push(this.#frame.end());
      this.#flush();
    } finally {
      this.#fd = undefined;
      closeSync(fd);
    }
  }

  #flush(): void {
    if (this.#pending.length === 0) return;
    const bytes = Buffer.concat(this.#pending);
    this.#pending = [];
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd!, bytes, done);
    } catch (cause) {
      throw new FanError('step-failed', `cannot write ${this.#file}: ${errorText(cause)}`, { cause });
    }
  }
}

function usage(text: string, cause?: unknown): FanError {
  return new FanError('usage', text, { cause });
}
