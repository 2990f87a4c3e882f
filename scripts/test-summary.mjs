/**
 * Adds up what the stages of scripts/test left in a directory: `<stage>.exit.json` with the exit code, beside it
 * counts of our own (`<stage>.json`) or vitest's report (`<stage>.vitest.json`). A stage without counts is one
 * test. Plain JavaScript, because it must run when nothing compiles.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const dir = process.argv[2];
const read = (name) => (existsSync(join(dir, name)) ? JSON.parse(readFileSync(join(dir, name), 'utf8')) : undefined);

const total = { passed: 0, failed: 0 };
const failures = [];
const skipped = [];

for (const file of readdirSync(dir).filter((name) => name.endsWith('.exit.json'))) {
  const stage = file.slice(0, -'.exit.json'.length);
  const ok = read(file).exit === 0;
  const counts = countsOf(stage, ok);
  // A stage can fail where no test did: an error outside any test, or a crash half-way.
  if (!ok && counts.failed === 0) counts.failed = 1;
  total.passed += counts.passed;
  total.failed += counts.failed;
  if (counts.failed > 0) failures.push(`${stage}: ${counts.failed} failed`);
}

function countsOf(stage, ok) {
  const report = read(`${stage}.vitest.json`);
  if (report) return vitestCounts(report);
  return read(`${stage}.json`) ?? { passed: ok ? 1 : 0, failed: ok ? 0 : 1 };
}

/** A file that could not be loaded has no tests: it counts as one that failed. */
function vitestCounts(report) {
  const broken = report.testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && assertionResults.every((one) => one.status !== 'failed'),
  );
  for (const { name, assertionResults } of report.testResults) {
    for (const one of assertionResults.filter(({ status }) => status !== 'passed' && status !== 'failed')) {
      const reason = one.meta?.skipReason ?? one.failureMessages?.[0] ?? 'no reason given';
      skipped.push(`${name}: ${one.fullName} (${reason})`);
    }
  }
  return { passed: report.numPassedTests, failed: report.numFailedTests + broken.length };
}

console.log('');
if (skipped.length > 0) console.log(`${skipped.length} TESTS SKIPPED:`);
for (const line of skipped) console.log(`SKIPPED ${line}`);
for (const line of failures) console.log(`FAILED  ${line}`);
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 ? 1 : 0;
