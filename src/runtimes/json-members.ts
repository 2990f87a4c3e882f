/**
 * Members of a JSON object set and removed in its text: everything else stays as it is, to the byte. Runtimes' files are
 * written by hand, and JSON.stringify would lose their order of blanks and lines.
 */
import { errorText, FanError } from '../base/error.js';

export type JsonObject = Record<string, unknown>;

interface Member {
  readonly key: string;
  /** Of its key; of its value, and the end of that. */
  readonly start: number;
  readonly value: number;
  readonly end: number;
}

/** The object of `text`; blanks alone are an empty one. Throws FanError config, which names the file `path`. */
export function parseObject(text: string, path: string): JsonObject {
  if (text.trim() === '') return {};
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new FanError('config', `${path} is no JSON: ${errorText(cause)}: mend it first`, { cause });
  }
  if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed as JsonObject;
  throw new FanError('config', `${path} holds no JSON object: mend it first`);
}

/** The text with these members, each in its old place where it has one. `text` must be sound, see parseObject. */
export function setMembers(text: string, members: JsonObject): string {
  let changed = text.trim() === '' ? '{}\n' : text;
  for (const [key, value] of Object.entries(members))
    changed = setMember(changed, key, JSON.stringify(value));
  return changed;
}

export function removeMember(text: string, key: string): string {
  const members = membersOf(text);
  const index = members.findIndex((member) => member.key === key);
  const [before, member, after] = [members[index - 1], members[index], members[index + 1]];
  if (!member) return text;
  if (after) return text.slice(0, member.start) + text.slice(after.start);
  // The last one takes the comma before it along.
  const from = before ? before.end : text.indexOf('{') + 1;
  return text.slice(0, from) + text.slice(member.end);
}

function setMember(text: string, key: string, value: string): string {
  const members = membersOf(text);
  const known = members.find((member) => member.key === key);
  if (known) return text.slice(0, known.value) + value + text.slice(known.end);
  const last = members.at(-1);
  const added = `${JSON.stringify(key)}: ${value}`;
  const open = text.indexOf('{') + 1;
  if (!last) return `${text.slice(0, open)}\n    ${added}\n${text.slice(text.lastIndexOf('}'))}`;
  // As far from the one before it as the last one is from what stands before that.
  const gap = text.slice(members.at(-2) ? text.indexOf(',', members.at(-2)!.end) + 1 : open, last.start);
  return `${text.slice(0, last.end)},${gap}${added}${text.slice(last.end)}`;
}

/** The members of the outermost object, in their order. */
function membersOf(text: string): Member[] {
  const members: Member[] = [];
  const blank = (at: number): number => at + /^\s*/.exec(text.slice(at))![0].length;
  for (let at = blank(text.indexOf('{') + 1); text[at] === '"'; ) {
    const keyEnd = endOfString(text, at);
    const value = blank(blank(keyEnd) + 1);
    const end = endOfValue(text, value);
    members.push({ key: JSON.parse(text.slice(at, keyEnd)) as string, start: at, value, end });
    const comma = blank(end);
    at = text[comma] === ',' ? blank(comma + 1) : text.length;
  }
  return members;
}

function endOfString(text: string, start: number): number {
  const string = /"(?:[^"\\]|\\.)*"/y;
  string.lastIndex = start;
  return start + (string.exec(text)?.[0].length ?? 0);
}

function endOfValue(text: string, start: number): number {
  let depth = 0;
  let at = start;
  while (at < text.length) {
    const char = text[at]!;
    if (char === '"') {
      at = endOfString(text, at);
      if (depth === 0) return at;
      continue;
    }
    if (depth === 0 && at > start && /[\s,}\]]/.test(char)) return at;
    if (char === '{' || char === '[') depth++;
    if ((char === '}' || char === ']') && --depth === 0) return at + 1;
    at++;
  }
  return at;
}
