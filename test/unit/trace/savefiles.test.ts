/** Names and contents of the files of a capture, as tcpdump has them. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkRotation, type Rotation, Savefiles } from '../../../src/trace/savefiles.js';
import { formatTime } from '../../../src/trace/time-format.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ufan-savefiles-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const FRAME = { begin: () => Buffer.from('<'), end: () => Buffer.from('>') };

function open(rotation: Rotation, name = 'x', nowMs = 0): Savefiles {
  return new Savefiles(join(dir, name), rotation, FRAME, nowMs);
}

function contents(): Record<string, string> {
  return Object.fromEntries(readdirSync(dir).map((name) => [name, readFileSync(join(dir, name), 'latin1')]));
}

const blocks = (text: string) => [...text].map((letter) => Buffer.from(letter));

describe('files of a capture', () => {
  it('are one, where nothing else was asked for', () => {
    const files = open({});
    files.write(blocks('abc'));
    files.write([]);
    files.write(blocks('d'));
    files.close();
    expect(contents()).toEqual({ x: '<abcd>' });
  });

  it('-C: the name, then numbers from 1', () => {
    const files = open({ bytes: 3 });
    files.write(blocks('abcdefgh'));
    files.close();
    expect(contents()).toEqual({ x: '<abc>', x1: '<def>', x2: '<gh>' });
  });

  it('-C -W: numbers from 0 with leading zeros, in a ring', () => {
    const files = open({ bytes: 1, files: 11 });
    files.write(blocks('abcdefghijklm'));
    files.close();
    const written = contents();
    expect(Object.keys(written)).toEqual(
      ['00', '01', '02', '03', '04', '05', '06', '07', '08', '09', '10'].map((n) => `x${n}`),
    );
    expect([written.x00, written.x01, written.x02]).toEqual(['<l>', '<m>', '<c>']);
  });

  it('-G: by the time, a name each', () => {
    const files = open({ seconds: 10 }, 'x%s', 5_000);
    files.write(blocks('a'), 6_000);
    files.write(blocks('b'), 14_999);
    files.write(blocks('c'), 15_000);
    files.write(blocks('d'), 47_000);
    files.close();
    expect(contents()).toEqual({ x5: '<ab>', x15: '<c>', x45: '<d>' });
  });

  it('-G -W: no more files than that', () => {
    const files = open({ seconds: 10, files: 2 }, 'x%s');
    files.write(blocks('a'), 0);
    files.write(blocks('b'), 10_000);
    files.write(blocks('c'), 20_000);
    files.close();
    expect(contents()).toEqual({ x0: '<a>', x10: '<bc>' });
  });

  it('-G -C: numbers within a time', () => {
    const files = open({ seconds: 10, bytes: 2 }, 'x%s-');
    files.write(blocks('abcd'), 0);
    files.write(blocks('e'), 10_000);
    files.close();
    expect(contents()).toEqual({ 'x0-': '<ab>', 'x0-1': '<cd>', 'x10-': '<e>' });
  });

  it('have each block once, in order, and are no longer than asked for by more than a block', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.array(fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 9 }), { maxLength: 9 }),
        (bytes, writes) => {
          const files = open({ bytes });
          for (const sizes of writes) files.write(sizes.map((size) => Buffer.from(`${size}`.repeat(size))));
          files.close();
          const written = contents();
          const inOrder = Object.keys(written).sort((a, b) => Number(a.slice(1)) - Number(b.slice(1)));
          const all = inOrder.map((name) => written[name]!);
          expect(all.map((text) => text.slice(1, -1)).join('')).toBe(
            writes
              .flat()
              .map((size) => `${size}`.repeat(size))
              .join(''),
          );
          for (const text of all) expect(text.length - 1).toBeLessThanOrEqual(bytes + 9);
          for (const name of inOrder) rmSync(join(dir, name));
        },
      ),
    );
  });
});

describe('what is refused', () => {
  it.each([
    ['x', { files: 2 }, '-W counts the files of -C or -G'],
    ['x', { files: 2, bytes: 1, seconds: 1 }, 'give it with one of them'],
    ['-', { bytes: 1 }, 'need a file'],
    ['x', { seconds: 1 }, 'say the time in its name, such as -w x-%H%M%S'],
    ['x%Q', { seconds: 1 }, '%Q is no time'],
    ['x%', { seconds: 1 }, '% is no time'],
  ])('%s %j', (file, rotation, words) => {
    expect(() => checkRotation(file, rotation)).toThrow(words);
  });

  it.each([
    ['x', {}],
    ['x', { bytes: 1, files: 3 }],
    ['x', { seconds: 5, files: 1 }],
    ['x%s', { seconds: 5, files: 4 }],
  ])('not %s %j', (file, rotation) => {
    expect(() => checkRotation(file, rotation)).not.toThrow();
  });
});

it('times are those of date(1)', () => {
  const date = new Date(2026, 1, 3, 4, 5, 6);
  expect(formatTime('%Y-%m-%d %y %j %H:%M:%S %F %T %R %% %s', date)).toBe(
    `2026-02-03 26 034 04:05:06 2026-02-03 04:05:06 04:05 % ${date.getTime() / 1000}`,
  );
});
