import { describe, expect, it, test } from 'vitest';
import { formatAddress, parseAddress } from '../../../src/addr/ipv4-address.js';
import { parsePrefix } from '../../../src/addr/prefix.js';
import { createMapping } from '../../../src/fan/mapping.js';
import { ownerLabel, readAsked, reverseName, reverseZones } from '../../../src/fan/owner-name.js';

const mapping = createMapping(parsePrefix('250.0.0.0/8'), parseAddress('172.30.0.28'), 16);

test.each([
  ['250.0.28.0/24', '250-0-28'],
  ['99.224.80.0/20', '99-224-80'],
  ['33.240.16.32/28', '33-240-16-32'],
  ['240.11.0.0/16', '240-11'],
])('the label of %s is %s', (slice, label) => {
  expect(ownerLabel(parsePrefix(slice))).toBe(label);
});

describe('what a question is about, and who knows', () => {
  it.each([
    ['web.fan', 'web', undefined],
    ['WEB.fan.', 'web', undefined],
    ['web', 'web', undefined],
    ['web.250-0-27.fan', 'web', '172.30.0.27'],
    ['web.250-0-27-9.fan', 'web', '172.30.0.27'],
    ['web.250-1.fan', 'web', '172.30.1.0'],
    ['2.27.0.250.in-addr.arpa', '250.0.27.2', '172.30.0.27'],
  ])('%s: %s, %s', (text, what, owner) => {
    const asked = readAsked(mapping, 'fan', text)!;
    expect(asked.kind === 'name' ? asked.name : formatAddress(asked.address)).toBe(what);
    expect(asked.owner === undefined ? undefined : formatAddress(asked.owner)).toBe(owner);
  });

  it.each([
    '',
    '.',
    'web.example.org',
    'web.251-0-27.fan',
    'web.250-0-256.fan',
    'web.250-00-27.fan',
    'web.250-0-27-1-1.fan',
    'a.web.250-0-27.fan',
    'we b.fan',
    '2.27.0.251.in-addr.arpa',
    '27.0.250.in-addr.arpa',
    'x.27.0.250.in-addr.arpa',
    `${'x'.repeat(64)}.fan`,
  ])('"%s" is of no fan', (text) => {
    expect(readAsked(mapping, 'fan', text)).toBeUndefined();
  });
});

test.each([
  ['250.0.0.0/8', ['250.in-addr.arpa']],
  ['240.7.0.0/16', ['7.240.in-addr.arpa']],
  ['100.64.0.0/10', 64],
  ['240.0.0.0/5', 8],
  ['128.0.0.0/1', 128],
] as const)('the reverse zones of %s', (overlay, zones) => {
  const found = reverseZones(parsePrefix(overlay));
  if (typeof zones === 'number') expect(new Set(found).size).toBe(zones);
  else expect(found).toEqual(zones);
});

test('a reverse name is that of its address', () => {
  expect(reverseName(parseAddress('250.0.28.2'))).toBe('2.28.0.250.in-addr.arpa');
});
