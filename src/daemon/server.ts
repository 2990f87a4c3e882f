/**
 * The control socket: HTTP on a Unix socket, JSON both ways; protocol.ts lists the requests.
 */
import { chmod, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { errorText, FanError, type FanErrorCode } from '../base/error.js';
import type { Logger } from '../base/log.js';
import { LineStream } from './line-stream.js';
import type { ErrorReply } from './protocol.js';

/** "POST /v1/fans" → what answers it; a LineStream goes on. */
export type Routes = Readonly<Record<string, (body: unknown) => unknown>>;

/** No request of ours is longer. */
const MAX_BODY_BYTES = 65_536;
/** sun_path of sockaddr_un, less the closing NUL. */
const MAX_SOCKET_PATH = 107;

const STATUS: Partial<Record<FanErrorCode, number>> = {
  'not-configured': 404,
  'already-configured': 409,
  overlap: 409,
  'in-use': 409,
  'step-failed': 500,
  daemon: 500,
};

/** Listens on `path`, for root only, after removing a socket that a dead fand left. Throws FanError daemon. */
export async function listen(path: string, routes: Routes, log: Logger): Promise<Server> {
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH) {
    throw new FanError(
      'daemon',
      `${path} is too long for a socket (${MAX_SOCKET_PATH} bytes): shorten UFAN_RUN_DIR`,
    );
  }
  await rm(path, { force: true });
  const server = createServer((request, response) => {
    answer(routes, request, response).catch((error) => fail(response, error, log));
  });
  // A client may wait for a slow `up`; it is on this host and gone when it gives up.
  server.requestTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  }).catch((cause) => {
    throw new FanError('daemon', `cannot listen on ${path}: ${errorText(cause)}`, { cause });
  });
  await chmod(path, 0o600);
  return server;
}

async function answer(routes: Routes, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const route = routes[`${request.method} ${request.url}`];
  if (!route) throw new FanError('usage', `no such request: ${request.method} ${request.url}`);
  const reply = await route(await readBody(request));
  if (reply instanceof LineStream) reply.open(response);
  else send(response, 200, reply);
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    length += (chunk as Buffer).length;
    if (length > MAX_BODY_BYTES) throw new FanError('usage', 'the request is too long');
    chunks.push(chunk as Buffer);
  }
  if (length === 0) return {};
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (cause) {
    throw new FanError('usage', 'the request is no JSON', { cause });
  }
}

function fail(response: ServerResponse, error: unknown, log: Logger): void {
  const known = error instanceof FanError;
  if (!known) log.error({ err: error }, 'request failed');
  const code = known ? error.code : 'daemon';
  const reply: ErrorReply = { error: { code, message: errorText(error) } };
  send(response, STATUS[code] ?? 400, reply);
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
  response.end(`${JSON.stringify(body)}\n`);
}
