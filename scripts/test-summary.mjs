/**
 * Adds up what the stages of scripts/test left in a directory: `<stage>.exit.json` with the exit code and, from
 * some, `<stage>.json` with counts. A stage without counts is one test; set-up is none, unless it
 * fails. Plain JavaScript, because it must run when nothing compiles.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const dir = process.argv[2];
const SUFFIX = '.exit.json';

const read = (name) => JSON.parse(readFileSync(join(dir, name), 'utf8'));

function countsOf(stage) {
  const ok = read(`${stage}${SUFFIX}`).exit === 0;
  const alone = { passed: ok && stage !== 'setup' ? 1 : 0, failed: ok ? 0 : 1 };
  const counts = existsSync(join(dir, `${stage}.json`)) ? read(`${stage}.json`) : alone;
  // A stage can fail where no test did: it crashed half-way, or at its end.
  const failed = ok ? counts.failed : Math.max(counts.failed, 1);
  return { stage, passed: counts.passed, failed, failures: counts.failures ?? [], skipped: counts.skipped ?? [] };
}

const stages = readdirSync(dir)
  .filter((name) => name.endsWith(SUFFIX))
  .map((name) => countsOf(name.slice(0, -SUFFIX.length)));
const skipped = stages.flatMap((stage) => stage.skipped);
const sum = (key) => stages.reduce((total, stage) => total + stage[key], 0);

console.log('');
if (skipped.length > 0) console.log(`${skipped.length} SKIPPED:`);
for (const line of skipped) console.log(`  ${line}`);
for (const { stage, failed, failures } of stages) {
  if (failed > 0) console.log(`${failed} FAILED in ${stage}${failures.length > 0 ? ':' : ''}`);
  for (const line of failures) console.log(`  ${line}`);
}
console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
// Nothing passed: the pattern matched no test.
process.exitCode = sum('failed') > 0 || sum('passed') === 0 ? 1 : 0;
