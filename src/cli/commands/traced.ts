/**
 * What `trace` and `capture` have in common: the filter and the options, the lines of the trace until enough were seen
 * or the operator has seen enough, and the account of it on stderr.
 */
import { FanError, UnknownWord } from '../../base/error.js';
import { FandClient } from '../../control/client.js';
import type { RunPaths, TraceLine, TraceRequest } from '../../control/protocol.js';
import { compileFilter } from '../../trace/filter-compiler.js';
import { printNote } from '../output/output.js';
import type { CommandOption, Invocation } from './command.js';

export const TRACE_OPTIONS: readonly CommandOption[] = [
  { names: ['-c'], value: 'N', summary: 'end after N packets' },
  { names: ['--drops'], summary: 'only packets that are dropped' },
  { names: ['--fan'], value: 'BRIDGE', summary: 'only packets of the fan on this bridge' },
];

const MOST_COUNT = 1e9;

export interface Wish {
  readonly request: TraceRequest;
  /** Packets to end after; Infinity without -c. */
  readonly count: number;
}

/** Reads the words and options of either command. Throws FanError usage. */
export async function readWish(
  { words, given }: Invocation,
  limits: Pick<TraceRequest, 'snapLen' | 'recordsPerSecond' | 'bytesPerSecond'>,
): Promise<Wish> {
  const option = words.find((word) => /^-[^0-9]/.test(word));
  if (option !== undefined) throw new UnknownWord(`unknown option ${option}`, 'see fanctl help', [option]);
  const count = given.has('-c') ? readCount(given.get('-c') ?? '') : Number.POSITIVE_INFINITY;
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

function readCount(text: string): number {
  if (/^[0-9]+$/.test(text) && Number(text) >= 1 && Number(text) <= MOST_COUNT) return Number(text);
  throw new FanError('usage', `-c: "${text}" is no number from 1 to ${MOST_COUNT}`);
}

/**
 * Hands over each line until the count is reached, SIGINT or SIGTERM comes, or `take` returns false. Tells on stderr
 * what was seen and what was lost.
 */
export async function follow(
  paths: RunPaths,
  { request, count }: Wish,
  take: (line: TraceLine) => boolean | Promise<boolean>,
): Promise<void> {
  const end = new AbortController();
  const stop = () => end.abort();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, stop);
  process.stdout.once('error', stop);
  let seen = 0;
  let lost = 0;
  try {
    for await (const line of new FandClient(paths).trace(request, end.signal)) {
      if (line.type === 'lost') lost += line.records;
      if (line.type === 'packet') seen++;
      if (!(await take(line)) || seen >= count) break;
    }
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, stop);
    process.stdout.off('error', stop);
    if (lost > 0) printNote(`${lost} packets came too fast and are missing: narrow the filter`);
  }
}
