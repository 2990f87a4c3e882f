import { describe, expect, it } from 'vitest';
import { BROADCAST, formatAddress, isHostAddress, parseAddress } from '../../../src/addr/ipv4-address.js';

describe('parseAddress', () => {
  it.each([
    ['0.0.0.0', 0],
    ['192.0.2.1', 0xc0000201],
    ['255.255.255.255', BROADCAST],
  ])('%s', (text, address) => {
    expect(parseAddress(text)).toBe(address);
    expect(formatAddress(address)).toBe(text);
  });

  it.each([
    '',
    '10.1',
    '1.2.3.256',
    '1.2.3.-1',
    '01.2.3.4',
    '1.2.3.4 ',
    '1.2.3.4/8',
    '0x1.2.3.4',
    '::1',
    'eth0',
  ])('refuses "%s"', (text) => {
    expect(() => parseAddress(text)).toThrow(expect.objectContaining({ code: 'bad-address' }));
    expect(() => parseAddress(text)).toThrow(/no IPv4 address: write four numbers/);
  });
});

it('formats the bits of an int32 as well', () => {
  expect(formatAddress(-1)).toBe('255.255.255.255');
});

it.each([
  ['0.0.0.0', false],
  ['0.255.255.255', false],
  ['1.0.0.0', true],
  ['126.255.255.255', true],
  ['127.0.0.1', false],
  ['128.0.0.0', true],
  ['223.255.255.255', true],
  ['224.0.0.1', false],
  ['239.255.255.255', false],
  ['240.0.0.0', true],
  ['255.255.255.254', true],
  ['255.255.255.255', false],
])('isHostAddress(%s) is %s', (text, expected) => {
  expect(isHostAddress(parseAddress(text))).toBe(expected);
});
