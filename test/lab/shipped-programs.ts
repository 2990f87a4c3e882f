/**
 * Before the lab files: the release is bundled, and it is what their hosts run. That is what people get, and it starts
 * in two thirds of the time that the build of many modules takes.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { REPOSITORY, SETUP_DIR } from '../../bench/lab/repository.js';

export default function setup(): void {
  const release = join(SETUP_DIR, 'release');
  execFileSync(process.execPath, [join(REPOSITORY, 'packaging/bundle.mjs'), release], { stdio: 'inherit' });
  process.env.UFAN_LAB_RELEASE = release;
}
