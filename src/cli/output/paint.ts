/** Colours of a line on a terminal (ECMA-48, select graphic rendition), and when there are any: no-color.org. */

export type Colour = 'ok' | 'warn' | 'fail' | 'bold';
export type Paint = (colour: Colour, text: string) => string;

const CODES: Readonly<Record<Colour, string>> = { ok: '32', warn: '33', fail: '1;31', bold: '1' };

export const plainly: Paint = (_, text) => text;

export const inColours: Paint = (colour, text) => `\x1b[${CODES[colour]}m${text}\x1b[0m`;

/** `environment` is the process's own. */
export function paintFor({ NO_COLOR, TERM }: NodeJS.ProcessEnv): Paint {
  return NO_COLOR || TERM === 'dumb' ? plainly : inColours;
}
