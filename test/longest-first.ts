/**
 * The order of test files: those that take longest begin first, so that no long one is left alone at the end while the
 * other workers have nothing to do. A list, because the durations that vitest keeps are not there in a fresh clone.
 */
import { basename } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Without ".test.ts", from four minutes down to one. The others go by their size, as vitest has it. */
const LONG = [
  ...['handover', 'doctor', 'probe', 'bulk', 'probe-vxlan', 'fanatic-docker', 'forged', 'healing'],
  ...['doctor-healthy', 'workers', 'topologies', 'packet-mode', 'traffic', 'bench', 'doctor-firewall'],
  ...['docs', 'vxlan', 'killed-or-removed', 'drop-reasons', 'host-nat', 'names', 'privileges'],
  ...['lxd-across-hosts', 'hostile', 'doctor-nat', 'docker', 'demo', 'up-and-down'],
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
