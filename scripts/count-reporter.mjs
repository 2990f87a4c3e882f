/**
 * A vitest reporter for scripts/test: how many tests passed and failed, and which were skipped, with the reason
 * that the test gave (`context.skip('…')`), which vitest's own JSON leaves out.
 */
import { writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';

export default class CountReporter {
  onTestRunEnd(testModules, unhandledErrors) {
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: [] };
    for (const module of testModules) countModule(module, counts);
    const { UFAN_TEST_RESULTS: dir, UFAN_TEST_STAGE: stage } = process.env;
    writeFileSync(join(dir, `${stage}.json`), JSON.stringify(counts));
  }
}

function countModule(module, counts) {
  // A file that cannot be loaded, or a hook that throws, is an error of the file or suite, not of a test.
  counts.failed += module.errors().length;
  for (const suite of module.children.allSuites()) counts.failed += suite.errors().length;
  for (const test of module.children.allTests()) {
    const { state, note } = test.result();
    if (state === 'passed' || state === 'failed') counts[state]++;
    else counts.skipped.push(`${relative('.', module.moduleId)}: ${test.fullName} (${note ?? 'no reason given'})`);
  }
}
