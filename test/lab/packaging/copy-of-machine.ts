/** Runs shell scripts in a copy of this machine's files; the repository is in it twice, as /first and /second. */
import { join } from 'node:path';
import { type Output, run } from '../../../bench/lab/command.js';
import { REPOSITORY } from '../../../bench/lab/repository.js';

const PROGRAM = join(REPOSITORY, 'test/lab/packaging/in-copy-of-machine.sh');

/** `prefix` is npm's global one there. Whatever its exit status. */
export function inCopy(script: string, timeoutMs = 110_000): Promise<Output> {
  const head = 'export npm_config_prefix=/opt/npm PATH=/opt/npm/bin:$PATH\nmkdir -p /opt/npm/lib\n';
  return run([PROGRAM, REPOSITORY], { input: `${head}${script}`, timeoutMs, anyExit: true });
}
