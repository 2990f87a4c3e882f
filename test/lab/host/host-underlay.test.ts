/**
 * What an underlay means on a real host: odd device names, several addresses, the default route, addresses on lo.
 */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseAddress } from '../../../src/addr/ipv4-address.js';
import { parsePrefix } from '../../../src/addr/prefix.js';
import { parseUnderlay } from '../../../src/config/underlay.js';
import { FAN, HostLab } from './host-lab.js';

const ADDRESS = parseAddress('172.30.0.28');
const ODD_NAMES = ['enp0s3', 'br-lan', '250', 'a@b', "it's", '$(id)', '-x', 'dev', 'é'];
/** Not one that ends in *, which nftables takes for a pattern: the flag refuses it. */
const ODD_BRIDGES = ['eth0.5', 'a@b', '"quoted"', 'e*h'];

let lab: HostLab;
let host: string;

beforeEach(async () => {
  lab = await HostLab.open();
  ({ host } = await lab.hostAndPeer());
});

afterEach(() => lab.close());

const resolve = (text: string, namespace = host) =>
  lab.call(namespace, 'resolveUnderlay', parseUnderlay(text));
const ip = (...args: string[]) => lab.run(host, 'ip', ...args);

test('by address, by device, by the default route', async () => {
  const expected = { address: ADDRESS, length: 16, device: 'eth0', mtu: 1500 };
  expect(await resolve('172.30.0.28/16')).toEqual(expected);
  expect(await resolve('eth0/16')).toEqual(expected);
  await expect(resolve('default/16')).rejects.toThrow(/no default route: name the underlay/);
  await ip('route', 'add', 'default', 'via', '172.30.0.27');
  expect(await resolve('default/16')).toEqual(expected);
  await ip('link', 'set', 'dev', 'eth0', 'mtu', '1442');
  expect(await resolve('default/20')).toEqual({ ...expected, length: 20, mtu: 1442 });
});

test('the default route with the lowest metric counts, and its first next hop', async () => {
  await ip('link', 'add', 'name', 'eth1', 'type', 'veth', 'peer', 'name', 'eth2');
  await lab.configure(host, 'eth1', '10.9.0.1/24');
  await lab.configure(host, 'eth2');
  await ip('route', 'add', 'default', 'via', '10.9.0.2', 'metric', '100');
  const hops = ['nexthop', 'via', '172.30.0.27', 'nexthop', 'via', '10.9.0.2'];
  await ip('route', 'add', 'default', 'metric', '50', ...hops);
  expect(await resolve('default/16')).toMatchObject({ device: 'eth0' });
});

test('several addresses that fit equally are listed', async () => {
  await ip('address', 'add', '172.30.0.29/16', 'dev', 'eth0');
  await expect(resolve('eth0/16')).rejects.toThrow(
    'device eth0 has several addresses that fit /16 equally: 172.30.0.28, 172.30.0.29; ' +
      'name the one that is meant, such as 172.30.0.28/16',
  );
  expect(await resolve('172.30.0.29/16')).toMatchObject({ address: ADDRESS + 1 });
});

test('virtual addresses and other networks on the device do not get in the way', async () => {
  await ip('address', 'add', '172.30.0.99/32', 'dev', 'eth0');
  await ip('address', 'add', '10.1.2.3/24', 'dev', 'eth0');
  expect(await resolve('eth0/16')).toMatchObject({ address: ADDRESS });
  expect(await resolve('eth0/24')).toMatchObject({ address: parseAddress('10.1.2.3') });
});

test('a network means this host’s own address in it', async () => {
  const expected = { address: ADDRESS, length: 16, device: 'eth0', mtu: 1500 };
  expect(await resolve('172.30.0.0/16')).toEqual(expected);
  expect(await resolve('172.16.0.0/12')).toEqual({ ...expected, length: 12 });
  await ip('address', 'add', '172.30.0.50/32', 'dev', 'lo');
  await ip('address', 'add', '172.30.0.51/24', 'dev', 'lo');
  await ip('address', 'add', '172.30.0.52/32', 'dev', 'eth0');
  await ip('address', 'add', '172.30.0.29/16', 'dev', 'eth0');
  expect(await resolve('172.30.0.0/16')).toEqual(expected);
  await ip('address', 'add', '10.9.0.1/32', 'dev', 'eth0');
  expect(await resolve('10.9.0.0/16')).toMatchObject({ address: parseAddress('10.9.0.1') });
  await ip('address', 'add', '172.30.5.1/24', 'dev', 'eth0');
  await expect(resolve('172.30.0.0/16')).rejects.toThrow(
    'this host has several addresses in 172.30.0.0/16: 172.30.0.28 (eth0), 172.30.5.1 (eth0); ' +
      'name the one that is meant, such as 172.30.0.28/16',
  );
  await expect(resolve('172.31.0.0/16')).rejects.toThrow(
    /this host has no address in 172.31.0.0\/16; it has 172.30.0.28 \(eth0\), .*: name the network of one, or a device/,
  );
});

test('an address on lo is carried by the device that leads to its network', async () => {
  await ip('address', 'add', '172.30.0.50/32', 'dev', 'lo');
  expect(await resolve('172.30.0.50/16')).toMatchObject({ device: 'eth0', mtu: 1500 });
  await ip('address', 'add', '10.5.0.1/32', 'dev', 'lo');
  await expect(resolve('10.5.0.1/16')).rejects.toThrow(/10.5.0.1 is on lo, and no route leads/);
});

test('what cannot be is refused with a remedy', async () => {
  await expect(resolve('172.30.0.1/16')).rejects.toThrow(
    '172.30.0.1 is no address of this host; it has 172.30.0.28 (eth0): name one of these',
  );
  await expect(resolve('eth9/16')).rejects.toThrow(/no device eth9: "ip link" lists/);
  await expect(resolve('lo/16')).rejects.toThrow(/lo has no IPv4 address/);
  await ip('link', 'set', 'dev', 'eth0', 'down');
  await expect(resolve('eth0/16')).rejects.toThrow(/eth0 is down: ip link set dev eth0 up/);
});

test('routes of all tables, of any shape, but for those of addresses', async () => {
  await ip('route', 'add', '10.1.0.0/16', 'via', '172.30.0.27', 'table', '77');
  await ip('route', 'add', 'blackhole', '10.2.0.0/16');
  await ip('route', 'add', 'local', '10.4.0.0/16', 'dev', 'lo');
  await ip('route', 'add', 'default', 'via', '172.30.0.27');
  await ip('route', 'add', '10.3.0.1', 'nexthop', 'dev', 'eth0', 'nexthop', 'via', '172.30.0.27');
  const routes = await lab.call<{ destination: unknown; device: string }[]>(host, 'readRoutes');
  const route = (destination: string, device: string) => ({ destination: parsePrefix(destination), device });
  expect(routes).toHaveLength(8);
  expect(routes).toEqual(
    expect.arrayContaining([
      route('10.1.0.0/16', 'eth0'),
      route('10.2.0.0/16', 'blackhole'),
      route('0.0.0.0/0', 'eth0'),
      route('10.3.0.1/32', 'eth0'),
      route('172.30.0.0/16', 'eth0'),
      { ...route('127.0.0.0/8', 'lo'), isLocal: true },
      { ...route('10.4.0.0/16', 'lo'), isLocal: true },
    ]),
  );
});

test('no tunnel of the kernel is in the way here', async () => {
  expect(await lab.call(host, 'checkTunnel4', '172.30.0.28')).toBe(null);
});

test('devices of any name that Linux allows', async () => {
  let last = 'eth0';
  for (const name of [...ODD_NAMES, ...ODD_BRIDGES]) {
    await ip('link', 'set', 'dev', last, 'name', name);
    last = name;
    expect(await resolve(`${name}/16`), name).toMatchObject({ address: ADDRESS, device: name });
  }
});

test.each(ODD_BRIDGES)('a bridge called %s, all the way up and down', async (bridge) => {
  await lab.run(host, 'iptables', '-P', 'FORWARD', 'DROP');
  const before = await lab.snapshot(host);
  const records = await lab.up(host, { bridge, dhcp: !bridge.includes('*') });
  expect(await lab.call(host, 'ownDevices')).toEqual([bridge, FAN.tun]);
  const rules = await lab.json<{ nftables: object[] }>(host, 'nft', '-j', 'list', 'ruleset');
  expect(JSON.stringify(rules)).toContain(JSON.stringify(`ufan ${bridge}`));
  expect(await lab.down(host, records)).toEqual([]);
  expect(await lab.snapshot(host)).toEqual(before);
});
