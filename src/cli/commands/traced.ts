/**
 * What `trace` and `capture` have in common: the filter and the options, the lines of the trace until enough were seen
 * or the operator has seen enough, and the account of it on stderr, however it ends.
 */
import { FanError, UnknownWord } from '../../base/error.js';
import { stdout } from '../../base/standard-streams.js';
import { FandClient } from '../../control/client.js';
import type { RunPaths, TraceLine, TraceRequest } from '../../control/protocol.js';
import { compileFilter } from '../../trace/filter-compiler.js';
import type { TraceAccount } from '../output/trace-account.js';
import type { CommandOption, Invocation } from './command.js';

export const TRACE_OPTIONS: readonly CommandOption[] = [
  { names: ['-c'], value: 'N', summary: 'end after N packets' },
  { names: ['--drops'], summary: 'only packets that are dropped' },
  { names: ['--fan'], value: 'BRIDGE', summary: 'only packets of the fan on this bridge' },
];

const MOST_COUNT = 1e9;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** timeout(1) and others send a signal to us and to our group: only a later one is somebody's impatience. */
const IMPATIENT_MS = 500;

export interface Wish {
  readonly request: TraceRequest;
  /** Packets to end after; Infinity without -c. */
  readonly count: number;
}

/** Reads the words and options of either command. Throws FanError usage. */
export async function readWish(
  { words, given }: Invocation,
  limits: Pick<TraceRequest, 'snapLen' | 'burstSnapLen' | 'recordsPerSecond' | 'bytesPerSecond'>,
): Promise<Wish> {
  const option = words.find((word) => /^-[^0-9]/.test(word));
  if (option !== undefined) throw new UnknownWord(`unknown option ${option}`, 'see fanctl help', [option]);
  const count = readNumber('-c', given.get('-c'), 1, MOST_COUNT) ?? Number.POSITIVE_INFINITY;
  const program = await compileFilter(words.join(' '));
  const bridge = given.get('--fan');
  return {
    count,
    request: {
      ...limits,
      dropsOnly: given.has('--drops'),
      ...(program.length > 0 && { program }),
      ...(bridge !== undefined && { bridge }),
    },
  };
}

/** The value of an option; undefined where it was not given. Throws FanError usage. */
export function readNumber(
  option: string,
  text: string | undefined,
  least: number,
  most: number,
): number | undefined {
  if (text === undefined) return undefined;
  const value = /^[0-9]{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new FanError('usage', `${option}: "${text}" is no number from ${least} to ${most}`);
}

/** When a trace is to end: by the operator, by whom reads what is printed, or after some time. */
export class Ending {
  readonly #end = new AbortController();
  readonly #now = new AbortController();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #onSignal = () => this.#signalled();
  readonly #onReader = () => this.#now.abort();
  #firstMs: number | undefined;

  constructor() {
    for (const signal of SIGNALS) process.on(signal, this.#onSignal);
    stdout.stream.on('error', this.#onReader);
  }

  /** What is under way is still taken. */
  get end(): AbortSignal {
    return this.#end.signal;
  }

  /** Nothing is waited for. */
  get now(): AbortSignal {
    return this.#now.signal;
  }

  abort(): void {
    this.#end.abort();
  }

  after(ms: number): void {
    this.#timers.push(setTimeout(() => this.#end.abort(), ms));
  }

  forget(): void {
    for (const signal of SIGNALS) process.off(signal, this.#onSignal);
    stdout.stream.off('error', this.#onReader);
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #signalled(): void {
    this.#firstMs ??= performance.now();
    this.#end.abort();
    if (performance.now() - this.#firstMs > IMPATIENT_MS) this.#now.abort();
  }
}

/**
 * Hands over each line until the count is reached, `ending` says so, or `take` returns false; what comes after that is
 * only counted. Throws BrokenOff where fand ends first; the account is then as far as it got.
 */
export async function follow(
  paths: RunPaths,
  { request, count }: Wish,
  ending: Ending,
  account: TraceAccount,
  take: (line: TraceLine) => boolean | Promise<boolean>,
): Promise<void> {
  for await (const line of new FandClient(paths).trace(request, ending.end, ending.now)) {
    account.add(line);
    if (line.type === 'packet') {
      if (account.taken >= count) continue;
      account.taken++;
    }
    if (!(await take(line))) return;
    if (account.taken >= count) ending.abort();
  }
}
