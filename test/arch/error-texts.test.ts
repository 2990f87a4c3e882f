/**
 * Each error that people may meet stands in a test, with the input that makes it: of the text of every `new FanError` in src
 * some three words in a row are in some test. Where its text is another's (a cause's), the other's counts.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
/** Shorter than this, words stand in tests by chance. */
const MIN_CHARS = 10;

/** What no input makes, with the reason. */
const UNREACHED: Readonly<Record<string, string>> = {
  'went down meanwhile: say it again': 'a race of two commands',
  'checks mend nothing': 'a guard against our own mistake',
  'fand is leaving: ask again':
    'answered to fanctl, which asks again: test/unit/daemon/server.test.ts sees its code',
  'the request broke off': 'its reader has gone',
  'neither systemctl nor service is there to restart': 'the directories of both are always searched',
  'dnsmasq ended right after it had started: the system log says why':
    'dnsmasq itself says why it would not start',
  'a host has at most': 'it would take 256 fans',
  "the filter's program is broken:":
    'test/unit/wire/packet-filter.test.ts makes each fault, by the words after it',
  'fails: fanctl doctor looks why': 'containers that start without a network',
  '): fanctl doctor looks why': 'containers that start without a network',
  'got no address: fanctl doctor looks why': 'a container that starts without a network',
  'is not as it was set: MTU': 'a kernel that takes a setting and does not keep it',
  'firewall rules are there': 'somebody who deletes rules in the same moment',
  'was made by somebody else': 'somebody who takes the name in the same moment',
  "the kernel can't be asked for": 'a netlink socket that breaks',
  'cannot open a raw socket:': 'wants a process without CAP_NET_RAW that passes as root',
};

function filesIn(directory: string): string[] {
  return readdirSync(join(ROOT, directory), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|mjs|py|sh)$/.test(name))
    .map((name) => join(directory, name));
}

/** The literal parts of the texts of a source's errors, an array an error; without those that have none of their own. */
function errorTexts(source: string): string[][] {
  const texts: string[][] = [];
  for (const { index, 0: head } of source.matchAll(/new FanError\(/g)) {
    const call = source.slice(index + head.length, endOfCall(source, index + head.length));
    const literals = [...call.matchAll(/'((?:[^'\\\n]|\\.)*)'|`((?:[^`\\]|\\.)*)`|"([^"\n]*)"/g)];
    const [first] = literals;
    // The code of the error.
    const own = literals.slice(first && call.trimStart().startsWith(first[0]) ? 1 : 0);
    const parts = own.flatMap(([, one, two, three]) => (one ?? two ?? three ?? '').split(/\$\{[^}]*\}/));
    const long = parts
      .map((part) => part.replaceAll('\\', '').trim())
      .filter((part) => part.length >= MIN_CHARS);
    if (long.length > 0) texts.push(long);
  }
  return texts;
}

function endOfCall(source: string, from: number): number {
  let depth = 1;
  let at = from;
  for (; depth > 0 && at < source.length; at++) {
    if (source[at] === '(') depth += 1;
    if (source[at] === ')') depth -= 1;
  }
  return at - 1;
}

/** Every three words in a row, and the text itself. */
function chunks(text: string): string[] {
  const words = text.split(' ');
  const rows = words.slice(0, -2).map((_, i) => words.slice(i, i + 3).join(' '));
  return [text, ...rows.filter((row) => row.length >= MIN_CHARS)];
}

it('each error stands in a test', () => {
  const tests = filesIn('test')
    .filter((file) => !file.endsWith('arch/error-texts.test.ts'))
    .map((file) => readFileSync(join(ROOT, file), 'utf8'))
    .join('\n')
    .replaceAll('\\', '')
    .replace(/\s+/g, ' ');
  const untested = filesIn('src').flatMap((file) =>
    errorTexts(readFileSync(join(ROOT, file), 'utf8'))
      .filter((parts) => !parts.some((part) => part in UNREACHED))
      .filter((parts) => !parts.some((part) => chunks(part).some((chunk) => tests.includes(chunk))))
      .map(([text]) => `${relative(ROOT, join(ROOT, file))}: "${text}": let a test make it`),
  );
  expect(untested).toEqual([]);
});
