/** Set up before each lab file: after a test that failed, what its fands logged last, as their logs go with the lab. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { LABS_DIR, listLabs } from '../../bench/lab/cleanup.js';
import { entries } from '../../bench/lab/processes.js';

const LINES = 15;

afterEach(({ task }) => {
  if (task.result?.state !== 'fail') return;
  for (const [lab, owner] of listLabs()) if (owner === process.pid) tellLogs(join(LABS_DIR, lab));
});

function tellLogs(dir: string): void {
  for (const host of entries(dir)) {
    const log = join(dir, host, 'fand.log');
    if (!existsSync(log)) continue;
    const lines = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-LINES);
    console.log(`the end of ${log}:\n${lines.join('\n')}`);
  }
}
