import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/longest-first.js';

// Each Node would read all of these certificates at its start, for nothing: twice the time that it takes without.
delete process.env.NODE_EXTRA_CA_CERTS;

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/{unit,property,oracle,vectors,native,cli,arch,fuzz}/**/*.test.ts'],
          maxWorkers: 2,
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'lab',
          include: ['test/lab/**/*.test.ts'],
          globalSetup: ['test/lab/shipped-programs.ts'],
          setupFiles: ['test/lab/tell-logs.ts'],
          // Most of their time they wait: for daemons, answers, timeouts.
          maxWorkers: 4,
          sequence: { groupOrder: 1 },
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // A condition that comes true ends the wait; how soon is the machine's matter.
          expect: { poll: { timeout: 30_000 } },
        },
      },
    ],
  },
});
