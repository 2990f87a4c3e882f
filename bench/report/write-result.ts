/**
 * The result's files in bench/results. Synchronous: a signal's handler writes them as well.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY } from '../lab/repository.js';
import type { Result } from './result.js';

/** Returns the paths written. */
export function writeResult(result: Result): string[] {
  const dir = join(REPOSITORY, 'bench/results');
  mkdirSync(dir, { recursive: true });
  const file = join(dir, `${result.machine.date.replaceAll(':', '')}.json`);
  writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`);
  return [file];
}
