/**
 * Text of others for a terminal: from the network, from files, from other programs. Every character that a terminal
 * obeys instead of showing it is shown as an escape, so that nothing of it moves the cursor, changes colours or begins
 * a line that looks like ours.
 */

/** C0 and C1 controls, DEL, line and paragraph separators, and what turns the direction of text or is invisible in it. */
const CONTROLS =
  /[\p{Cc}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}\p{Cs}]/gu;

const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** One line of it: "\x1b[31m" for the escape sequence, "\n" for a line feed, "\u{202e}". */
export function printable(text: string): string {
  return text.replace(CONTROLS, escapeControl);
}

/** The same line by line, of text whose lines are ours. */
export function printableLines(text: string): string {
  return text.replace(CONTROLS, (control) => (control === '\n' ? control : escapeControl(control)));
}

/** JSON text whose strings have no such character: the escapes are JSON's. Line feeds are between its tokens only. */
export function printableJson(json: string): string {
  return json.replace(CONTROLS, (control) => {
    if (control === '\n') return control;
    return [...Array(control.length).keys()]
      .map((i) => `\\u${control.charCodeAt(i).toString(16).padStart(4, '0')}`)
      .join('');
  });
}

function escapeControl(control: string): string {
  const code = control.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  return NAMED[control] ?? (code < 0x100 ? `\\x${hex.padStart(2, '0')}` : `\\u{${hex}}`);
}
