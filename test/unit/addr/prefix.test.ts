import { describe, expect, it } from 'vitest';
import {
  broadcastOf,
  contains,
  containsPrefix,
  formatPrefix,
  maskOf,
  overlaps,
  parsePrefix,
  samePrefix,
  without,
} from '../../../src/addr/prefix.js';

const p = parsePrefix;

describe('parsePrefix', () => {
  it.each(['0.0.0.0/0', '250.0.0.0/8', '100.64.0.0/10', '255.255.255.254/31', '255.255.255.255/32'])(
    '%s',
    (text) => {
      expect(formatPrefix(p(text))).toBe(text);
    },
  );

  it.each(['', '250.0.0.0', '250.0.0.0/', '250.0.0.0/33', '250.0.0.0/-1', '250.0.0.0/8/8', '250/8', '/8'])(
    'refuses "%s"',
    (text) => {
      expect(() => p(text)).toThrow(expect.objectContaining({ code: 'bad-address' }));
    },
  );

  it('refuses host bits and names the network that was meant', () => {
    expect(() => p('250.0.0.1/8')).toThrow('250.0.0.1/8 has host bits set: did you mean 250.0.0.0/8?');
  });
});

it('maskOf spans /0 to /32', () => {
  expect([0, 1, 8, 31, 32].map(maskOf)).toEqual([0, 0x80000000, 0xff000000, 0xfffffffe, 0xffffffff]);
});

it('broadcastOf is the last address', () => {
  expect(broadcastOf(p('0.0.0.0/0'))).toBe(0xffffffff);
  expect(broadcastOf(p('250.0.28.0/24'))).toBe(0xfa001cff);
  expect(broadcastOf(p('250.0.28.1/32'))).toBe(0xfa001c01);
});

it('contains', () => {
  expect(contains(p('0.0.0.0/0'), 0xffffffff)).toBe(true);
  expect(contains(p('250.0.0.0/8'), 0xfaffffff)).toBe(true);
  expect(contains(p('250.0.0.0/8'), 0xfb000000)).toBe(false);
});

it('containsPrefix and overlaps', () => {
  expect(containsPrefix(p('250.0.0.0/8'), p('250.0.28.0/24'))).toBe(true);
  expect(containsPrefix(p('250.0.28.0/24'), p('250.0.0.0/8'))).toBe(false);
  expect(containsPrefix(p('250.0.0.0/8'), p('250.0.0.0/8'))).toBe(true);
  expect(overlaps(p('250.0.28.0/24'), p('250.0.0.0/8'))).toBe(true);
  expect(overlaps(p('250.0.28.0/24'), p('250.0.29.0/24'))).toBe(false);
});

it('samePrefix compares base and length', () => {
  expect(samePrefix(p('250.0.0.0/8'), p('250.0.0.0/8'))).toBe(true);
  expect(samePrefix(p('250.0.0.0/8'), p('250.0.0.0/16'))).toBe(false);
});

it('a network without one that lies in it is the rest, each address once', () => {
  const rest = without(p('250.0.0.0/8'), p('250.0.28.0/24'));
  expect(rest.map(formatPrefix).slice(0, 3)).toEqual(['250.128.0.0/9', '250.64.0.0/10', '250.32.0.0/11']);
  const count = ({ length }: { length: number }) => 2 ** (32 - length);
  expect(rest.map(count).reduce((a, b) => a + b)).toBe(2 ** 24 - 2 ** 8);
  expect(rest.some((part) => overlaps(part, p('250.0.28.0/24')))).toBe(false);
  expect(without(p('10.0.0.0/8'), p('10.0.0.0/8'))).toEqual([]);
  expect(without(p('0.0.0.0/0'), p('128.0.0.0/1')).map(formatPrefix)).toEqual(['0.0.0.0/1']);
});
