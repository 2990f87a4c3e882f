import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../../src/addr/ipv4-address.js';
import { chooseAddress, neighbourOf } from '../../../src/host/underlay.js';

function on(...texts: string[]) {
  return texts.map((text) => {
    const [address, length, scope] = text.split(/[/ ]/);
    return {
      device: 'eth0',
      address: parseAddress(address!),
      length: Number(length),
      scope: scope ?? 'global',
      isSecondary: false,
    };
  });
}

describe('chooseAddress', () => {
  test.each([
    [['172.30.0.28/16'], 16, '172.30.0.28'],
    [['10.88.244.215/20'], 16, '10.88.244.215'],
    [['10.0.0.1/24', '172.30.0.28/16'], 16, '172.30.0.28'],
    [['172.30.0.99/32', '172.30.0.28/16'], 16, '172.30.0.28'],
    [['172.30.0.99/32', '10.1.0.7/20'], 16, '10.1.0.7'],
    [['172.30.0.99/32'], 16, '172.30.0.99'],
    [['169.254.3.4/16 link', '172.30.0.28/16'], 16, '172.30.0.28'],
  ])('%j for /%i is %s', (addresses, length, expected) => {
    expect(chooseAddress(on(...addresses), 'eth0', length)).toBe(parseAddress(expected));
  });

  test('several that fit equally are listed with the remedy', () => {
    expect(() => chooseAddress(on('10.0.0.1/16', '10.0.0.2/16', '10.9.0.1/24'), 'eth0', 16)).toThrow(
      'device eth0 has several addresses that fit /16 equally: 10.0.0.1, 10.0.0.2; ' +
        'name the one that is meant, such as 10.0.0.1/16',
    );
  });

  test('none at all', () => {
    expect(() => chooseAddress(on('127.0.0.1/8 host'), 'lo', 16)).toThrow('device lo has no IPv4 address');
  });
});

test.each([
  ['172.30.0.28', 16, '172.30.0.1'],
  ['172.30.0.1', 16, '172.30.0.2'],
  ['10.0.0.0', 31, '10.0.0.1'],
  ['10.0.0.1', 31, '10.0.0.0'],
])('a neighbour of %s/%i is %s', (address, length, expected) => {
  expect(neighbourOf(parseAddress(address), length)).toBe(parseAddress(expected));
});
