/**
 * One request on fand's control socket, and its answer: HTTP/1.0 (RFC 1945) by Node's `net` alone. With 1.0 the server
 * sends what it says as it is and closes at its end, so there is nothing to take apart but the head.
 *
 * By hand, as most commands of fanctl are one such request: to load and use node:http is a fifth of what they take.
 */
import { connect } from 'node:net';

export interface Request {
  readonly socketPath: string;
  readonly method: string;
  readonly path: string;
  /** JSON, or empty. */
  readonly payload: string;
  /** How long the other end may say nothing, ms, and the error that it is then. */
  readonly patienceMs: number;
  onSilence(): Error;
}

export interface Answer {
  readonly status: number;
  /** What stands behind the head, as text. Throws where the connection breaks. */
  readonly body: AsyncIterable<string>;
  /** Bytes of the body; undefined where it goes on until the server closes. */
  readonly length: number | undefined;
  /** Breaks it off: whoever reads the body finds an error. */
  destroy(): void;
  /** No silence is too long from now on. */
  waitForever(): void;
}

/** Of a head of fand's it is some 200. */
const MOST_HEAD = 8192;
const HEAD_END = '\r\n\r\n';

/** Returns as the head of the answer is there. Throws the socket's own error, or `onSilence`'s. */
export async function exchange(request: Request): Promise<Answer> {
  const { socketPath, method, path, payload, patienceMs, onSilence } = request;
  const socket = connect(socketPath);
  socket.setEncoding('utf8');
  socket.setTimeout(patienceMs, () => socket.destroy(onSilence()));
  const length = Buffer.byteLength(payload);
  const head = `${method} ${path} HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: ${length}`;
  socket.write(head + HEAD_END + payload);
  const chunks = socket[Symbol.asyncIterator]() as AsyncIterator<string>;
  let said = '';
  for (let end = -1; end < 0; end = said.indexOf(HEAD_END)) {
    const { value, done } = await chunks.next();
    if (done || said.length > MOST_HEAD)
      throw new Error(said === '' ? 'it hung up' : 'its answer is no HTTP');
    said += value;
  }
  const end = said.indexOf(HEAD_END);
  return {
    ...readHead(said.slice(0, end)),
    body: bodyOf(said.slice(end + HEAD_END.length), chunks),
    destroy: () => void socket.destroy(),
    waitForever: () => void socket.setTimeout(0),
  };
}

function readHead(text: string): Pick<Answer, 'status' | 'length'> {
  const length = /^content-length: *(\d+)/im.exec(text)?.[1];
  return {
    status: Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1] ?? 0),
    length: length === undefined ? undefined : Number(length),
  };
}

async function* bodyOf(first: string, rest: AsyncIterator<string>): AsyncGenerator<string> {
  if (first !== '') yield first;
  for (let chunk = await rest.next(); !chunk.done; chunk = await rest.next()) yield chunk.value;
}
