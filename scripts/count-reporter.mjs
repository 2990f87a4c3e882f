/**
 * A vitest reporter for scripts/test: how many tests passed, which failed, and which were skipped, with the reason
 * that the test gave (`context.skip('…')`), which vitest's own JSON leaves out.
 */
import { writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';

export default class CountReporter {
  onTestRunEnd(testModules, unhandledErrors) {
    const counts = { passed: 0, failures: unhandledErrors.map(({ message }) => message), skipped: [] };
    for (const module of testModules) countModule(module, counts);
    const { UFAN_TEST_RESULTS: dir, UFAN_TEST_STAGE: stage } = process.env;
    writeFileSync(join(dir, `${stage}.json`), JSON.stringify({ ...counts, failed: counts.failures.length }));
  }
}

/** A file that cannot be loaded, or a hook that throws, is a failure of the file or suite, not of a test. */
function countModule(module, counts) {
  const file = relative('.', module.moduleId);
  for (const { message } of module.errors()) counts.failures.push(`${file}: ${message}`);
  for (const suite of module.children.allSuites()) {
    for (const { message } of suite.errors()) counts.failures.push(`${file}: ${suite.fullName}: ${message}`);
  }
  for (const test of module.children.allTests()) {
    const { state, note } = test.result();
    if (state === 'passed') counts.passed++;
    else if (state === 'failed') counts.failures.push(`${file}: ${test.fullName}`);
    else counts.skipped.push(`${file}: ${test.fullName} (${note ?? 'no reason given'})`);
  }
}
