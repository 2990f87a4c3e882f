/** `fanctl stats`: the packet counters of each fan, and of what belongs to none. */
import { FanError } from '../../base/error.js';
import { isTerminal } from '../../base/standard-streams.js';
import { FandClient, NotRunning } from '../../control/client.js';
import { exchangeAtOnce } from '../../control/exchange-at-once.js';
import type { RunPaths, Stats } from '../../control/protocol.js';
import { fitText } from '../output/fit.js';
import { formatJson, formatStats, print } from '../output/output.js';
import { formatCounter } from '../output/quantities.js';
import { type Command, type Invocation, QUIET, refuseWord } from './command.js';

export const stats: Command = {
  name: 'stats',
  synopsis: ['stats [--json | --all]'],
  summary: 'show what was carried and what was dropped, and why',
  description: `Packets are counted as on the wire, bytes are inner bytes, from the moment fand started.
docs/counters.md explains each counter.`,
  options: [
    { names: ['--json'], summary: 'an object with every counter' },
    { names: ['--all'], summary: 'the counters that are 0 as well' },
    QUIET,
  ],
  examples: ['stats', 'stats --json'],
  run,
};

async function run({ words, given, paths }: Invocation): Promise<void> {
  refuseWord('stats', words[0]);
  const counted = await readStats(paths);
  print(given.has('--json') ? formatJson(counted) : inWords(counted, given.has('--all')));
}

/** On a terminal with units; programs that read it get plain numbers. */
function inWords(counted: Stats, all: boolean): string {
  return isTerminal() ? fitText(formatStats(counted, all, formatCounter)) : formatStats(counted, all);
}

/** Counters live in fand's memory. With no fand and no fan there is nothing to count, which is no error. */
async function readStats(paths: RunPaths): Promise<Stats> {
  try {
    return await new FandClient(paths, exchangeAtOnce).stats();
  } catch (error) {
    if (!(error instanceof NotRunning)) throw error;
    const { readStateFans } = await import('../../control/state-file.js');
    const fans = await readStateFans(paths);
    if (fans.length === 0) return { host: { counters: {} }, fans: [] };
    const names = fans.map(({ view }) => view.bridge).join(', ');
    throw new FanError('daemon', `fand is not running, its counters are gone: bring ${names} up again`);
  }
}
