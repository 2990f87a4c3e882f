/** Runs the built commands as child processes, each in an empty network namespace and with a run directory of its own. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';

export interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Path of a built file: "cli/fanctl.js". */
export function built(file: string): string {
  return fileURLToPath(new URL(`../../dist/src/${file}`, import.meta.url));
}

/** A directory that goes with the test file. */
export function makeScratch(): string {
  const dir = mkdtempSync(join(tmpdir(), 'ufan-cli-'));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** Runs `file` with `args` to its end. `unshare` are the namespaces that it gets new, net unless told otherwise. */
export function runBuilt(
  file: string,
  args: readonly string[],
  runDir: string,
  unshare: readonly string[] = ['--net'],
): Promise<Result> {
  return runCommand('unshare', [...unshare, process.execPath, built(file), ...args], runDir);
}

export function runCommand(command: string, args: readonly string[], runDir: string): Promise<Result> {
  const env = { ...process.env, UFAN_RUN_DIR: runDir, UFAN_LOG_LEVEL: 'info' };
  return new Promise((resolve) => {
    const child = execFile(command, [...args], { env, timeout: 55_000 }, (_error, stdout, stderr) => {
      resolve({ status: child.exitCode, stdout, stderr });
    });
  });
}
