/**
 * Everything that fanctl and fanatic print, and the frame that both run in: results on stdout, notes and errors
 * on stderr, exit 1 after an error. A reader that closes its end early (`fanctl show | head -1`) is no error.
 */
import { once } from 'node:events';
import { errorText, FanError } from '../../base/error.js';
import { printable, printableJson } from '../../base/printable.js';
import { isTerminal, stderr, stdout } from '../../base/standard-streams.js';
import type { Counters, FanView, Stats } from '../../control/protocol.js';

/** Which program speaks: what its notes and errors begin with. */
let speaker = 'fanctl';
/** Set by `--quiet`: errors and the exit status are all that is told then. */
let isQuiet = false;

export function programName(): string {
  return speaker;
}

export function beQuiet(): void {
  isQuiet = true;
}

export function print(text: string): void {
  if (!isQuiet) stdout.write(`${text}\n`);
}

/** What the operator should know although the command succeeded. */
export function printNote(text: string): void {
  if (!isQuiet) stderr.write(`${speaker}: note: ${printable(text)}\n`);
}

/** An error that does not end the command. */
export function printError(text: string): void {
  stderr.write(`${speaker}: ${printable(text)}\n`);
}

/** What a command says at its end of what it did, as tcpdump does: no note, and no result. */
export function printStatus(text: string): void {
  stderr.write(`${text}\n`);
}

/** Writes bytes to standard output; each are out when it resolves: false where nobody reads any more. */
export async function writeBytes(bytes: Uint8Array): Promise<boolean> {
  const { stream } = stdout;
  if (stream.destroyed) return false;
  // What goes wrong is runProgram's to tell.
  if (!stream.write(bytes)) await once(stream, 'drain').catch(() => undefined);
  return !stream.destroyed;
}

/** Throws FanError usage where standard output would show bytes to somebody. */
export function refuseTerminal(): void {
  if (isTerminal()) {
    throw new FanError('usage', 'standard output is a terminal: give it a pipe, or name a file');
  }
}

/** Runs a program's main; anything it throws becomes one line on stderr and exit status 1. */
export async function runProgram(name: string, main: () => Promise<void>): Promise<void> {
  speaker = name;
  const fail = (error: unknown): void => {
    process.exitCode = 1;
    stderr.write(`${name}: ${printable(errorText(error))}\n`);
  };
  // Nowhere would be left to say that stderr is gone.
  stdout.onError = fail;
  try {
    await main();
  } catch (error) {
    fail(error);
  }
}

/** JSON as `--json` prints it. */
export function formatJson(value: unknown): string {
  return printableJson(JSON.stringify(value, undefined, 2));
}

/** The same in one line. */
export function formatCompactJson(value: unknown): string {
  return printableJson(JSON.stringify(value));
}

/** The table of `show`: a header, and a line for each fan; `isLong`: another with what else it has. */
export function formatFans(fans: readonly FanView[], isLong = false): string {
  const rows = fans.flatMap((fan) => {
    const row = formatRow(fan.bridge, fan.overlay, fan.underlay, `${fan.flags}${stateSuffix(fan)}`);
    const { slice, gateway, mtu, io } = fan;
    return isLong ? [row, `${DETAIL}slice ${slice}, gateway ${gateway}, MTU ${mtu}, io ${io}`] : [row];
  });
  return [formatRow('Bridge', 'Overlay', 'Underlay', 'Flags'), ...rows].join('\n');
}

/** Under the overlay: the first column names bridges only. */
const DETAIL = ' '.repeat(17);

/** Nothing for a fan that is well; with the checks that fail for one that is degraded. */
function stateSuffix({ state, health = [] }: FanView): string {
  if (state === 'up') return '';
  const checks = [...new Set(health.map(({ check }) => check))].join(', ');
  return state === 'degraded' ? ` degraded (${checks})` : ` ${state}`;
}

function formatRow(bridge: string, overlay: string, underlay: string, flags: string): string {
  return printable(`${bridge.padEnd(16)} ${overlay.padEnd(20)} ${underlay.padEnd(20)} ${flags}`);
}

/** A view with the keys of `show --json`, in their documented order and no others. */
export function fanToJson(fan: FanView): FanView {
  const { bridge, overlay, underlay, slice, gateway, device, mtu, io, ioNotes, workers, state, flags } = fan;
  // A fand before 0.2.0 recorded none.
  const { health = [] } = fan;
  return {
    bridge,
    overlay,
    underlay,
    slice,
    gateway,
    device,
    mtu,
    io,
    ioNotes,
    workers,
    state,
    health,
    flags,
  };
}

/** Counters by fan, the host's last; only those above 0 unless `all`. `format` writes a value. */
export function formatStats(
  stats: Stats,
  all: boolean,
  format: (value: number, name: string) => string = String,
): string {
  const groups = stats.fans.map((fan): [string, Counters] => [
    printable(`${fan.bridge}: ${fan.overlay} on ${fan.underlay}, io ${fan.io}`),
    fan.counters,
  ]);
  groups.push(['host: what belongs to no fan', stats.host.counters]);
  const shown = groups.map(([title, counters]): [string, [string, string][]] => [
    title,
    Object.entries(counters)
      .filter(([, value]) => all || value !== 0)
      .map(([name, value]) => [name, format(value, name)]),
  ]);
  const rows = shown.flatMap(([, entries]) => entries);
  const nameWidth = Math.max(0, ...rows.map(([name]) => name.length));
  const valueWidth = Math.max(0, ...rows.map(([, value]) => value.length));
  return shown
    .map(([title, entries]) => {
      const lines = entries.map(([name, value]) =>
        `  ${name.padEnd(nameWidth)}  ${value.padStart(valueWidth)}`.trimEnd(),
      );
      return [title, ...(lines.length > 0 ? lines : ['  nothing counted'])].join('\n');
    })
    .join('\n');
}
