/** A stream of bytes read in pieces of known length, for the readers of capture files: a file of any size, or a pipe. */
import { FanError } from '../base/error.js';

export class ByteSource {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #waiting: Uint8Array[] = [];
  #length = 0;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /**
   * The next `length` bytes; undefined at the end. Throws FanError unsupported where the end comes within them, and
   * whatever the stream throws.
   */
  async read(length: number): Promise<Buffer | undefined> {
    while (this.#length < length) {
      const { value, done } = await this.#chunks.next();
      if (done) break;
      this.#waiting.push(value);
      this.#length += value.length;
    }
    if (this.#length === 0 && length > 0) return undefined;
    if (this.#length < length) throw new FanError('unsupported', 'the file is cut short');
    const all = this.#waiting.length === 1 ? this.#waiting[0]! : Buffer.concat(this.#waiting);
    const rest = all.subarray(length);
    this.#waiting = rest.length > 0 ? [rest] : [];
    this.#length = rest.length;
    return Buffer.from(all.buffer, all.byteOffset, length);
  }
}
