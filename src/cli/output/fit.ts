/** What is printed for people, in the width of their terminal; a pipe gets every line whole. */
import { stripVTControlCharacters } from 'node:util';
import { terminalColumns, wrapText } from '../../base/wrap.js';

/** A label in front of a text: one word, padded: "  verdict   ", "ok    ". */
const LABEL = /^ *\S+ {2,}/;
/** Of a line without a label: how far in it goes on. */
const HANGING = 4;
/** A label takes no larger part of the width; else the text goes on under it. */
const MOST_OF_LABEL = 1 / 3;

/** Of stdout; Infinity where it is no terminal. */
export function outputColumns(): number {
  return terminalColumns(Number.POSITIVE_INFINITY);
}

/** Each line of `text` broken between words where it is too long; it goes on behind its label, or a bit further in. */
export function fitText(text: string, columns = outputColumns()): string {
  return text
    .split('\n')
    .map((line) => fitLine(line, columns))
    .join('\n');
}

function fitLine(line: string, columns: number): string {
  if (line.length <= columns) return line;
  const plain = stripVTControlCharacters(line);
  if (plain.length <= columns) return line;
  const label = LABEL.exec(plain)?.[0].length ?? 0;
  const [indent = ''] = /^ */.exec(line) ?? [];
  const hanging = label > 0 && label <= columns * MOST_OF_LABEL ? label - indent.length : HANGING;
  return wrapText(indent, line.slice(indent.length), columns, hanging);
}
