/** Keys set in a file of `key = value` lines, as LXC's are: their lines change or are added, all others stay. */

/** The text with each key's value, in its old line where it has one. */
export function setKeys(text: string, values: ReadonlyMap<string, string>): string {
  let changed = text;
  for (const [key, value] of values) {
    const line = lineOf(key);
    const isOpen = changed !== '' && !changed.endsWith('\n');
    changed = line.test(changed)
      ? changed.replace(line, (_, head: string) => head + value)
      : `${changed}${isOpen ? '\n' : ''}${key} = ${value}\n`;
  }
  return changed;
}

/** The value of a key; undefined where no line has it. */
export function keyOf(text: string, key: string): string | undefined {
  return lineOf(key).exec(text)?.[2]?.trim();
}

/** The text without the line of the key. */
export function removeKey(text: string, key: string): string {
  return text.replace(new RegExp(`${lineOf(key).source}(?:\\n|$)`, 'm'), '');
}

/** The line, in two: up to the value, and the value. */
function lineOf(key: string): RegExp {
  return new RegExp(`^([ \\t]*${key.replaceAll('.', '\\.')}[ \\t]*=[ \\t]*)(.*)$`, 'm');
}
