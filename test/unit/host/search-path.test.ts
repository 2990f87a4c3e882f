import { describe, expect, it } from 'vitest';
import { searchPath } from '../../../src/host/run.js';

const DEFAULT = '/usr/sbin:/sbin:/usr/bin:/bin';

describe('where programs are looked for', () => {
  it.each([
    [undefined, DEFAULT],
    ['', DEFAULT],
    [':.:bin:/opt/bin::', `/opt/bin:${DEFAULT}`],
  ])('PATH %o never means the working directory', (path, expected) => {
    expect(searchPath(path)).toBe(expected);
  });
});
