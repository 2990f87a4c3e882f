/** Text in lines of a width, broken between words only: what one word takes it takes, however narrow the terminal. */
import { Help } from 'commander';
import { isTerminal } from './standard-streams.js';

/** commander's own, which sees past colours. */
const BOX = Object.assign(new Help(), { minWidthToWrap: 1 });
/** However far in a text begins, there is room for a word or two. */
const LEAST_TEXT = 16;
/** Of a terminal that doesn't say. */
export const DEFAULT_COLUMNS = 80;

/** Of the terminal that stdout is, or `elsewhere`. */
export function terminalColumns(elsewhere: number): number {
  return isTerminal() ? process.stdout.columns || DEFAULT_COLUMNS : elsewhere;
}

/**
 * `label` and behind it `text` in lines of at most `columns`; those after the first begin under the text, `hanging`
 * further in. A line break in `text` stays one. Infinity wraps nothing.
 */
export function wrapText(label: string, text: string, columns: number, hanging = 0): string {
  const [first = '', ...rest] = text.split('\n');
  const below = ' '.repeat(BOX.displayWidth(label));
  const lines = [wrapLine(label, first, columns, hanging)];
  return [...lines, ...rest.map((line) => wrapLine(below, line, columns, hanging))].join('\n');
}

function wrapLine(label: string, text: string, columns: number, hanging: number): string {
  const indent = ' '.repeat(BOX.displayWidth(label) + hanging);
  const room = Math.max(columns - indent.length, LEAST_TEXT);
  // The first line is as much longer as the others are further in.
  const [first = '', ...rest] = BOX.boxWrap(text, room + hanging).split('\n');
  if (rest.length === 0) return label + first;
  return `${label}${first}\n${indent}${BOX.boxWrap(rest.join(' '), room).replaceAll('\n', `\n${indent}`)}`;
}
