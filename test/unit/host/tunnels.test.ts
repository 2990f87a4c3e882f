/** Rows as `ip -json -details link show` prints them on a kernel with ipip and sit. */
import { expect, test } from 'vitest';
import { parseAddress } from '../../../src/addr/ipv4-address.js';
import { parseLinks } from '../../../src/host/links.js';
import { findRival } from '../../../src/host/tunnels.js';

const OURS = parseAddress('172.30.0.28');

function row(kind: string, attributes: object, flags = ['NOARP', 'UP', 'LOWER_UP']) {
  const linkinfo = { info_kind: kind, info_data: attributes };
  return { ifindex: 4, ifname: 'tunl0', flags, mtu: 1480, linkinfo };
}

test.each([
  ['tunl0, up', row('ipip', { proto: 'any', remote: 'any', local: 'any', ttl: 0 })],
  ['ipip to our address', row('ipip', { proto: 'ipip', remote: 'any', local: '172.30.0.28' })],
  ['a collecting one', row('ipip', { external: true, proto: 'ipip' })],
  ['sit that carries IPv4 too', row('sit', { proto: 'any', remote: 'any', local: 'any' })],
])('%s is in the way', (_, link) => {
  expect(findRival(parseLinks([{}, link]), OURS)?.name).toBe('tunl0');
});

test.each([
  ['tunl0, down', row('ipip', { proto: 'any', remote: 'any', local: 'any' }, ['NOARP'])],
  ['one with a remote end', row('ipip', { proto: 'ipip', remote: '10.0.0.1', local: 'any' })],
  ['one on another address', row('ipip', { proto: 'ipip', remote: 'any', local: '10.0.0.2' })],
  ['MPLS over IPv4', row('ipip', { proto: 'mplsip', remote: 'any', local: 'any' })],
  ['sit as it comes, for IPv6', row('sit', { proto: 'ip6ip', remote: 'any', local: 'any' })],
  ['a bridge', row('bridge', {})],
])('%s is not', (_, link) => {
  expect(findRival(parseLinks([link]), OURS)).toBeUndefined();
});
