/** Overlay, underlay and device names as text: what is taken, what is refused, and that formatting is the inverse. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddress } from '../../../src/addr/ipv4-address.js';
import { prefixOf } from '../../../src/addr/prefix.js';
import { FanError } from '../../../src/base/error.js';
import { isDeviceName } from '../../../src/config/device-name.js';
import { parseOverlay } from '../../../src/config/overlay.js';
import { formatUnderlay, parseUnderlay } from '../../../src/config/underlay.js';

const ADDRESS = 0xac1e_001c; // 172.30.0.28
const NETWORK = 0xac1e_0000; // 172.30.0.0

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof FanError) return error.code;
    throw error;
  }
  return 'no error';
}

describe('parseUnderlay', () => {
  it.each([
    ['172.30.0.28', { kind: 'address', address: ADDRESS, length: 16 }],
    ['172.30.0.28/16', { kind: 'address', address: ADDRESS, length: 16 }],
    ['172.30.0.28/0', { kind: 'address', address: ADDRESS, length: 0 }],
    ['172.30.0.0/16', { kind: 'network', address: NETWORK, length: 16 }],
    ['172.30.0.0', { kind: 'network', address: NETWORK, length: 16 }],
    ['172.30.0.0/15', { kind: 'network', address: NETWORK, length: 15 }],
    ['172.30.0.28/30', { kind: 'network', address: ADDRESS, length: 30 }],
    ['172.30.0.28/31', { kind: 'address', address: ADDRESS, length: 31 }],
    ['172.30.0.0/32', { kind: 'address', address: NETWORK, length: 32 }],
    ['eth0', { kind: 'device', device: 'eth0', length: 16 }],
    ['enp0s3/20', { kind: 'device', device: 'enp0s3', length: 20 }],
    ['eth0.100/24', { kind: 'device', device: 'eth0.100', length: 24 }],
    ['250', { kind: 'device', device: '250', length: 16 }],
    ['default', { kind: 'default', length: 16 }],
    ['default/24', { kind: 'default', length: 24 }],
  ])('%s', (text, spec) => {
    expect(parseUnderlay(text)).toEqual(spec);
  });

  it.each([
    '',
    '/16',
    'eth0/',
    'eth0/33',
    'eth0/08',
    'eth0/-1',
    'eth0/16/16',
    'eth0/x',
    '300.1.1.1',
    '010.0.0.1/16',
    'sixteen-bytes-xx',
  ])('refuses "%s"', (text) => {
    expect(codeOf(() => parseUnderlay(text))).toBe('bad-underlay');
  });

  it('takes back what formatUnderlay wrote', () => {
    const device = fc.string({ minLength: 1, maxLength: 15 }).filter((name) => isDeviceName(name));
    const length = fc.integer({ min: 0, max: 32 });
    const spec = fc.oneof(
      fc
        .record({ address: fc.integer({ min: 0, max: 0xffff_ffff }), length })
        .map(({ address, length }) => parseUnderlay(`${formatAddress(address)}/${length}`)),
      fc
        .record({
          address: fc.integer({ min: 0, max: 0xffff_ffff }),
          length: fc.integer({ min: 0, max: 30 }),
        })
        .map(({ address, length }) => {
          return { kind: 'network' as const, address: prefixOf(address, length).base, length };
        }),
      fc.record({
        kind: fc.constant('device' as const),
        device: device.filter((n) => !/^\d+(\.\d+){3}$/.test(n)),
        length,
      }),
      fc.record({ kind: fc.constant('default' as const), length }),
    );
    fc.assert(
      fc.property(spec, (one) => {
        expect(parseUnderlay(formatUnderlay(one))).toEqual(one);
      }),
    );
  });
});

describe('parseOverlay', () => {
  it.each([
    ['250', { base: 0xfa00_0000, length: 8 }],
    ['250.0.0.0/8', { base: 0xfa00_0000, length: 8 }],
    ['240.0.0.0/5', { base: 0xf000_0000, length: 5 }],
    ['100.64.0.0/10', { base: 0x6440_0000, length: 10 }],
  ])('%s', (text, prefix) => {
    expect(parseOverlay(text)).toEqual(prefix);
  });

  it.each(['', '256', '250.0.0.0', '250.0.0.1/8', '250.0.0.0/33', '250/8', 'eth0', '0250'])(
    'refuses "%s"',
    (text) => {
      expect(codeOf(() => parseOverlay(text))).toBe('bad-overlay');
    },
  );
});

// Each line was tried against the kernel with `ip link add NAME type veth`.
describe('isDeviceName', () => {
  it.each(['eth0', 'a.b', '...', '250', 'a=b', '-x', 'a"b', 'é', 'x,y', '0123456789abcde'])(
    'takes %s',
    (name) => {
      expect(isDeviceName(name)).toBe(true);
    },
  );
  it.each([
    '',
    '.',
    '..',
    'all',
    'default',
    'a b',
    'a/b',
    'a:b',
    'a%b',
    'à',
    'a\tb',
    '0123456789abcdef',
    'éééééééé',
  ])('refuses "%s"', (name) => {
    expect(isDeviceName(name)).toBe(false);
  });
});
