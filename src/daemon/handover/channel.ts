/**
 * What two fands say to each other while one hands over to the other: a line of JSON each, by a socket that is nobody
 * else's.
 *
 *   first → next   heritage, account
 *   next → first   prepared, took; or failed
 */

import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import type { Account, Heritage } from './heritage.js';

export type Message =
  | { type: 'heritage'; heritage: Heritage }
  /** All is open and set up: it would forward from the first word on. */
  | { type: 'prepared' }
  | { type: 'account'; account: Account }
  /** It forwards, since then as Account.pausedNs has it, and answers on the control socket. */
  | { type: 'took'; atNs: string | null }
  | { type: 'failed'; message: string };

export class Channel {
  readonly #socket: Duplex;
  readonly #lines: AsyncIterator<string>;

  constructor(socket: Duplex) {
    this.#socket = socket;
    // The other end may be gone: next() says so.
    socket.on('error', () => undefined);
    this.#lines = createInterface({ input: socket, crlfDelay: Number.POSITIVE_INFINITY })[
      Symbol.asyncIterator
    ]();
  }

  /** Resolves once it is on its way. */
  send(message: Message): Promise<void> {
    return new Promise((resolve) => this.#socket.write(`${JSON.stringify(message)}\n`, () => resolve()));
  }

  /** Undefined where the other end is gone. Throws SyntaxError for what is no message. */
  async next(): Promise<Message | undefined> {
    // One that ended before it had read all breaks off.
    const { done, value } = await this.#lines.next().catch(() => ({ done: true, value: '' }));
    return done ? undefined : (JSON.parse(value) as Message);
  }

  close(): void {
    this.#socket.destroy();
  }
}
