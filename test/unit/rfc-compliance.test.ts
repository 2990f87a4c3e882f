/**
 * test/rfc-compliance.md names files and tests: both exist, so that a row can't outlive what holds it.
 */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

interface Row {
  asked: string;
  file: string;
  testFile: string;
  test: string;
}

const ROWS: Row[] = read('test/rfc-compliance.md')
  .split('\n')
  .filter((line) => /^\| [\d–]/.test(line))
  .map((line) => {
    const [, asked, where, how] = line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim());
    const [, testFile = '', test = ''] = /^`([^`]+)`: (.+)$/.exec(how ?? '') ?? [];
    return { asked: asked ?? '', file: where?.replaceAll('`', '') ?? '', testFile, test };
  });

it('has rows of each RFC', () => {
  expect(ROWS.length).toBeGreaterThan(25);
});

it.each(ROWS)('$asked', ({ file, testFile, test }) => {
  expect(read(file).length).toBeGreaterThan(0);
  // As it stands in the source, where a quote mark may be escaped.
  expect(read(testFile).replaceAll("\\'", "'")).toContain(test);
});
