/**
 * The shape of src/: which directory may import which, no cycles, one loader of the addon, and the limits that keep
 * a file readable. The specifiers come from TypeScript's own scanner.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, normalize, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const SRC = fileURLToPath(new URL('../../src/', import.meta.url));
const MAX_LINES = 450;

/** What each directory may import beside itself. */
const MAY_SEE: Readonly<Record<string, readonly string[]>> = {
  base: [],
  addr: ['base'],
  fan: ['base', 'addr'],
  wire: ['base', 'addr'],
  io: ['base'],
  dataplane: ['base', 'addr', 'fan', 'wire', 'io'],
  trace: ['base', 'addr', 'fan', 'wire', 'io', 'dataplane'],
  config: ['base', 'addr', 'fan'],
  host: ['base', 'addr', 'fan', 'config'],
  daemon: ['base', 'addr', 'fan', 'wire', 'io', 'config', 'dataplane', 'trace', 'host'],
  cli: ['base', 'addr', 'fan', 'config', 'trace'],
};

/** Beyond the table: fanctl and fand share the words of their protocol; doctor must work where fand is dead. */
const ALSO: readonly (readonly [string, string])[] = [
  ['cli', 'daemon/protocol.ts'],
  ['cli', 'daemon/doctor/doctor.ts'],
];

/** Pure: the same code runs in a test, a worker or a browser. */
const WITHOUT_NODE = ['addr', 'fan', 'wire'];

interface SourceFile {
  /** Path from src/, with '/'. */
  readonly path: string;
  readonly dir: string;
  readonly text: string;
  /** Files of src/ that it imports. */
  readonly files: readonly string[];
  /** Anything else that it imports: packages, Node's modules, '#…'. */
  readonly packages: readonly string[];
}

function readSource(path: string): SourceFile {
  const text = readFileSync(join(SRC, path), 'utf8');
  const specifiers = ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName);
  const files = specifiers
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => normalize(join(dirname(path), specifier)).replace(/\.js$/, '.ts'));
  const packages = specifiers.filter((specifier) => !specifier.startsWith('.'));
  return { path, dir: path.split('/')[0]!, text, files, packages };
}

const SOURCES = readdirSync(SRC, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry) => relative(SRC, join(entry.parentPath, entry.name)).split(sep).join('/'))
  .sort()
  .map(readSource);

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
  it('has only directories that the rules know', () => {
    const unknown = SOURCES.filter(({ dir }) => !(dir in MAY_SEE)).map(({ path }) => path);
    expect(unknown).toEqual([]);
  });

  it('imports in one direction', () => {
    const wrong = SOURCES.flatMap(({ path, dir, files }) =>
      files
        .filter((file) => {
          const target = file.split('/')[0]!;
          const isFree = target === dir || MAY_SEE[dir]?.includes(target);
          return !isFree && !ALSO.some(([from, to]) => from === dir && to === file);
        })
        .map((file) => `${path} imports ${file}`),
    );
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
    const wrong = SOURCES.filter(({ dir }) => WITHOUT_NODE.includes(dir)).flatMap(({ path, packages }) =>
      packages.filter((name) => isBuiltin(name)).map((name) => `${path} imports ${name}`),
    );
    expect(wrong).toEqual([]);
  });

  it('loads the addon in io/native.ts only', () => {
    const loaders = SOURCES.filter(({ text }) => /['"]#native['"]|\.node['"]/.test(text)).map(
      ({ path }) => path,
    );
    expect(loaders.filter((path) => path !== 'io/native.ts')).toEqual([]);
  });

  it('loads a command of fanctl when it is asked for', () => {
    const fanctl = SOURCES.find(({ path }) => path === 'cli/fanctl.ts')!;
    expect(fanctl.files).toContain('cli/commands/show.ts');
    expect(fanctl.text).not.toMatch(/^(import|\}) .*commands\//m);
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

describe('findCycle', () => {
  const source = (path: string, ...files: string[]): SourceFile => ({
    path,
    dir: 'base',
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
