import { expect, it } from 'vitest';
import { parseAddress } from '../../../src/addr/ipv4-address.js';
import { parsePrefix } from '../../../src/addr/prefix.js';
import { FanTable } from '../../../src/fan/fan-table.js';

const table = (...overlays: string[]) =>
  new FanTable(overlays.map((text) => ({ overlay: parsePrefix(text) })));

it('prefers the longest prefix, whatever the order', () => {
  for (const overlays of [
    ['240.0.0.0/8', '240.7.0.0/16'],
    ['240.7.0.0/16', '240.0.0.0/8'],
  ]) {
    const made = table(...overlays);
    expect(overlays[made.lookup(parseAddress('240.7.1.1'))]).toBe('240.7.0.0/16');
    expect(overlays[made.lookup(parseAddress('240.8.1.1'))]).toBe('240.0.0.0/8');
  }
});

it('tells prefixes with one base apart', () => {
  const made = table('240.0.0.0/8', '240.0.0.0/16', '240.0.0.0/24');
  expect(['240.0.0.1', '240.0.1.1', '240.1.0.1'].map((text) => made.lookup(parseAddress(text)))).toEqual([
    2, 1, 0,
  ]);
});

it('returns −1 for what is in no overlay, and when there is none', () => {
  expect(table('250.0.0.0/8').lookup(parseAddress('172.30.0.28'))).toBe(-1);
  expect(table().lookup(0)).toBe(-1);
});

it('takes an int32 for an address', () => {
  expect(table('250.0.0.0/8').lookup(parseAddress('250.0.0.1') | 0)).toBe(0);
});

it('refuses an overlay twice', () => {
  expect(() => table('250.0.0.0/8', '250.0.0.0/8')).toThrow('overlay 250.0.0.0/8 is configured twice');
});
