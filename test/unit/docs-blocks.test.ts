/** Each block of commands in the documentation is run by a test, or says why not; links and names lead to what is there. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { REPOSITORY } from '../../bench/lab/repository.js';
import { COUNTER_NAMES } from '../../src/dataplane/tables/counters.js';
import { blocksOf, documents, readBlocks } from '../command-blocks.js';

const DOCUMENTS = documents();

describe('blocksOf', () => {
  it('finds commands, indented or fenced, with what stands before them', () => {
    const text = [
      'Text',
      '    that goes on.',
      '',
      '<!-- run: fan, until ^C -->',
      '    first',
      '',
      '    second',
      'Text',
      '<!-- not run: no cloud here -->',
      '```sh',
      'third',
      '```',
      '```ts',
      'const program = 1;',
      '```',
      '',
      '    unmarked',
    ].join('\n');
    expect(blocksOf(text)).toEqual([
      { line: 5, text: 'first\n\nsecond', mark: { kind: 'run', place: 'fan', untilInterrupt: true } },
      { line: 10, text: 'third', mark: { kind: 'not run', reason: 'no cloud here' } },
      { line: 17, text: 'unmarked', mark: undefined },
    ]);
  });

  it('takes no comment for a mark that is none', () => {
    expect(() => blocksOf('<!-- run: somewhere -->\n    true')).toThrow(
      'line 1: "run: somewhere" is no mark',
    );
  });
});

describe('the documentation', () => {
  it.each(DOCUMENTS)('says of each block of %s whether a test runs it', (document) => {
    const unmarked = readBlocks(document).filter(({ mark }) => !mark);
    expect(unmarked.map(({ line, text }) => `${document}:${line}: ${text.split('\n')[0]}`)).toEqual([]);
  });

  it('names tests that exist where it leaves commands to another', () => {
    const reasons = DOCUMENTS.flatMap((document) =>
      readBlocks(document).flatMap(({ mark }) => (mark?.kind === 'not run' ? [mark.reason] : [])),
    );
    const tests = reasons.flatMap((reason) => reason.match(/\btest\/[\w./-]+\.ts\b/g) ?? []);
    expect(tests.filter((test) => !existsSync(join(REPOSITORY, test)))).toEqual([]);
  });

  it.each(DOCUMENTS)('has no link in %s that leads nowhere', (document) => {
    const text = readFileSync(join(REPOSITORY, document), 'utf8');
    const targets = [...text.matchAll(/\]\(([^)#\s]+)[^)]*\)|<img [^>]*src="([^"]+)"/g)].map(
      (match) => match[1] ?? match[2]!,
    );
    const inside = targets.filter((target) => !/^[a-z]+:/.test(target));
    expect(inside.filter((target) => !existsSync(join(REPOSITORY, dirname(document), target)))).toEqual([]);
  });

  it.each(DOCUMENTS)('names no counter in %s that the code has not', (document) => {
    const text = readFileSync(join(REPOSITORY, document), 'utf8');
    const named = [...text.matchAll(/`(drop-[a-z0-9-]*)`/g)].map((match) => match[1]!);
    expect(named.filter((name) => !['drop-', ...COUNTER_NAMES].includes(name))).toEqual([]);
  });
});
