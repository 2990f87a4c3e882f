import { describe, expect, it } from 'vitest';
import { parsePrefix } from '../../../src/addr/prefix.js';
import { bridgeName, tunName } from '../../../src/fan/fan-name.js';

const free = () => false;

describe('bridgeName', () => {
  it.each([
    ['250.0.28.0/24', 'fan-250-0-28'],
    ['240.11.0.0/16', 'fan-240-11'],
    ['99.224.80.0/20', 'fan-99-224-80'],
    ['242.107.128.0/17', 'fan-242-107-128'],
    ['160.0.0.0/4', 'fan-160'],
    ['33.0.16.32/28', 'fan-33-0-16-32'],
    ['33.240.16.2/31', 'fan-33-240-16-2'],
    ['33.240.16.32/28', 'fan-21f01020'],
    ['1.240.16.32/28', 'fan-1-240-16-32'],
    ['2.240.160.32/28', 'fan-02f0a020'],
  ])('%s is %s', (slice, name) => {
    expect(bridgeName(parsePrefix(slice), free)).toBe(name);
    expect(name.length).toBeLessThanOrEqual(15);
  });

  it('falls back to hexadecimal, then counts from 2', () => {
    const taken = new Set<string>();
    const slice = parsePrefix('250.0.28.0/24');
    const names = [1, 2, 3, 4].map(() => {
      const name = bridgeName(slice, (n) => taken.has(n));
      taken.add(name);
      return name;
    });
    expect(names).toEqual(['fan-250-0-28', 'fan-fa001c00', 'fan-fa001c00-2', 'fan-fa001c00-3']);
  });

  it('says what to do when every name is taken', () => {
    expect(() => bridgeName(parsePrefix('250.0.28.0/24'), () => true)).toThrow(
      expect.objectContaining({ code: 'in-use', message: expect.stringContaining('bridge NAME') }),
    );
  });
});

it('the TUN has the same name after tun-', () => {
  expect(tunName(parsePrefix('250.0.28.0/24'), free)).toBe('tun-250-0-28');
  expect(tunName(parsePrefix('33.240.16.32/28'), free)).toBe('tun-21f01020');
});
