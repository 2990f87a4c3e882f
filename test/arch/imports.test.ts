/**
 * The shape of src/: what each room may import (rooms.ts), no cycles, one loader of the addon, and the limits that keep
 * a file readable.
 */
import { isBuiltin } from 'node:module';
import { describe, expect, it } from 'vitest';
import { misplaced, ROOMS } from './rooms.js';
import { SOURCES, type SourceFile } from './sources.js';

const MAX_LINES = 450;

/** Pure: the same code runs in a test, a worker or a browser. */
const WITHOUT_NODE = ['addr', 'fan', 'wire'];

/** The first chain of imports that comes back to where it began, if any. */
function findCycle(sources: readonly SourceFile[]): string[] | undefined {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const done = new Set<string>();
  const walk = (path: string, chain: readonly string[]): string[] | undefined => {
    if (chain.includes(path)) return [...chain.slice(chain.indexOf(path)), path];
    if (done.has(path)) return undefined;
    for (const next of byPath.get(path)?.files ?? []) {
      const cycle = walk(next, [...chain, path]);
      if (cycle) return cycle;
    }
    done.add(path);
    return undefined;
  };
  for (const { path } of sources) {
    const cycle = walk(path, []);
    if (cycle) return cycle;
  }
  return undefined;
}

describe('src', () => {
  it('has each file in its room, and each room in the table', () => {
    const wrong = SOURCES.map(({ path, files }) => misplaced(path, files)).filter((sentence) => sentence);
    expect(wrong).toEqual([]);
  });

  it('imports with an extension, files that exist', () => {
    const known = new Set(SOURCES.map(({ path }) => path));
    const wrong = SOURCES.flatMap(({ path, files }) =>
      files.filter((file) => !known.has(file)).map((file) => `${path} imports ${file}`),
    );
    expect(wrong).toEqual([]);
  });

  it('has no import cycle', () => {
    expect(findCycle(SOURCES)).toBeUndefined();
  });

  it('keeps Node out of the pure directories', () => {
    const wrong = SOURCES.filter(({ room }) => WITHOUT_NODE.includes(room)).flatMap(({ path, packages }) =>
      packages.filter((name) => isBuiltin(name)).map((name) => `${path} imports ${name}`),
    );
    expect(wrong).toEqual([]);
  });

  it('loads each addon in one file of io/', () => {
    const loaders = SOURCES.filter(({ text }) => /['"]#(native|connect)['"]|\.node['"]/.test(text)).map(
      ({ path }) => path,
    );
    expect(loaders.sort()).toEqual(['io/connect.ts', 'io/native.ts']);
  });

  it('has no other user or group by Node, which refuses where its libuv may use io_uring (Debian 13)', () => {
    const refused = /\bprocess\.(set(e?[ug]id|groups)|initgroups)\b/;
    expect(SOURCES.filter(({ text }) => refused.test(text)).map(({ path }) => path)).toEqual([]);
  });

  it('loads a command of fanctl when it is asked for', () => {
    const fanctl = SOURCES.find(({ path }) => path === 'cli/fanctl.ts')!;
    expect(fanctl.files).toContain('cli/commands/show.ts');
    expect(fanctl.text).not.toMatch(/^(import|\}) .*commands\/(?!command\.js)/m);
  });

  it('opens each file with a comment', () => {
    const bare = SOURCES.filter(({ text }) => !/^(?:#!.*\n)?\/\*\*/.test(text)).map(({ path }) => path);
    expect(bare).toEqual([]);
  });

  it(`has no file of more than ${MAX_LINES} lines`, () => {
    const long = SOURCES.filter(({ text }) => text.split('\n').length - 1 > MAX_LINES).map(
      ({ path }) => path,
    );
    expect(long).toEqual([]);
  });
});

describe('the table of rooms', () => {
  it('lets no room see one that stands below it', () => {
    const above = new Set<string>();
    const climbing = ROOMS.flatMap(({ name, sees }) => {
      const wrong = sees.filter((other) => !above.has(other)).map((other) => `${name} sees ${other}`);
      above.add(name);
      return wrong;
    });
    expect(climbing).toEqual([]);
  });

  it('names the right room for a file in a wrong one', () => {
    expect(misplaced('host/bridge-watch.ts', ['host/links.ts', 'control/state-store.ts'])).toMatch(
      /^host\/bridge-watch.ts imports control\/state-store.ts, which host\/ may not see: it belongs in control\/ \(what/,
    );
    expect(misplaced('wire/send.ts', ['io/native.ts', 'wire/ipv4.ts'])).toMatch(
      /belongs in dataplane\/tables\/ /,
    );
    expect(misplaced('io/tap.ts', ['io/devices/tun.ts'])).toMatch(/it belongs in io\/devices\/ /);
    expect(misplaced('cli/both.ts', ['daemon/server.ts', 'cli/fanctl.ts'])).toMatch(
      /no room sees all .* split it/,
    );
  });

  it('asks for a line where a folder is new', () => {
    expect(misplaced('extras/a.ts', [])).toMatch(
      /^extras\/a.ts stands in no room: move it to one of base, addr,/,
    );
  });
});

describe('findCycle', () => {
  const source = (path: string, ...files: string[]): SourceFile => ({
    path,
    room: 'base',
    text: '',
    files,
    packages: [],
  });

  it('names the files of a cycle', () => {
    const cyclic = [source('a.ts', 'b.ts'), source('b.ts', 'c.ts'), source('c.ts', 'b.ts')];
    expect(findCycle(cyclic)).toEqual(['b.ts', 'c.ts', 'b.ts']);
  });

  it('takes two ways to one file for no cycle', () => {
    const diamond = [
      source('a.ts', 'b.ts', 'c.ts'),
      source('b.ts', 'd.ts'),
      source('c.ts', 'd.ts'),
      source('d.ts'),
    ];
    expect(findCycle(diamond)).toBeUndefined();
  });
});
