/**
 * The control socket: HTTP on a Unix socket, JSON both ways; protocol.ts lists the requests.
 *
 * It knows which connections still wait for their answer, so that fand leaves between two requests and never in one:
 * after refuse() nobody can connect, and who had connected is told that fand leaves.
 */
import { rmSync, statSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorText, FanError, type FanErrorCode } from '../base/error.js';
import type { Logger } from '../base/log.js';
import { LineStream } from '../control/line-stream.js';
import type { ErrorReply } from '../control/protocol.js';
import { bindForGroup } from './socket-group.js';

/** "POST /v1/fans" → what answers it; a LineStream goes on. */
export type Routes = Readonly<Record<string, (body: unknown) => unknown>>;

/** An answer that is no JSON. */
export class TextReply {
  readonly type: string;
  readonly text: string;

  /** `type` as in the Content-Type header. */
  constructor(type: string, text: string) {
    this.type = type;
    this.text = text;
  }
}

/** No request of ours is longer. */
const MAX_BODY_BYTES = 65_536;
/** How many may be connected, and how long a request may take to arrive: a trace is an answer, and may last. */
const MOST_CONNECTIONS = 256;
const LIMITS = { maxHeaderSize: 8192, headersTimeout: 10_000, requestTimeout: 30_000 };
/** sun_path of sockaddr_un, less the closing NUL. */
const MAX_SOCKET_PATH = 107;
/** How long drain() waits for somebody who connected and says nothing. */
const SILENCE_MS = 1000;
const POLL_MS = 2;
/** Connections that the kernel holds for us are taken within this many turns of the loop. */
const DRAIN_TURNS = 2;

const STATUS: Partial<Record<FanErrorCode, number>> = {
  'not-configured': 404,
  'already-configured': 409,
  overlap: 409,
  'in-use': 409,
  'step-failed': 500,
  daemon: 500,
  leaving: 503,
};

export class ControlServer {
  readonly #path: string;
  readonly #routes: Routes;
  readonly #log: Logger;
  /** Called when the last that waited has its answer. */
  readonly #onIdle: () => void;
  readonly #waiting = new Set<Socket>();
  #server: Server | undefined;
  #inode = 0;
  #refusing = false;

  constructor(path: string, routes: Routes, onIdle: () => void, log: Logger) {
    this.#path = path;
    this.#routes = routes;
    this.#onIdle = onIdle;
    this.#log = log;
  }

  /** Whether somebody has connected who is not answered yet. A stream that has begun is an answer. */
  get isBusy(): boolean {
    return this.#waiting.size > 0;
  }

  /** Whether the socket in the run directory is ours: false once somebody removed it. */
  get isReachable(): boolean {
    return statSync(this.#path, { throwIfNoEntry: false })?.ino === this.#inode;
  }

  /**
   * Listens, for root and the group of UFAN_GROUP, after removing a socket that a dead fand left; called again, anew where the socket was
   * removed. Throws FanError daemon.
   */
  async listen(): Promise<void> {
    const path = this.#path;
    if (Buffer.byteLength(path) > MAX_SOCKET_PATH) {
      throw new FanError(
        'daemon',
        `${path} is too long for a socket (${MAX_SOCKET_PATH} bytes): shorten UFAN_RUN_DIR`,
      );
    }
    // Closing the old one removes what has its name, so that comes first.
    this.#server?.close();
    await rm(path, { force: true });
    await this.#listenAt(path);
  }

  /** Listens in place of another process: who connects finds one of the two. Throws FanError daemon. */
  async takePlace(): Promise<void> {
    const path = `${this.#path}.new`;
    await rm(path, { force: true });
    await this.#listenAt(path);
    await rename(path, this.#path);
  }

  async #listenAt(path: string): Promise<void> {
    const server = createServer(LIMITS, (request, response) => void this.#serve(request, response));
    server.on('connection', (socket) => this.#await(socket));
    server.maxConnections = MOST_CONNECTIONS;
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        // The socket is bound before listen() returns.
        bindForGroup(process.env.UFAN_GROUP || 'ufan', () => server.listen(path, resolve));
      });
      this.#inode = statSync(path).ino;
    } catch (cause) {
      server.close();
      throw new FanError('daemon', `cannot listen on ${path}: ${errorText(cause)}`, { cause });
    }
    this.#server = server;
  }

  /** From now on no request is begun: those that come are answered "leaving". `isOurs`: nobody else has taken our place. */
  refuse(isOurs = true): void {
    this.#refusing = true;
    if (isOurs) rmSync(this.#path, { force: true });
  }

  /** After refuse(): returns when everybody who had connected has an answer, but for one who says nothing. */
  async drain(): Promise<void> {
    for (let turn = 0; turn < DRAIN_TURNS; turn++) await new Promise((resolve) => setImmediate(resolve));
    for (let waited = 0; this.isBusy && waited < SILENCE_MS; waited += POLL_MS) await sleep(POLL_MS);
  }

  #await(socket: Socket): void {
    this.#waiting.add(socket);
    socket.once('close', () => this.#settle(socket));
  }

  #settle(socket: Socket): void {
    if (this.#waiting.delete(socket) && !this.isBusy) this.#onIdle();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.once('finish', () => this.#settle(request.socket));
    try {
      if (this.#refusing) throw new FanError('leaving', 'fand is leaving: ask again');
      await answer(this.#routes, request, response);
    } catch (error) {
      fail(response, error, this.#log);
    }
    if (!response.writableEnded) this.#settle(request.socket);
  }
}

async function answer(routes: Routes, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const route = routes[`${request.method} ${request.url}`];
  if (!route) throw new FanError('usage', `no such request: ${request.method} ${request.url}`);
  const reply = await route(await readBody(request));
  if (reply instanceof LineStream) reply.open(response);
  else send(response, 200, reply);
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const bytes = await readBytes(request).catch((cause: unknown) => {
    if (cause instanceof FanError) throw cause;
    throw new FanError('usage', 'the request broke off', { cause });
  });
  if (bytes.length === 0) return {};
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new FanError('usage', 'the request is no JSON', { cause });
  }
}

async function readBytes(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    length += (chunk as Buffer).length;
    if (length > MAX_BODY_BYTES) throw new FanError('usage', 'the request is too long');
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

function fail(response: ServerResponse, error: unknown, log: Logger): void {
  const known = error instanceof FanError;
  if (!known) log.error({ err: error }, 'request failed');
  const code = known ? error.code : 'daemon';
  const reply: ErrorReply = { error: { code, message: errorText(error) } };
  send(response, STATUS[code] ?? 400, reply);
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const { type, text } =
    body instanceof TextReply ? body : new TextReply('application/json', `${JSON.stringify(body)}\n`);
  const length = Buffer.byteLength(text);
  response.writeHead(status, { 'content-type': type, 'content-length': length, connection: 'close' });
  response.end(text);
}
