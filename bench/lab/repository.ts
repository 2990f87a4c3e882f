/**
 * Where this clone's files are. The lab runs from bench/ (under vitest) and from dist/bench/ (built), so the
 * way up is searched, not counted.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const REPOSITORY = findRoot(dirname(fileURLToPath(import.meta.url)));

/** The directory of a release to try, as packaging/bundle.mjs makes it; without it the build of this clone is tried. */
const RELEASE = process.env.UFAN_LAB_RELEASE;

/** The programs that a lab's hosts run, by default as `npm link` puts them on PATH. */
export const PROGRAMS = {
  fanctl: program('dist/src/cli/fanctl.js'),
  fanatic: program('dist/src/cli/fanatic.js'),
  fand: program('dist/src/daemon/fand.js'),
} as const;

/** Where hosts keep what was compiled of a release, as a real one does in /var/cache/ufan. */
export const CACHE = RELEASE ? { UFAN_CACHE_DIR: makeCache(RELEASE) } : {};

export const FANCTL = PROGRAMS.fanctl;

/** What scripts/setup made beside the build: the busybox tree, compiled peers, its log. */
export const SETUP_DIR = join(REPOSITORY, '.setup');

function program(built: string): string {
  return RELEASE ? join(RELEASE, 'bin', basename(built, '.js')) : join(REPOSITORY, built);
}

function makeCache(release: string): string {
  const cache = join(release, 'cache');
  mkdirSync(cache, { recursive: true, mode: 0o755 });
  return cache;
}

function findRoot(from: string): string {
  if (existsSync(join(from, 'package-lock.json'))) return from;
  const up = dirname(from);
  if (up === from) throw new Error('package-lock.json is in no directory above the lab');
  return findRoot(up);
}
