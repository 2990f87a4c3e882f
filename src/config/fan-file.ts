/**
 * /etc/network/fan: a fan a line, in the words of `fanctl up`, and its minimal edits. Text in, text out; control/
 * config-file.ts reads and writes it.
 *
 *   # comment
 *   250.0.0.0/8  eth0/16  dhcp host-reserve 10    # behind a blank, here as well
 *   10.0.0.0/8   eth1/16  dhcp off
 *
 * A '#' starts a comment at the start of a word only, as a device may have one in its name.
 */
import { FanError } from '../base/error.js';
import { flagsOf, formatFlags } from './fan-flags.js';
import { type FanLine, parseFanLine, wordOf } from './fan-line.js';
import type { FanOptions } from './fan-options.js';
import { formatOverlay } from './overlay.js';
import { formatUnderlay } from './underlay.js';

/** A line that describes a fan. */
export interface FileEntry {
  /** From 1. */
  readonly line: number;
  readonly fan: FanLine;
  /** Without the comment, as it stands. */
  readonly text: string;
}

/** A line that is none: what, and where. */
export interface FileFault {
  readonly line: number;
  /** Of the word that is wrong, in characters from 1. */
  readonly column: number;
  readonly message: string;
}

export interface FanFile {
  readonly entries: readonly FileEntry[];
  readonly faults: readonly FileFault[];
}

/** What tells one fan of the file from another: "250.0.0.0/8 eth0/16". */
type Ends = Pick<FanLine, 'overlay' | 'underlay'>;

const BYTE_ORDER_MARK = '\uFEFF';

/** Reads every line; one that is wrong is a fault and stops no other. */
export function parseFanFile(text: string): FanFile {
  const entries: FileEntry[] = [];
  const faults: FileFault[] = [];
  for (const [i, content] of linesOf(text).entries()) {
    const words = wordsOf(content);
    if (words.length === 0) continue;
    try {
      const fan = parseFanLine(words.map((word) => word.text));
      entries.push({ line: i + 1, fan, text: regionOf(content, words) });
    } catch (error) {
      if (!(error instanceof FanError)) throw error;
      const wrong = words[wordOf(error) ?? 0] ?? words[0]!;
      const column = [...content.slice(0, wrong.start)].length + 1;
      faults.push({ line: i + 1, column, message: error.message });
    }
  }
  return { entries, faults };
}

export function formatEnds({ overlay, underlay }: Ends): string {
  return `${formatOverlay(overlay)} ${formatUnderlay(underlay)}`;
}

/** The entries that are this fan, whatever their flags. */
export function entriesOf({ entries }: FanFile, ends: Ends): FileEntry[] {
  return entries.filter(({ fan }) => formatEnds(fan) === formatEnds(ends));
}

/**
 * The text with a line for `fan`: where it has one, that line gets exactly these flags and keeps its words for the ends,
 * its blanks and its comment; else a line at the end. A line that says the same stays as it is. Throws FanError config
 * where several lines are this fan.
 */
export function setFan(text: string, fan: FanLine): string {
  const known = entriesOf(parseFanFile(text), fan);
  const [entry, second] = known;
  if (second) {
    const lines = known.map(({ line }) => line).join(' and ');
    throw new FanError('config', `lines ${lines} are both ${formatEnds(fan)}: remove one of them first`);
  }
  const flags = shortFlags(fan.options);
  if (!entry) {
    const isOpen = text !== '' && !text.endsWith('\n');
    return `${text}${isOpen ? '\n' : ''}${[formatEnds(fan), ...flags].join(' ')}\n`;
  }
  if (formatFlags(entry.fan.options) === formatFlags(fan.options)) return text;
  return replaceLine(text, entry.line, (content) => {
    const words = wordsOf(content);
    const ends = endsOf(words.map((word) => word.text));
    const [first, last] = [words[0]!, words.at(-1)!];
    const head = ends ? content.slice(first.start, words[ends - 1]!.end) : formatEnds(fan);
    return content.slice(0, first.start) + [head, ...flags].join(' ') + content.slice(last.end);
  });
}

/** The text without the lines that are this fan. Throws FanError not-configured where there is none. */
export function unsetFan(text: string, ends: Ends): string {
  const known = entriesOf(parseFanFile(text), ends);
  if (known.length === 0) throw new FanError('not-configured', `no line is ${formatEnds(ends)}`);
  return known.reduceRight((left, { line }) => replaceLine(left, line, () => undefined), text);
}

/** The flags that are not the default, as an operator would write them: ["dhcp", "host-reserve 2"]. */
function shortFlags(options: FanOptions): string[] {
  return flagsOf(options).filter((flag) => flag !== 'host-reserve 1');
}

/** How many of the first words are the ends and nothing else; undefined where flags stand before them. */
function endsOf(words: readonly string[]): number | undefined {
  for (let count = 1; count <= words.length; count++) {
    try {
      const { options } = parseFanLine(words.slice(0, count));
      return shortFlags(options).length === 0 ? count : undefined;
    } catch {
      // An end is missing yet.
    }
  }
  return undefined;
}

interface PlacedWord {
  readonly text: string;
  /** Where it begins and ends in its line, in units of the string. */
  readonly start: number;
  readonly end: number;
}

function wordsOf(line: string): PlacedWord[] {
  const words: PlacedWord[] = [];
  const from = line.startsWith(BYTE_ORDER_MARK) ? 1 : 0;
  for (const { 0: text, index } of line.slice(from).matchAll(/[^ \t\r\v\f]+/g)) {
    if (text.startsWith('#')) break;
    words.push({ text, start: from + index, end: from + index + text.length });
  }
  return words;
}

function regionOf(line: string, words: readonly PlacedWord[]): string {
  return line.slice(words[0]!.start, words.at(-1)!.end);
}

function linesOf(text: string): string[] {
  return text.split('\n');
}

/** Changes one line and nothing else; undefined takes it away with its line end. */
function replaceLine(text: string, number: number, change: (content: string) => string | undefined): string {
  const lines = linesOf(text);
  const changed = change(lines[number - 1]!);
  const isLast = number === lines.length;
  // The line end before the last line belongs to the one before.
  const kept = changed ?? (isLast ? '' : undefined);
  lines.splice(number - 1, 1, ...(kept === undefined ? [] : [kept]));
  return lines.join('\n');
}
