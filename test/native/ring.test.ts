/** What a TUN gives and takes by a ring is what it does by a call for each packet; a real TUN in a namespace of its own. */
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { native } from '../../src/io/native.js';

interface Passed {
  /** Length and first byte, in order. */
  packets: [number, number][];
  reads: number;
  failures: number;
  errors: number[];
  arrived: [number, number][];
}

type Seen = Record<'calls' | 'ring' | 'closed', Passed> & {
  gone: { read: number; failures: number; errors: number[] };
};

const COUNT = 40;
const BROKEN = 3;
const EBADF = 9;
const EINVAL = 22;
const namespace = `ufan-ring-${process.pid}`;
const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
const numbers = Array.from({ length: COUNT }, (_, i) => i);
let seen: Seen;

beforeAll(() => {
  ip('netns', 'add', namespace);
  ip('netns', 'exec', namespace, 'sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1');
  ip('-n', namespace, 'tuntap', 'add', 'tun0', 'mode', 'tun');
  ip('-n', namespace, 'address', 'add', '10.7.0.1/24', 'dev', 'tun0');
  ip('-n', namespace, 'link', 'set', 'tun0', 'up');
  const addon = createRequire(import.meta.url).resolve('#native');
  const driver = fileURLToPath(new URL('ring-driver.mjs', import.meta.url));
  seen = JSON.parse(ip('netns', 'exec', namespace, process.execPath, driver, addon)) as Seen;
});

afterAll(() => ip('netns', 'delete', namespace));

test.each(['calls', 'ring', 'closed'] as const)('%s: a burst is read whole and in order', (kind) => {
  expect(seen[kind].packets).toEqual(numbers.map((i) => [1 + 30 * i, i]));
});

test.each(['calls', 'ring', 'closed'] as const)('%s: a burst is written, but for a broken one', (kind) => {
  const { failures, errors, arrived } = seen[kind];
  expect(failures).toBe(1);
  expect(errors).toEqual(numbers.map((i) => (i === BROKEN ? EINVAL : 0)));
  expect(arrived).toEqual(numbers.filter((i) => i !== BROKEN).map((i) => [1 + 20 * i, i]));
});

test('a ring asks for as many as came the last time, and twice as many where all came', () => {
  // 2, 5, 11, 23 would be more than there are; the last finds nothing.
  expect(seen.ring.reads).toBeGreaterThan(2);
  expect(seen.ring.reads).toBeLessThan(8);
});

test('of a TUN that is gone it says so, of each packet', () => {
  expect(seen.gone).toEqual({ read: -EBADF, failures: 3, errors: [EBADF, EBADF, EBADF] });
});

test('what is no ring is refused', () => {
  const batch = [new Uint8Array(0), new Uint32Array(0), 0] as const;
  expect(() => native.tunRead(1 << 30, {}, ...batch)).toThrow('ring: want null or what ringOpen returned');
  expect(() => native.ringClose([])).toThrow('ring: want null or what ringOpen returned');
});
