import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../../src/addr/ipv4-address.js';
import { parsePrefix } from '../../../src/addr/prefix.js';
import type { FanErrorCode } from '../../../src/base/error.js';
import {
  checkAgainstAddresses,
  checkAgainstFans,
  checkAgainstRoutes,
  checkTracking,
} from '../../../src/fan/fan-conflicts.js';
import { createMapping } from '../../../src/fan/mapping.js';

/** fan('250.0.0.0/8 172.30.0.28/16') */
function fan(text: string) {
  const [overlay, address, width] = text.split(/[ ](.*)\//);
  return createMapping(parsePrefix(overlay!), parseAddress(address!), Number(width));
}

describe('checkAgainstFans', () => {
  it.each([
    ['another overlay on the same underlay', '240.0.0.0/8 172.30.0.28/16', '250.0.0.0/8 172.30.0.28/16'],
    ['another overlay on another underlay', '240.0.0.0/8 10.0.0.28/16', '250.0.0.0/8 172.30.0.28/16'],
    ['an overlay within the other', '240.7.0.0/16 192.168.202.11/24', '240.0.0.0/8 192.168.202.11/24'],
    ['an overlay around the other', '240.0.0.0/8 192.168.202.11/24', '240.7.0.0/16 192.168.202.11/24'],
  ])('allows %s', (_, candidate, other) => {
    expect(() => checkAgainstFans(fan(candidate), [{ mapping: fan(other), bridge: 'b' }])).not.toThrow();
  });

  it.each<[string, string, string, FanErrorCode, RegExp]>([
    [
      'the same again',
      '250.0.0.0/8 172.30.0.28/16',
      '250.0.0.0/8 172.30.0.28/16',
      'already-configured',
      /250\.0\.0\.0\/8 on 172\.30\.0\.0\/16 is already configured \(fan-b\)/,
    ],
    [
      'the same from another address of the network',
      '250.0.0.0/8 172.30.0.29/16',
      '250.0.0.0/8 172.30.0.28/16',
      'already-configured',
      /already configured/,
    ],
    [
      'the same overlay on another underlay network',
      '250.0.0.0/8 10.0.0.28/16',
      '250.0.0.0/8 172.30.0.28/16',
      'overlap',
      /of fan-b, which is on another underlay network \(172\.30\.0\.0\/16\)/,
    ],
    [
      'an overlapping overlay on another width of the underlay',
      '240.7.0.0/16 192.168.202.11/24',
      '240.0.0.0/8 192.168.202.11/20',
      'overlap',
      /another underlay network/,
    ],
    [
      'an overlay over the other underlay',
      '172.0.0.0/8 10.0.0.28/16',
      '250.0.0.0/8 172.30.0.28/16',
      'overlap',
      /overlay 172\.0\.0\.0\/8 overlaps 172\.30\.0\.0\/16, the underlay of fan-b/,
    ],
    [
      'an underlay in the other overlay',
      '240.0.0.0/8 250.0.28.1/24',
      '250.0.0.0/8 172.30.0.28/16',
      'overlap',
      /the overlay of fan-b: fans cannot be stacked/,
    ],
    [
      'an overlay in the other slice',
      '240.11.0.0/16 192.168.202.11/24',
      '240.0.0.0/8 192.168.202.11/24',
      'overlap',
      /lies in 240\.11\.0\.0\/16, the slice of fan-b/,
    ],
    [
      'an overlay in the other slice, for another host address',
      '240.11.0.0/16 192.168.202.12/24',
      '240.0.0.0/8 192.168.202.11/24',
      'overlap',
      /lies in/,
    ],
    [
      'a slice that holds the other overlay',
      '240.0.0.0/8 192.168.202.11/24',
      '240.11.0.0/16 192.168.202.12/24',
      'overlap',
      /would hold 240\.11\.0\.0\/16, the overlay of fan-b/,
    ],
    [
      'slices that overlap',
      '240.0.0.0/9 192.168.202.22/24',
      '240.0.0.0/8 192.168.202.11/24',
      'overlap',
      /slice 240\.11\.0\.0\/17 overlaps 240\.11\.0\.0\/16, the slice of fan-b/,
    ],
  ])('refuses %s', (_, candidate, other, code, message) => {
    const check = () => checkAgainstFans(fan(candidate), [{ mapping: fan(other), bridge: 'fan-b' }]);
    expect(check).toThrow(message);
    expect(check).toThrow(expect.objectContaining({ code }));
  });

  it('looks at every fan', () => {
    const others = ['240.0.0.0/8 10.0.0.28/16', '250.0.0.0/8 172.30.0.28/16'].map((text, i) => ({
      mapping: fan(text),
      bridge: `fan-${i}`,
    }));
    expect(() => checkAgainstFans(fan('250.0.0.0/8 172.30.0.28/16'), others)).toThrow('(fan-1)');
    expect(() => checkAgainstFans(fan('250.0.0.0/8 172.30.0.28/16'), [])).not.toThrow();
  });
});

describe('checkTracking', () => {
  const candidate = fan('250.128.0.0/9 172.30.0.28/16');
  const beside = (text: string, notrack?: true) => [
    { mapping: fan(text), bridge: 'fan-b', ...(notrack && { notrack }) },
  ];
  const overlapping = '250.0.0.0/8 172.30.0.28/16';

  it.each([
    ['a new fan with notrack', true, beside(overlapping)],
    ['a new fan beside one with notrack', false, beside(overlapping, true)],
  ])('refuses %s where overlays overlap', (_, notrack, others) => {
    expect(() => checkTracking(candidate, notrack, others)).toThrow(
      'notrack is not for fans whose overlays overlap, and fan-b has 250.0.0.0/8: leave it out of both',
    );
  });

  it.each([
    ['no notrack', false, beside(overlapping)],
    ['overlays apart', true, beside('251.0.0.0/8 172.30.0.28/16', true)],
    ['no other fan', true, []],
  ])('allows %s', (_, notrack, others) => {
    expect(() => checkTracking(candidate, notrack, others)).not.toThrow();
  });
});

describe('checkAgainstAddresses', () => {
  const candidate = fan('250.0.0.0/8 172.30.0.28/16');
  const on = (device: string) => (text: string) => ({ address: parseAddress(text), device });

  it('allows the underlay and what lies elsewhere', () => {
    const addresses = ['172.30.0.28', '249.255.255.255', '251.0.0.0', '127.0.0.1'].map(on('eth0'));
    expect(() => checkAgainstAddresses(candidate, addresses)).not.toThrow();
  });

  it.each(['250.0.99.1', '250.0.28.1', '250.0.0.0', '250.255.255.255'])('refuses %s', (text) => {
    const addresses = [on('eth0')('172.30.0.28'), on('lo')(text)];
    expect(() => checkAgainstAddresses(candidate, addresses)).toThrow(
      expect.objectContaining({
        code: 'overlap',
        message: `overlay 250.0.0.0/8 holds ${text}, an address of this host on lo: choose another overlay or remove that address`,
      }),
    );
  });
});

describe('checkAgainstRoutes', () => {
  const candidate = fan('250.0.0.0/8 172.30.0.28/16');
  const route = (destination: string) => ({ destination: parsePrefix(destination), device: 'eth1' });

  it('allows the default route, the underlay and what lies elsewhere', () => {
    const routes = ['0.0.0.0/0', '172.30.0.0/16', '249.0.0.0/8', '192.168.0.0/16'].map(route);
    expect(() => checkAgainstRoutes(candidate, routes)).not.toThrow();
  });

  it.each(['250.0.0.0/8', '250.7.0.0/16', '250.1.2.3/32', '240.0.0.0/4', '128.0.0.0/1'])(
    'refuses %s',
    (text) => {
      expect(() => checkAgainstRoutes(candidate, [route('0.0.0.0/0'), route(text)])).toThrow(
        expect.objectContaining({
          code: 'overlap',
          message: `overlay 250.0.0.0/8 overlaps the route to ${text} on eth1: choose another overlay or remove that route`,
        }),
      );
    },
  );
});
