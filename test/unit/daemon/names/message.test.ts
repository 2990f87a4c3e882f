import { decode, encode } from 'dns-packet';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseAddress } from '../../../../src/addr/ipv4-address.js';
import { Memory } from '../../../../src/daemon/names/memory.js';
import { readMessage, writeAnswer, writeQuestion } from '../../../../src/daemon/names/message.js';

const question = { id: 7, name: 'web.fan', type: 'A' };

test('a question, and each kind of answer, is read as it was written', () => {
  expect(readMessage(writeQuestion(question))).toEqual({ kind: 'question', question });
  for (const outcome of ['nothing', 'unknown', { addresses: [parseAddress('250.0.27.2')] }] as const) {
    expect(readMessage(writeAnswer(question, outcome))).toEqual({ kind: 'answer', question, outcome });
  }
  const reverse = { id: 9, name: '2.27.0.250.in-addr.arpa', type: 'PTR' };
  const outcome = { name: 'web.250-0-27.fan' };
  expect(readMessage(writeAnswer(reverse, outcome))).toEqual({ kind: 'answer', question: reverse, outcome });
});

test('a container has no IPv6 address, and is there all the same', () => {
  const bytes = writeAnswer({ ...question, type: 'AAAA' }, { addresses: [1] });
  expect(decode(bytes)).toMatchObject({ rcode: 'NOERROR', answers: [] });
});

test('two questions, or one of another class or kind, are none', () => {
  const one = { name: 'web.fan', type: 'A' } as const;
  expect(readMessage(encode({ type: 'query', id: 1, questions: [one, one] }))).toBeUndefined();
  expect(readMessage(encode({ type: 'query', id: 1, questions: [{ ...one, class: 'CH' }] }))).toBeUndefined();
  expect(readMessage(encode({ type: 'query', id: 1, flags: 2 << 11, questions: [one] }))).toBeUndefined();
});

test('no bytes make it fail, or wait', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      readMessage(Buffer.from(bytes));
    }),
  );
});

test('what was found is known for five seconds, that there is nothing for two, what nobody said not at all', () => {
  const memory = new Memory();
  memory.set('found', { addresses: [1] }, 0);
  memory.set('nothing', 'nothing', 0);
  memory.set('unknown', 'unknown', 0);
  const known = (nowMs: number) =>
    ['found', 'nothing', 'unknown'].filter((key) => memory.get(key, nowMs) !== undefined);
  expect([known(1999), known(2001), known(5001)]).toEqual([['found', 'nothing'], ['found'], []]);
  for (let i = 0; i < 2000; i++) memory.set(`${i}`, 'nothing', 0);
  expect([memory.get('0', 1), memory.get('1999', 1)]).toEqual([undefined, 'nothing']);
});
