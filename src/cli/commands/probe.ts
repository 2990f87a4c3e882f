/** `fanctl probe`: asks fand to probe a peer, and prints what it did and what it found. */
import { parseAddress } from '../../addr/ipv4-address.js';
import { FanError } from '../../base/error.js';
import { printable } from '../../base/printable.js';
import { FandClient, NotRunning } from '../../control/client.js';
import type { CheckResult, ProbeReply, ProbeStep } from '../../control/protocol.js';
import { nameWithTitle, withTitles } from '../output/check-output.js';
import { fitText } from '../output/fit.js';
import { formatJson, print } from '../output/output.js';
import { type Command, type Invocation, QUIET, refuseWord } from './command.js';

const DEFAULT_COUNT = 3;
const COUNT = /^[1-9][0-9]?$/;

export const probe: Command = {
  name: 'probe',
  synopsis: ['probe ADDR [-c N] [--json]'],
  summary: 'find out where packets to a peer die',
  description: `Sends a few packets: to the host, to its fand, and through the fan there and back, large
and small. Exit status: 0 all is well, 1 something fails, 2 a check could not be run.`,
  operands: [['ADDR', "a peer's underlay address, or an overlay address that it owns"]],
  options: [
    { names: ['--json'], summary: 'the checks, a list of objects' },
    { names: ['-c'], value: 'N', summary: 'packets of each kind, 1 to 20; the default is 3' },
    QUIET,
  ],
  examples: ['probe 172.30.0.27', 'probe 250.0.27.2 -c 10'],
  run,
};

async function run({ words, given, paths }: Invocation): Promise<void> {
  const [target, ...more] = words;
  if (target === undefined) throw new FanError('usage', 'probe which peer? an address such as 172.30.0.27');
  refuseWord('probe', words.find((word) => word.startsWith('-')) ?? more[0]);
  parseAddress(target);
  const reply = await ask(new FandClient(paths), target, readCount(given.get('-c')));
  print(given.has('--json') ? formatJson(withTitles(reply.checks)) : fitText(formatProbe(reply)));
  if (reply.checks.some(({ status }) => status === 'fail')) process.exitCode = 1;
  else if (reply.incomplete) process.exitCode = 2;
}

function readCount(text: string | undefined): number {
  if (text === undefined) return DEFAULT_COUNT;
  if (COUNT.test(text) && Number(text) <= 20) return Number(text);
  throw new FanError('usage', `-c: "${text}" is no number from 1 to 20`);
}

async function ask(client: FandClient, target: string, count: number): Promise<ProbeReply> {
  try {
    return await client.probe({ target, count });
  } catch (error) {
    if (!(error instanceof NotRunning)) throw error;
    throw new FanError('daemon', 'fand is not running: bring a fan up, probes go through it');
  }
}

function formatProbe({ host, slice, from, bridge, overlay, io, steps, checks }: ProbeReply): string {
  return [
    `probe of ${host} (${slice}) from ${from}: ${bridge}, ${overlay}, io ${io}`,
    ...steps.map(formatStep),
    '',
    ...checks.flatMap(formatCheck),
  ]
    .map(printable)
    .join('\n');
}

function formatStep({ name, text, rttMs }: ProbeStep): string {
  return `  ${name.padEnd(11)} ${text}${rttMs === null ? '' : `, ${rttMs.toFixed(2)} ms`}`;
}

function formatCheck({ check, status, severity, evidence, fix, direction }: CheckResult): string[] {
  const where = direction === undefined ? '' : ` (direction ${direction})`;
  const line = `${status.padEnd(5)} ${nameWithTitle(check)}${status === 'ok' ? '' : `, ${severity}${where}`}: ${evidence}`;
  return fix === '' || status === 'ok' ? [line] : [line, `      ${fix}`];
}
