/**
 * fanctl's side of the control socket: HTTP over a Unix socket, the requests of control/protocol.ts. Nothing is
 * kept open between two requests, so that a finished command can leave at once.
 */
import { errorText, FanError } from '../base/error.js';
import { type Answer, type Exchange, exchange } from './exchange.js';
import type {
  Activity,
  DaemonStatus,
  DownReply,
  DownRequest,
  EndTraceRequest,
  ErrorReply,
  ExplainRequest,
  Explanation,
  FanView,
  HandoverReply,
  Offender,
  ProbeReply,
  ProbeRequest,
  RepairReply,
  RepairRequest,
  RestoreReply,
  RunPaths,
  Stats,
  TraceLine,
  TraceRequest,
  UpReply,
  UpRequest,
} from './protocol.js';

/** Reading takes a moment; `up` runs ip, nft and dnsmasq, and a busy host is slow at that. */
const READ_TIMEOUT_MS = 10_000;
const CHANGE_TIMEOUT_MS = 120_000;

/** How long a trace is read on at most after its end was asked for. */
const LAST_LINES_MS = 10_000;

/** What connect() says where no daemon listens: no socket, a stale one, no directory. */
const NOBODY = new Set(['ENOENT', 'ECONNREFUSED', 'ENOTDIR']);
const DENIED = new Set(['EACCES', 'EPERM']);

/** sun_path holds 108 bytes, a NUL among them. */
const MAX_SOCKET_PATH_BYTES = 107;

/** No fand listens on the socket, or one that leaves: nothing of the request was done. */
export class NotRunning extends FanError {
  constructor(cause?: unknown) {
    super('daemon', 'fand is not running', { cause });
  }
}

/** fand, or the connection to it, ended before the answer: the request may or may not have been done. */
export class BrokenOff extends FanError {
  constructor(why: string, log: string, cause: unknown) {
    super('daemon', `fand broke off (${why}): see ${log}`, { cause });
  }
}

export class FandClient {
  readonly #paths: RunPaths;
  readonly #exchange: Exchange;

  /** `how`: exchangeAtOnce for a program that only waits for the answer. */
  constructor(paths: RunPaths, how = exchange) {
    if (Buffer.byteLength(paths.socket) > MAX_SOCKET_PATH_BYTES) {
      throw new FanError('usage', `UFAN_RUN_DIR is too long for a socket: ${paths.dir}`);
    }
    this.#paths = paths;
    this.#exchange = how;
  }

  /** Undefined where no fand runs, or ends as it is asked; otherwise throws as the other calls do. */
  async status(): Promise<DaemonStatus | undefined> {
    try {
      return await this.#send<DaemonStatus>('GET', '/v1/status');
    } catch (error) {
      if (error instanceof NotRunning || error instanceof BrokenOff) return undefined;
      throw error;
    }
  }

  /** This and the calls below throw NotRunning, or the FanError that fand answered. */
  fans(): Promise<FanView[]> {
    return this.#read('GET', '/v1/fans');
  }

  up(body: UpRequest): Promise<UpReply> {
    return this.#send('POST', '/v1/fans', body);
  }

  down(body: DownRequest): Promise<DownReply> {
    return this.#send('DELETE', '/v1/fans', body);
  }

  restore(): Promise<RestoreReply> {
    return this.#send('POST', '/v1/restore', {});
  }

  /** Throws FanError usage where fand is of a version that can't. */
  handOver(): Promise<HandoverReply> {
    return this.#send('POST', '/v1/handover', {});
  }

  stats(): Promise<Stats> {
    return this.#read('GET', '/v1/stats');
  }

  activity(): Promise<Activity> {
    return this.#read('GET', '/v1/activity');
  }

  /** Asks again where fand ended as it was asked: reading twice does no harm, and the second time says who is there. */
  async #read<Reply>(method: string, path: string, body?: unknown): Promise<Reply> {
    try {
      return await this.#send(method, path, body);
    } catch (error) {
      if (!(error instanceof BrokenOff)) throw error;
      return this.#send(method, path, body);
    }
  }

  explain(body: ExplainRequest): Promise<Explanation> {
    return this.#read('POST', '/v1/explain', body);
  }

  probe(body: ProbeRequest): Promise<ProbeReply> {
    return this.#read('POST', '/v1/probe', body);
  }

  /**
   * What a trace sees. After `end`, fand tells the rest and is done; after `now`, nothing is waited for. Throws BrokenOff
   * where fand ends first, after the last line that it could say.
   */
  async *trace(body: TraceRequest, end: AbortSignal, now: AbortSignal): AsyncGenerator<TraceLine> {
    const response = await this.#request('POST', '/v1/trace', body);
    if (response.status !== 200) {
      await this.#replyOf(response);
      return;
    }
    response.waitForever();
    const ending = new TraceEnd(end, now, response, (request) => this.#send('DELETE', '/v1/trace', request));
    try {
      for await (const text of linesOf(response)) {
        const line = JSON.parse(text) as TraceLine;
        if (line.type === 'started') ending.session = line.session;
        yield line;
      }
    } catch (cause) {
      if (!end.aborted && !now.aborted) throw new BrokenOff(errorText(cause), this.#paths.log, cause);
    } finally {
      ending.forget();
      response.destroy();
    }
    if (!end.aborted && !now.aborted) throw new BrokenOff('the trace ended', this.#paths.log, undefined);
  }

  offenders(): Promise<Offender[]> {
    return this.#read('GET', '/v1/offenders');
  }

  repair(body: RepairRequest): Promise<RepairReply> {
    return this.#send('POST', '/v1/repair', body);
  }

  async #send<Reply>(method: string, path: string, body?: unknown): Promise<Reply> {
    return this.#replyOf<Reply>(await this.#request(method, path, body));
  }

  async #replyOf<Reply>(response: Answer): Promise<Reply> {
    const answer = await textOf(response).catch((cause: unknown) => {
      throw new BrokenOff(errorText(cause), this.#paths.log, cause);
    });
    const { status } = response;
    const reply = parseReply(answer);
    if (status >= 200 && status < 400 && reply !== undefined) return reply as Reply;
    const error = (reply as Partial<ErrorReply> | undefined)?.error;
    if (error?.code === 'leaving') throw new NotRunning();
    if (error) throw new FanError(error.code, error.message);
    throw new FanError(
      'daemon',
      `what listens on ${this.#paths.socket} does not speak as fand (HTTP ${status})`,
    );
  }

  #request(method: string, path: string, body: unknown): Promise<Answer> {
    const { socket: socketPath, log } = this.#paths;
    const payload = body === undefined ? '' : JSON.stringify(body);
    const patienceMs = method === 'GET' ? READ_TIMEOUT_MS : CHANGE_TIMEOUT_MS;
    const onSilence = (): FanError =>
      new FanError('daemon', `fand does not answer within ${patienceMs / 1000} s: see ${log}`);
    return this.#exchange({ socketPath, method, path, payload, patienceMs, onSilence }).catch((error) => {
      throw this.#explain(error);
    });
  }

  #explain(error: NodeJS.ErrnoException): FanError {
    if (error instanceof FanError) return error;
    const code = error.code ?? '';
    // A connection that waited in the queue of a socket that was then closed is reset.
    if (NOBODY.has(code) || (code === 'ECONNRESET' && error.syscall === 'connect'))
      return new NotRunning(error);
    if (DENIED.has(code)) {
      return new FanError('not-root', `no permission on ${this.#paths.socket}: run as root`, {
        cause: error,
      });
    }
    return new BrokenOff(errorText(error), this.#paths.log, error);
  }
}

/** Ends a trace as its two signals ask. */
class TraceEnd {
  readonly #end: AbortSignal;
  readonly #now: AbortSignal;
  readonly #response: Answer;
  readonly #ask: (request: EndTraceRequest) => Promise<unknown>;
  readonly #onEnd = () => this.#begin();
  readonly #onNow = () => this.#response.destroy();
  #session: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    end: AbortSignal,
    now: AbortSignal,
    response: Answer,
    ask: (request: EndTraceRequest) => Promise<unknown>,
  ) {
    this.#end = end;
    this.#now = now;
    this.#response = response;
    this.#ask = ask;
    end.addEventListener('abort', this.#onEnd);
    now.addEventListener('abort', this.#onNow);
    if (now.aborted) response.destroy();
  }

  /** As fand calls it; before it is known, nothing can be ended. */
  set session(session: number) {
    this.#session = session;
    if (this.#end.aborted) this.#begin();
  }

  forget(): void {
    this.#end.removeEventListener('abort', this.#onEnd);
    this.#now.removeEventListener('abort', this.#onNow);
    clearTimeout(this.#timer);
  }

  #begin(): void {
    if (this.#session === undefined || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => this.#response.destroy(), LAST_LINES_MS);
    // Where fand is leaving it ends the trace by itself.
    this.#ask({ session: this.#session }).catch(() => undefined);
  }
}

/** Whole lines of an answer. Throws where it is destroyed or breaks off. */
async function* linesOf({ body }: Answer): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of body) {
    const lines = `${rest}${chunk}`.split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
}

/** All of it. Throws where it breaks off. */
async function textOf({ body, length }: Answer): Promise<string> {
  let text = '';
  for await (const chunk of body) text += chunk;
  if (length !== undefined && Buffer.byteLength(text) < length) throw new Error('the answer ended early');
  return text;
}

function parseReply(answer: string): unknown {
  try {
    return JSON.parse(answer);
  } catch {
    return undefined;
  }
}
