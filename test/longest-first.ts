/**
 * The order of test files: those that take longest begin first, so that no long one is left alone at the end while the
 * other workers have nothing to do. A list, because the durations that vitest keeps are not there in a fresh clone.
 */
import { basename } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Without ".test.ts", from three minutes down to half a one. The others go by their size, as vitest has it. */
const LONG = [
  'probe',
  'doctor',
  'traffic',
  'doctor-healthy',
  'doctor-firewall',
  'wire',
  'bench',
  'lifecycle',
  'docker',
  'demo',
  'doctor-fix',
];

function rank({ moduleId }: TestSpecification): number {
  const place = LONG.indexOf(basename(moduleId, '.test.ts'));
  return place < 0 ? LONG.length : place;
}

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}
