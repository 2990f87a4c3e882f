/** Rows as `ip -json -4 route show table all` prints them. */
import { expect, test } from 'vitest';
import { parsePrefix } from '../../../src/addr/prefix.js';
import { parseRoutes } from '../../../src/host/routes.js';

test('every shape of route, those of single addresses aside', () => {
  const rows = [
    { dst: 'default', gateway: '172.30.0.1', dev: 'eth0', flags: [] },
    { dst: '172.30.0.0/16', dev: 'eth0', protocol: 'kernel', scope: 'link', prefsrc: '172.30.0.28' },
    { dst: '10.3.0.1', flags: [], nexthops: [{ dev: 'eth0' }, { gateway: '10.9.0.2', dev: 'a@b' }] },
    { type: 'blackhole', dst: '10.2.0.0/16', flags: [] },
    { dst: '10.1.0.0/16', dev: 'wg0', table: '77' },
    { type: 'local', dst: '172.30.0.28', dev: 'eth0', table: 'local', protocol: 'kernel' },
    { type: 'broadcast', dst: '172.30.255.255', dev: 'eth0', table: 'local', protocol: 'kernel' },
    { type: 'local', dst: '127.0.0.0/8', dev: 'lo', table: 'local', protocol: 'kernel' },
    { type: 'local', dst: '10.4.0.1', dev: 'lo', table: 'local', protocol: 'boot' },
  ];
  expect(parseRoutes(rows)).toEqual([
    { destination: parsePrefix('0.0.0.0/0'), device: 'eth0' },
    { destination: parsePrefix('172.30.0.0/16'), device: 'eth0' },
    { destination: parsePrefix('10.3.0.1/32'), device: 'eth0' },
    { destination: parsePrefix('10.3.0.1/32'), device: 'a@b' },
    { destination: parsePrefix('10.2.0.0/16'), device: 'blackhole' },
    { destination: parsePrefix('10.1.0.0/16'), device: 'wg0' },
    { destination: parsePrefix('127.0.0.0/8'), device: 'lo', isLocal: true },
    { destination: parsePrefix('10.4.0.1/32'), device: 'lo', isLocal: true },
  ]);
});
