/**
 * An answer that goes on: JSON objects, one a line, for as long as the client stays. A route returns one instead of a
 * reply (server.ts).
 */
import type { ServerResponse } from 'node:http';

/** Waiting for a slow client at most, beside what is sent with `send`, whose sender waits. */
const MOST_WAITING_BYTES = 64 << 20;

export class LineStream {
  readonly #onEnd: () => void;
  #response: ServerResponse | undefined;
  /** Lines from before the response was there. */
  #early: string[] = [];
  #ended = false;

  /** `onEnd` is called once, when the client has gone. */
  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  /** Sends a line; false where the client is so far behind that it was left out. */
  write(line: object): boolean {
    const response = this.#response;
    if (response === undefined) this.#early.push(`${JSON.stringify(line)}\n`);
    else if (response.writableLength > MOST_WAITING_BYTES) return false;
    else if (!this.#ended) response.write(`${JSON.stringify(line)}\n`);
    return true;
  }

  /** Sends lines together; `onSent` is called when the client's end of the connection has them, or it has gone. */
  send(lines: readonly object[], onSent: () => void): void {
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
    if (this.#response === undefined) {
      this.#early.push(text);
      onSent();
    } else if (this.#ended) onSent();
    else this.#response.write(text, onSent);
  }

  /** Ends the answer; resolves when the client has all of it, or has gone. */
  end(): Promise<void> {
    const response = this.#response;
    if (response === undefined || this.#ended) return Promise.resolve();
    return new Promise((resolve) => {
      response.once('close', resolve);
      response.end();
    });
  }

  /** The server's: sends the head and what waits. */
  open(response: ServerResponse): void {
    this.#response = response;
    response.on('close', () => this.#end());
    response.on('error', () => this.#end());
    if (response.destroyed || response.socket?.destroyed !== false) {
      this.#end();
      return;
    }
    response.writeHead(200, { 'content-type': 'application/x-ndjson', connection: 'close' });
    response.flushHeaders();
    if (this.#early.length > 0) response.write(this.#early.join(''));
    this.#early = [];
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#onEnd();
  }
}
