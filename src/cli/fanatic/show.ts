/** `fanatic show`: the lines of /etc/network/fan, which are up, and which runtimes are enabled for them. */
import { isTerminal } from '../../base/standard-streams.js';
import type { FileEntry } from '../../config/fan-file.js';
import { formatOverlay, parseOverlay } from '../../config/overlay.js';
import { formatUnderlay, parseUnderlay } from '../../config/underlay.js';
import { FandClient, NotRunning } from '../../control/client.js';
import { findFan } from '../../control/find-fan.js';
import type { FanView, RunPaths } from '../../control/protocol.js';
import { readStateFans } from '../../control/state-file.js';
import { enabledRuntimes } from '../../runtimes/enable.js';
import { Ledger } from '../../runtimes/ledger.js';
import { RUNTIMES } from '../../runtimes/runtimes.js';
import { type Command, type Invocation, refuseWord } from '../commands/command.js';
import { openConfig } from '../commands/config-lines.js';
import { formatJson, print } from '../output/output.js';
import { type EndsInText, endsInText } from './fan-of.js';

export const show: Command = {
  name: 'show',
  synopsis: ['show [--json]'],
  summary: 'list the fans of /etc/network/fan, and what is enabled for them',
  description: `The table has Ubuntu's columns; --json has every runtime, and the bridge.`,
  options: [{ names: ['--json'], summary: 'a list of objects instead of the table' }],
  examples: ['show', 'show --json'],
  run,
};

interface Row extends EndsInText {
  readonly bridge: string | undefined;
  readonly enabled: readonly string[];
}

async function run({ words, given, paths }: Invocation): Promise<void> {
  refuseWord('show', words[0]);
  const { entries } = await openConfig();
  const ledger = await Ledger.open(paths.stateDir);
  const up = await runningFans(paths);
  const rows: Row[] = [];
  for (const line of entries) {
    const ends = endsInText(line);
    const bridge = (await findFan(up, ends))?.view.bridge;
    rows.push({ ...asGiven(line), bridge, enabled: await enabledRuntimes(RUNTIMES, ends, ledger) });
  }
  if (given.has('--json')) print(formatJson(rows.map(toJson)));
  else print(formatTable(rows));
}

/** Those that a fand serves, with the words that they were brought up with. */
async function runningFans(paths: RunPaths) {
  try {
    const served = await new FandClient(paths).fans();
    const isServed = ({ bridge }: FanView): boolean => served.some((fan) => fan.bridge === bridge);
    return (await readStateFans(paths)).filter(({ view }) => isServed(view));
  } catch (error) {
    if (error instanceof NotRunning) return [];
    throw error;
  }
}

/** The ends in the words of the line. */
function asGiven({ fan, text }: FileEntry): EndsInText {
  const words = text
    .split(/[ \t\r\v\f]+/)
    .map((word) => word.replace(/^(?:-o|-u|--overlay|--underlay)=/, ''));
  const means = (read: (word: string) => string, wanted: string) => (word: string) => {
    try {
      return read(word) === wanted;
    } catch {
      return false;
    }
  };
  const overlay = formatOverlay(fan.overlay);
  const underlay = formatUnderlay(fan.underlay);
  return {
    overlay: words.find(means((word) => formatOverlay(parseOverlay(word)), overlay)) ?? overlay,
    underlay: words.find(means((word) => formatUnderlay(parseUnderlay(word)), underlay)) ?? underlay,
  };
}

/** One blank between two columns, as callers match whole lines; columns at a terminal. */
function formatTable(rows: readonly Row[]): string {
  const cells = [
    ['Underlay', 'Overlay', 'Fan', 'Docker', 'LXD'],
    ...rows.map(({ underlay, overlay, bridge, enabled }) => [
      underlay,
      overlay,
      bridge === undefined ? '-' : 'up',
      enabled.includes('docker') ? 'enabled' : '-',
      enabled.includes('lxd') ? 'enabled' : '-',
    ]),
  ];
  if (!isTerminal()) return cells.map((row) => row.join(' ')).join('\n');
  const widths = cells[0]!.map((_, i) => Math.max(...cells.map((row) => row[i]!.length)));
  return cells
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function toJson({ underlay, overlay, bridge, enabled }: Row) {
  const runtimes = RUNTIMES.map(({ name }) => [name, enabled.includes(name)]);
  return {
    underlay,
    overlay,
    up: bridge !== undefined,
    bridge: bridge ?? null,
    ...Object.fromEntries(runtimes),
  };
}
