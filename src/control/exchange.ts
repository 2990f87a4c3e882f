/**
 * One request on fand's control socket, and its answer: HTTP/1.0 (RFC 1945). With 1.0 the server sends what it says as it
 * is and closes at its end, so there is nothing to take apart but the head.
 *
 * By hand, as most commands of fanctl are one such request: to load and use node:http is a fifth of what they take. For
 * those that have exchange-at-once.ts, node:net is not loaded either.
 */
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

/** Returns as the head of the answer is there. Throws the socket's own error, or `onSilence`'s. */
export type Exchange = (request: Request) => Promise<Answer>;

/** Of a head of fand's it is some 200. */
const MOST_HEAD = 8192;
const HEAD_END = '\r\n\r\n';

export const exchange: Exchange = async (request) => {
  const { connect } = await import('node:net');
  const { socketPath, patienceMs, onSilence } = request;
  const socket = connect(socketPath);
  socket.setEncoding('utf8');
  socket.setTimeout(patienceMs, () => socket.destroy(onSilence()));
  socket.write(requestText(request));
  return {
    ...(await readAnswer(socket[Symbol.asyncIterator]())),
    destroy: () => void socket.destroy(),
    waitForever: () => void socket.setTimeout(0),
  };
};

export function requestText({ method, path, payload }: Request): string {
  const length = Buffer.byteLength(payload);
  const head = `${method} ${path} HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: ${length}`;
  return head + HEAD_END + payload;
}

/** `chunks`: text as it comes. Throws Error for what is no answer. */
export async function readAnswer(
  chunks: AsyncIterator<string>,
): Promise<Pick<Answer, 'status' | 'length' | 'body'>> {
  let said = '';
  for (let end = -1; end < 0; end = said.indexOf(HEAD_END)) {
    const { value, done } = await chunks.next();
    if (done || said.length > MOST_HEAD)
      throw new Error(said === '' ? 'it hung up' : 'its answer is no HTTP');
    said += value;
  }
  const end = said.indexOf(HEAD_END);
  const head = said.slice(0, end);
  const length = /^content-length: *(\d+)/im.exec(head)?.[1];
  return {
    status: Number(/^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1] ?? 0),
    length: length === undefined ? undefined : Number(length),
    body: bodyOf(said.slice(end + HEAD_END.length), chunks),
  };
}

async function* bodyOf(first: string, rest: AsyncIterator<string>): AsyncGenerator<string> {
  if (first !== '') yield first;
  for (let chunk = await rest.next(); !chunk.done; chunk = await rest.next()) yield chunk.value;
}
