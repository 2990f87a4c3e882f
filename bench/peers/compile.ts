/**
 * The C programs beside this file, compiled when first needed and again when their source changes.
 */
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../lab/command.js';
import { REPOSITORY, SETUP_DIR } from '../lab/repository.js';

/** The path of the program `name` (bench/peers/<name>.c), or of what is preloaded into one. */
export async function compilePeer(name: string, kind: 'program' | 'preloaded' = 'program'): Promise<string> {
  const source = join(REPOSITORY, 'bench/peers', `${name}.c`);
  const program = join(SETUP_DIR, name);
  if (!existsSync(program) || statSync(program).mtimeMs < statSync(source).mtimeMs) {
    mkdirSync(SETUP_DIR, { recursive: true });
    const fresh = `${program}.${process.pid}`;
    const shared = kind === 'preloaded' ? ['-shared', '-fPIC'] : [];
    await run(['cc', '-std=c11', '-O2', '-Wall', '-Wextra', '-Werror', ...shared, '-o', fresh, source]);
    // In one step, and never into a program that runs.
    renameSync(fresh, program);
  }
  return program;
}
