import { describe, expect, it } from 'vitest';
import { formatAddress, parseAddress } from '../../../src/addr/ipv4-address.js';
import { formatPrefix, parsePrefix } from '../../../src/addr/prefix.js';
import type { FanErrorCode } from '../../../src/base/error.js';
import { createMapping, sliceOf, underlayHostOf } from '../../../src/fan/mapping.js';

/** mapping('250.0.0.0/8', '172.30.0.28/16') */
function mapping(overlay: string, underlay: string) {
  const [address, width] = underlay.split('/');
  return createMapping(parsePrefix(overlay), parseAddress(address!), Number(width));
}

describe('createMapping', () => {
  it.each([
    ['250.0.0.0/8', '172.30.0.28/16', '250.0.28.0/24', '250.0.28.1'],
    ['250.0.0.0/8', '172.30.0.27/16', '250.0.27.0/24', '250.0.27.1'],
    ['99.0.0.0/8', '10.99.238.5/20', '99.224.80.0/20', '99.224.80.1'],
    ['33.0.0.0/8', '10.111.1.2/12', '33.240.16.32/28', '33.240.16.33'],
    ['240.0.0.0/5', '10.88.244.215/20', '242.107.128.0/17', '242.107.128.1'],
    ['100.64.0.0/10', '10.224.220.10/24', '100.66.128.0/18', '100.66.128.1'],
    ['240.0.0.0/8', '192.168.202.11/24', '240.11.0.0/16', '240.11.0.1'],
    ['240.7.0.0/16', '192.168.202.11/24', '240.7.11.0/24', '240.7.11.1'],
    ['250.0.0.0/8', '172.30.0.29/10', '250.120.0.116/30', '250.120.0.117'],
    ['128.0.0.0/2', '10.0.0.2/30', '160.0.0.0/4', '160.0.0.1'],
  ])('%s on %s is %s', (overlay, underlay, slice, gateway) => {
    const made = mapping(overlay, underlay);
    expect(formatPrefix(made.slice)).toBe(slice);
    expect(formatAddress(made.gateway)).toBe(gateway);
    expect(formatPrefix(made.overlay)).toBe(overlay);
    expect(formatAddress(made.address)).toBe(underlay.split('/')[0]);
    expect(formatAddress(underlayHostOf(made, made.gateway))).toBe(underlay.split('/')[0]);
    expect(sliceOf(made, made.address)).toEqual(made.slice);
  });

  it.each<[string, string, FanErrorCode, RegExp]>([
    ['250.0.0.0/16', '172.30.0.28/16', 'bad-overlay', /no larger than underlay 172\.30\.0\.0\/16/],
    ['250.0.0.0/24', '172.30.0.28/16', 'bad-overlay', /no larger than underlay/],
    ['250.0.0.0/15', '172.30.0.28/16', 'bad-overlay', /leaves each host a \/31/],
    ['0.0.0.0/8', '172.30.0.28/16', 'bad-overlay', /overlaps 0\.0\.0\.0\/8 \("this network"\)/],
    ['0.0.0.0/0', '172.30.0.28/16', 'bad-overlay', /overlaps 0\.0\.0\.0\/8/],
    ['127.0.0.0/8', '172.30.0.28/16', 'bad-overlay', /overlaps 127\.0\.0\.0\/8 \(loopback\)/],
    ['96.0.0.0/3', '172.30.0.28/16', 'bad-overlay', /loopback/],
    ['225.0.0.0/8', '172.30.0.28/16', 'bad-overlay', /overlaps 224\.0\.0\.0\/4 \(multicast\)/],
    ['192.0.0.0/2', '10.0.0.28/16', 'bad-overlay', /multicast/],
    [
      '172.0.0.0/8',
      '172.30.0.28/16',
      'overlap',
      /overlay 172\.0\.0\.0\/8 and underlay 172\.30\.0\.0\/16 overlap/,
    ],
    ['250.0.0.0/8', '172.30.0.0/16', 'bad-underlay', /172\.30\.0\.0 is the network address/],
    ['250.0.0.0/8', '172.30.255.255/16', 'bad-underlay', /172\.30\.255\.255 is the broadcast address/],
    ['250.0.0.0/8', '172.30.0.28/32', 'bad-underlay', /is the network address/],
    ['250.0.0.0/8', '172.30.0.28/33', 'bad-underlay', /width \/33 is not between/],
    ['250.0.0.0/8', '172.30.0.28/0', 'bad-underlay', /width \/0 is not between/],
    ['250.0.0.0/8', '172.30.0.28/1.5', 'bad-underlay', /width \/1.5 is not between/],
    ['250.0.0.0/8', '127.0.0.1/16', 'bad-underlay', /127\.0\.0\.1 is in 127\.0\.0\.0\/8 \(loopback\)/],
    ['250.0.0.0/8', '224.0.0.5/16', 'bad-underlay', /multicast/],
    ['250.0.0.0/8', '0.0.0.5/16', 'bad-underlay', /this network/],
    ['250.0.0.0/8', '255.255.255.255/16', 'bad-underlay', /broadcast/],
  ])('refuses %s on %s as %s', (overlay, underlay, code, message) => {
    expect(() => mapping(overlay, underlay)).toThrow(message);
    expect(() => mapping(overlay, underlay)).toThrow(expect.objectContaining({ code }));
  });

  it('refuses host bits in an overlay that was not parsed', () => {
    expect(() => createMapping({ base: 0xfa000001, length: 8 }, 0xac1e001c, 16)).toThrow(
      'overlay 250.0.0.1/8 has host bits set: did you mean 250.0.0.0/8?',
    );
  });
});

it.each([
  ['250.0.0.0/8', '172.30.0.28/16', '250.0.27.3', '172.30.0.27'],
  ['100.64.0.0/10', '10.224.220.10/24', '100.66.200.5', '10.224.220.11'],
  ['250.0.0.0/8', '172.30.0.28/16', '250.0.0.9', '172.30.0.0'],
  ['250.0.0.0/8', '172.30.0.28/16', '250.255.255.9', '172.30.255.255'],
  ['250.0.0.0/8', '172.30.0.28/16', '250.0.28.9', '172.30.0.28'],
])('in %s on %s, %s is on %s', (overlay, underlay, address, host) => {
  expect(formatAddress(underlayHostOf(mapping(overlay, underlay), parseAddress(address)))).toBe(host);
});
