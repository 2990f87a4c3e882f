/** Edits of files that can be undone: to the byte, and with what others changed since left alone. */
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { editFile, undoEdit } from '../../../src/runtimes/config-edit.js';
import { Ledger } from '../../../src/runtimes/ledger.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ufan-edit-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const append = (text = ''): string => `${text}ours\n`;
const takeOut = (text: string): string | undefined => text.replace('ours\n', '') || undefined;

it('brings the file back byte for byte, with its mode, and keeps a copy meanwhile', async () => {
  const path = join(dir, 'conf');
  const bytes = Buffer.from([0x61, 0xff, 0x00, 0x0a]);
  writeFileSync(path, bytes);
  chmodSync(path, 0o640);
  const edit = await editFile(path, join(dir, 'backups/conf'), append);
  expect(readFileSync(edit.backup!)).toEqual(bytes);
  expect(readFileSync(path, 'latin1')).toMatch(/ours\n$/);
  await undoEdit(edit, takeOut);
  expect(readFileSync(path)).toEqual(bytes);
  expect(statSync(path).mode & 0o777).toBe(0o640);
  expect(existsSync(edit.backup!)).toBe(false);
});

it('leaves nothing where nothing was', async () => {
  const path = join(dir, 'etc/deep/conf');
  const edit = await editFile(path, join(dir, 'backups/conf'), append);
  await undoEdit(edit, takeOut);
  expect(existsSync(join(dir, 'etc'))).toBe(false);
});

it('takes out only what was ours where somebody else changed the file', async () => {
  const path = join(dir, 'conf');
  writeFileSync(path, 'theirs\n');
  const edit = await editFile(path, join(dir, 'backups/conf'), append);
  writeFileSync(path, 'theirs\nours\nlater\n');
  await undoEdit(edit, takeOut);
  expect(readFileSync(path, 'utf8')).toBe('theirs\nlater\n');
});

it('bears that the file has gone', async () => {
  const path = join(dir, 'conf');
  const edit = await editFile(path, join(dir, 'backups/conf'), append);
  rmSync(path);
  await undoEdit(edit, takeOut);
  expect(existsSync(path)).toBe(false);
});

it('a ledger without entries leaves no file, but the directory, which may be mounted for fand', async () => {
  const state = join(dir, 'state');
  const ledger = await Ledger.open(state);
  const entry = { runtime: 'docker', overlay: 'o', underlay: 'u', bridge: 'b', edits: [] };
  await ledger.add(entry);
  const again = await Ledger.open(state);
  expect(again.of({ overlay: 'o', underlay: 'u' }, 'docker')).toEqual([entry]);
  expect(again.of({ overlay: 'o', underlay: 'u' }, 'lxd')).toEqual([]);
  await again.remove(again.entries[0]!);
  expect(readdirSync(state)).toEqual([]);
  writeFileSync(dir.concat('/runtimes.json'), '{"version": 2}');
  await expect(Ledger.open(dir)).rejects.toThrow('another version of ufan');
});
