/** Text in lines of a width, broken between words only: what one word takes it takes, however narrow the terminal. */
import { Help } from 'commander';

/** commander's own, which its helps are wrapped by; it sees past colours. */
const BOX = Object.assign(new Help(), { minWidthToWrap: 1 });
/** Beside a label there is room for a few words at least; else the text is as wide as that. */
const LEAST_TEXT = 16;

/**
 * `label` and behind it `text` in lines of at most `columns`; those after the first begin under the text, `hanging`
 * further in. A line break in `text` stays one. Infinity wraps nothing.
 */
export function wrapText(label: string, text: string, columns: number, hanging = 0): string {
  const indent = ' '.repeat(BOX.displayWidth(label) + hanging);
  const lines = BOX.boxWrap(text, Math.max(columns - indent.length, LEAST_TEXT));
  return label + lines.replaceAll('\n', `\n${indent}`);
}
