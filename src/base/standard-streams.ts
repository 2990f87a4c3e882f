/**
 * Standard output and standard error of programs that print little and end: written to at once, as Node's streams take
 * longer to load than such a program to run. What waits for a reader, or hears that it has gone, asks for the stream;
 * from then on everything goes by it.
 */
import { fstatSync, writeSync } from 'node:fs';

/** /dev/null and the like, which are character devices as terminals are. */
const MEMORY_DEVICES = 1;

class StandardStream {
  /** What is told of an error; that nobody reads any more is none. */
  onError: (error: Error) => void = () => {};
  readonly #fd: number;
  readonly #open: () => NodeJS.WriteStream;
  #stream: NodeJS.WriteStream | undefined;
  #isGone = false;

  constructor(fd: number, open: () => NodeJS.WriteStream) {
    this.#fd = fd;
    this.#open = open;
  }

  /** Nothing is thrown, and nothing said where it has failed before. */
  write(text: string): void {
    if (this.#stream || this.#isGone) {
      this.#stream?.write(text);
      return;
    }
    let rest: Uint8Array = Buffer.from(text);
    try {
      while (rest.length > 0) rest = rest.subarray(writeSync(this.#fd, rest));
    } catch (error) {
      // Others have set it so that nothing waits for a reader that is slow.
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') this.stream.write(rest);
      else this.#fail(error as NodeJS.ErrnoException);
    }
  }

  get stream(): NodeJS.WriteStream {
    this.#stream ??= this.#open().on('error', (error) => this.#fail(error));
    return this.#stream;
  }

  #fail(error: NodeJS.ErrnoException): void {
    this.#isGone = true;
    if (error.code !== 'EPIPE') this.onError(error);
  }
}

export const stdout = new StandardStream(1, () => process.stdout);
export const stderr = new StandardStream(2, () => process.stderr);

/** Whether standard output is a terminal. */
export function isTerminal(): boolean {
  const file = fstatSync(1);
  // To ask Node loads its stream.
  return file.isCharacterDevice() && file.rdev >> 8 !== MEMORY_DEVICES && process.stdout.isTTY === true;
}
