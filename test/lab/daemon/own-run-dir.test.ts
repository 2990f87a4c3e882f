/**
 * The run directory is root's alone, or nothing is written into it: what a local user left there, links, a directory of
 * theirs, one that all may write in, costs no file of root's and brings up no fan.
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { FANCTL } from '../../../bench/lab/repository.js';

const UP = ['up', '250.0.0.0/8', 'eth0/16'];
const DOWN = ['down', '250.0.0.0/8', 'eth0/16'];
const OTHER = 65534;
const PRECIOUS = 'root has one copy of this\n';

let lab: Lab;
let base: string;
let precious: string;

beforeAll(async () => {
  lab = await createLab({ hosts: 1, containers: 0 });
});
afterAll(() => lab.remove());
beforeEach(() => {
  base = mkdtempSync('/tmp/ufan-own-');
  precious = join(base, 'precious');
  writeFileSync(precious, PRECIOUS);
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

/** fanctl with `dir` as its run directory; what it says on stderr, where it fails. */
async function fanctl(dir: string, words: readonly string[]): Promise<string> {
  try {
    await lab.host(1).exec(['env', `UFAN_RUN_DIR=${dir}`, 'UFAN_STATE_DIR=', FANCTL, ...words]);
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

const refused: readonly (readonly [string, RegExp, () => string])[] = [
  [
    'belongs to another user',
    /not root's alone: it belongs to user 65534/,
    () => made((dir) => chownSync(dir, OTHER, OTHER)),
  ],
  [
    'may be written by all',
    /others may write in it \(mode 777\)/,
    () => made((dir) => chmodSync(dir, 0o777)),
  ],
  ['is sticky, as /tmp', /others may write in it \(mode 1777\)/, () => made((dir) => chmodSync(dir, 0o1777))],
  ['is a link', /it is a symbolic link/, () => linked()],
  ['stands in a directory of another user', /belongs to user 65534/, () => inOthers()],
];

function made(bend: (dir: string) => void): string {
  const dir = join(base, 'run');
  mkdirSync(dir);
  symlinkSync(precious, join(dir, 'fand.log'));
  symlinkSync(precious, join(dir, 'fand.pid'));
  symlinkSync(precious, join(dir, 'fand.lock'));
  symlinkSync(precious, join(dir, 'state.json.new'));
  bend(dir);
  return dir;
}

function linked(): string {
  symlinkSync(
    made(() => undefined),
    join(base, 'link'),
  );
  return join(base, 'link');
}

function inOthers(): string {
  const parent = join(base, 'home');
  mkdirSync(parent);
  chownSync(parent, OTHER, OTHER);
  return join(parent, 'run');
}

for (const [what, sentence, prepare] of refused) {
  it(`is refused where it ${what}`, async () => {
    const dir = prepare();
    expect(await fanctl(dir, UP)).toMatch(sentence);
    expect(readFileSync(precious, 'utf8')).toBe(PRECIOUS);
    expect(existsSync(join(dir, 'fand.sock'))).toBe(false);
  });
}

it('follows no link for pid and state, and refuses one for log and lock', async () => {
  const dir = made(() => undefined);
  expect(await fanctl(dir, UP)).toMatch(
    /fand\.log is not a file of fand's, it is a symbolic link: move it away/,
  );
  rmSync(join(dir, 'fand.log'));
  expect(await fanctl(dir, UP)).toMatch(/fand\.lock/);
  rmSync(join(dir, 'fand.lock'));
  expect(await fanctl(dir, UP)).toBe('');
  expect(lstatSync(join(dir, 'fand.pid')).isFile()).toBe(true);
  expect(lstatSync(join(dir, 'state.json')).isFile()).toBe(true);
  expect(await fanctl(dir, DOWN)).toBe('');
  expect(readFileSync(precious, 'utf8')).toBe(PRECIOUS);
});

it('appends the log to no hard link', async () => {
  const dir = join(base, 'run');
  mkdirSync(dir);
  linkSync(precious, join(dir, 'fand.log'));
  expect(await fanctl(dir, UP)).toMatch(/it is a hard link/);
  expect(readFileSync(precious, 'utf8')).toBe(PRECIOUS);
});
