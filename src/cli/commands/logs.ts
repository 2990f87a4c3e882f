/** `fanctl logs`: what fand says, from its log file or the journal, in lines for people. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { FanError } from '../../base/error.js';
import { printableJson, printableLines } from '../../base/printable.js';
import { stdout } from '../../base/standard-streams.js';
import { logCommand } from '../../control/log-source.js';
import { formatLogLine } from '../output/log-line.js';
import { print } from '../output/output.js';
import { type Command, type Invocation, refuseWord } from './command.js';

const DEFAULT_LINES = 100;
const MOST_LINES = 1_000_000;

export const logs: Command = {
  name: 'logs',
  synopsis: ['logs [-f] [-n N] [--json]'],
  summary: 'show what fand says',
  description: `The last ${DEFAULT_LINES} lines of fand.log in the run directory, or of the journal where systemd
runs fand; with -f also those that come, until an interrupt.`,
  options: [
    { names: ['-f', '--follow'], summary: 'go on with what comes' },
    { names: ['-n', '--lines'], value: 'N', summary: `how many lines (default ${DEFAULT_LINES})` },
    { names: ['--json'], summary: 'the lines as they stand, an object each' },
  ],
  examples: ['logs', 'logs -f', 'logs -n 1000 --json'],
  run,
};

async function run({ words, given, paths }: Invocation): Promise<void> {
  refuseWord('logs', words[0]);
  const [program = '', ...args] = await logCommand(paths, readLines(given.get('-n')), given.has('-f'));
  const reader = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const end = once(reader, 'close').catch((cause: unknown) => {
    throw new FanError('daemon', `${program} can't be run: install coreutils, or systemd`, { cause });
  });
  // Whoever reads us has gone: nothing is left to follow.
  stdout.stream.on('close', () => reader.kill());
  process.once('SIGINT', () => reader.kill());
  for await (const line of createInterface({ input: reader.stdout })) {
    print(given.has('--json') ? printableJson(line) : printableLines(formatLogLine(line)));
  }
  const [status] = (await end) as [number | null];
  if (status !== null && status !== 0) throw new FanError('daemon', `${program} ended with status ${status}`);
}

function readLines(text: string | undefined): number {
  if (text === undefined) return DEFAULT_LINES;
  const lines = Number(text);
  if (/^[0-9]{1,7}$/.test(text) && lines >= 1 && lines <= MOST_LINES) return lines;
  throw new FanError('usage', `-n: "${text}" is no number from 1 to ${MOST_LINES}`);
}
