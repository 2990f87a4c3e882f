import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  type Answer,
  decodeAnswer,
  decodeRequest,
  encodeAnswer,
  encodeRequest,
  MOST_MACS,
  MOST_SEEN,
  MOST_WHY,
  REQUEST_LEN,
} from '../../../../src/diagnosis/probe/message.js';
import { SeenProbes } from '../../../../src/diagnosis/probe/seen-probes.js';

const FACTS = {
  overlay: '250.0.0.0/8',
  underlay: '172.30.0.27/16',
  slice: '250.0.27.0/24',
  mtu: 1480,
  io: 'raw',
};
const ANSWERS: Answer[] = [
  {
    id: 'a',
    answer: 'facts',
    version: '0.1.0',
    fans: 1,
    fan: { ...FACTS, path: null, type: 'type ipip' },
    macs: ['02:00:00:00:00:01'],
  },
  { id: 'a', answer: 'facts', version: '0.1.0', fans: 2, fan: null, macs: [] },
  { id: 'a', answer: 'seen', probes: [[1, 44]] },
  { id: 'a', answer: 'sent' },
  { id: 'a', answer: 'hear', hears: true },
  { id: 'a', answer: 'hear', hears: false },
  { id: 'a', answer: 'way', stop: null },
  { id: 'a', answer: 'way', stop: { verdict: 'route-overridden', why: '250.0.28.0 leads to eth0' } },
];

describe('messages of probes', () => {
  it('come out as they went in, a request padded', () => {
    const request = {
      id: 'a',
      ask: 'facts' as const,
      overlay: '250.0.0.0/8',
      nonce: '0123456789abcdef',
      macs: ['a'],
      port: 8472,
    };
    expect(encodeRequest(request).length).toBe(REQUEST_LEN);
    expect(decodeRequest(encodeRequest(request))).toEqual(request);
    for (const answer of ANSWERS) expect(decodeAnswer(encodeAnswer(answer))).toEqual(answer);
  });

  it('a port is one of UDP, or none', () => {
    const asked = (port: unknown) =>
      decodeRequest(
        Buffer.from(JSON.stringify({ ufan: 1, id: 'a', ask: 'hear', overlay: '', nonce: '', port })),
      )?.port;
    expect([8472, 0, -1, 65_536, 1.5, '8472', undefined].map(asked)).toEqual([8472, 0, 0, 0, 0, 0, 0]);
  });

  it('an answer is no request, nor the other way round', () => {
    for (const answer of ANSWERS) expect(decodeRequest(encodeAnswer(answer))).toBeUndefined();
    expect(
      decodeAnswer(encodeRequest({ id: 'a', ask: 'seen', overlay: '', nonce: '', macs: [], port: 0 })),
    ).toBeUndefined();
  });

  it('the longest answers fit a request', () => {
    const id = 'f'.repeat(16);
    const probes = Array.from({ length: MOST_SEEN }, (): [number, number] => [65_535, 65_535]);
    expect(encodeAnswer({ id, answer: 'seen', probes }).length).toBeLessThanOrEqual(REQUEST_LEN);
    const macs = Array.from({ length: MOST_MACS }, () => '02:00:00:00:00:01');
    const fan = {
      ...FACTS,
      overlay: '255.255.255.255/32',
      slice: '255.255.255.255/30',
      io: 'packet',
      path: 65_535,
      type: 'type vxlan, vni 16777215, port 65535',
    };
    const facts = encodeAnswer({ id, answer: 'facts', version: '100.100.100', fans: 256, fan, macs });
    expect(facts.length).toBeLessThanOrEqual(REQUEST_LEN);
    const stop = { verdict: 'route-overridden', why: 'é'.repeat(MOST_WHY) } as const;
    expect(encodeAnswer({ id, answer: 'way', stop }).length).toBeLessThanOrEqual(REQUEST_LEN);
  });

  it('bring no control character to a terminal', () => {
    const stop = { verdict: 'route-overridden', why: 'to \u001b[31mé\r\n' } as const;
    expect(decodeAnswer(encodeAnswer({ id: 'a', answer: 'way', stop }))).toMatchObject({
      stop: { why: 'to ?[31mé??' },
    });
  });

  it.each([
    '{"ufan":1,"id":"a","answer":"way"}',
    '{"ufan":1,"id":"a","answer":"way","stop":7}',
    '{"ufan":1,"id":"a","answer":"way","stop":{"verdict":"rm","why":"x"}}',
    '{"ufan":1,"id":"a","answer":"way","stop":{"verdict":"route-missing","why":1}}',
  ])('%j is no way', (text) => {
    expect(decodeAnswer(Buffer.from(text))).toBeUndefined();
  });

  it.each([
    '',
    'x',
    'null',
    '7',
    '[]',
    '{}',
    '{"ufan":2,"id":"a","answer":"sent"}',
    '{"ufan":1,"answer":"sent"}',
  ])('%j is neither', (text) => {
    expect(decodeRequest(Buffer.from(text))).toBeUndefined();
    expect(decodeAnswer(Buffer.from(text))).toBeUndefined();
  });

  it.each([
    '{"ufan":1,"id":"a","answer":"facts","version":"1","fans":1}',
    '{"ufan":1,"id":"a","answer":"facts","version":"1","fans":1,"fan":{"overlay":7}}',
    '{"ufan":1,"id":"a","answer":"facts","version":1,"fans":1,"fan":null}',
  ])('%j is no answer', (text) => {
    expect(decodeAnswer(Buffer.from(text))).toBeUndefined();
  });
});

describe('what the responder remembers', () => {
  afterEach(() => void vi.useRealTimers());

  it('the latest probes of the latest exchanges', () => {
    const seen = new SeenProbes();
    for (let i = 0; i < 100; i++) seen.add(1, 'n', i, 44);
    expect(seen.of(1, 'n')).toHaveLength(60);
    expect(seen.of(1, 'n').at(-1)).toEqual([99, 44]);
    expect(seen.of(2, 'n')).toEqual([]);
    for (let i = 0; i < 256; i++) seen.add(3, `n${i}`, 0, 44);
    expect(seen.of(1, 'n')).toEqual([]);
    expect(seen.of(3, 'n255')).toHaveLength(1);
  });
});
