import { expect, test } from 'vitest';
import { isInstalled, run } from '../../../src/host/run.js';

test('stdout of what succeeds; arguments reach it untouched by any shell', async () => {
  expect(await run('echo', ['$HOME; a  b', '*'])).toBe('$HOME; a  b *\n');
});

test('a failure has the command and its stderr in one line', async () => {
  await expect(run('sh', ['-c', 'echo one >&2; echo two >&2; exit 3'])).rejects.toMatchObject({
    code: 'step-failed',
    message: 'sh -c echo one >&2; echo two >&2; exit 3: one; two',
  });
});

test('a failure without words still says something', async () => {
  await expect(run('false', [])).rejects.toThrow(/^false: .+/);
});

test('a missing program is named', async () => {
  await expect(run('ufan-no-such-program', [])).rejects.toMatchObject({
    code: 'unsupported',
    message: 'ufan-no-such-program is not installed: apt-get install ufan-no-such-program',
  });
  expect(await isInstalled('ufan-no-such-program')).toBe(false);
  expect(await isInstalled('sh')).toBe(true);
});
