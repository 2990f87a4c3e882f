/** fand's log on a terminal: words of others in it move nothing there. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { built, makeScratch, runCommand } from './run-cli.js';

const dir = makeScratch();

it('shows the control characters of messages and errors', async () => {
  const program = join(dir, 'log.mjs');
  const words = JSON.stringify('x\x1b[31m\nfand: all is well\x9b');
  writeFileSync(
    program,
    `import { createLog } from ${JSON.stringify(built('base/log.js'))};
    const log = await createLog('test');
    log.warn(${words});
    log.error({ err: new Error(${words}) }, 'failed');`,
  );
  const { stdout } = await runCommand('script', ['-qec', `${process.execPath} ${program}`, '/dev/null'], dir);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are the printer's own.
  const text = stdout.replaceAll(/\x1b\[3[0-9]m/g, '');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that none is there is what is tested.
  expect(text).not.toMatch(/[\x1b\x9b]/);
  expect(text).toContain('x\\x1b[31m\\nfand: all is well\\x9b');
  expect(stdout).not.toContain('x\x1b[31m');
});
