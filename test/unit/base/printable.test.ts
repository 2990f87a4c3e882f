import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { printable, printableJson, printableLines } from '../../../src/base/printable.js';

/** What a terminal would obey. */
const OBEYED = /[\p{Cc}\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/u;

describe('text of others', () => {
  it.each([
    ['an escape sequence', '\x1b[2J\x1b[31mred', '\\x1b[2J\\x1b[31mred'],
    ['a line that looks like ours', 'x\n#2 decap: accepted', 'x\\n#2 decap: accepted'],
    ['a return to the line that is there', 'DROPPED\raccepted', 'DROPPED\\raccepted'],
    ['C1', '\x9b31m', '\\x9b31m'],
    ['turned text', 'a\u202eb\u2066', 'a\\u{202e}b\\u{2066}'],
    ['other scripts stay', 'zwölf 網 🙂', 'zwölf 網 🙂'],
    ['half a character', 'a\ud800b', 'a\\u{d800}b'],
  ])('%s', (_, text, shown) => {
    expect(printable(text)).toBe(shown);
  });

  it('has nothing left that is obeyed, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(printable(text)).not.toMatch(OBEYED);
        expect(printableLines(text).replaceAll('\n', '')).not.toMatch(OBEYED);
      }),
    );
  });

  it('keeps its lines where these are ours', () => {
    expect(printableLines('one\ntwo\x1b')).toBe('one\ntwo\\x1b');
  });

  it('is the same in JSON, read again', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const json = printableJson(JSON.stringify({ text }, undefined, 2));
        expect(json.replaceAll('\n', '')).not.toMatch(OBEYED);
        expect(JSON.parse(json)).toEqual({ text });
      }),
    );
  });
});
