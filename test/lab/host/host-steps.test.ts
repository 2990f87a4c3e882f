/**
 * The steps of a fan in a real network namespace: what they leave behind (nothing), what they bear, what they adopt.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FAN, HostLab } from './host-lab.js';

let lab: HostLab;
let host: string;

beforeEach(async () => {
  lab = await HostLab.open();
  ({ host } = await lab.hostAndPeer());
});

afterEach(() => lab.close());

interface LinkRow {
  ifname: string;
  mtu: number;
  address: string;
  ifalias: string;
  txqlen: number;
  flags: string[];
  linkinfo: { info_data: Record<string, unknown> };
}

async function link(name: string): Promise<LinkRow> {
  const rows = await lab.json<LinkRow[]>(host, 'ip', '-d', '-j', 'link', 'show', 'dev', name);
  return rows[0]!;
}

async function addresses(device: string): Promise<string[]> {
  const rows = await lab.json<{ addr_info: { local: string; prefixlen: number }[] }[]>(
    host,
    ...['ip', '-j', 'address', 'show', 'dev', device],
  );
  return rows[0]!.addr_info.map((info) => `${info.local}/${info.prefixlen}`);
}

function overlayRoute(): Promise<{ dev: string; prefsrc: string }[]> {
  return lab.json(host, 'ip', '-j', 'route', 'show', '250.0.0.0/8');
}

test('down leaves the host exactly as it was before up', async () => {
  const before = await lab.snapshot(host);
  const records = await lab.up(host);
  const during = await lab.snapshot(host);
  for (const part of ['links', 'addresses', 'routes', 'nft', 'settings', 'files', 'processes'] as const) {
    expect(during[part], part).not.toBe(before[part]);
  }
  expect(await lab.down(host, records)).toEqual([]);
  expect(await lab.snapshot(host)).toEqual(before);
});

test('a failure in any step rolls back to the state before', async () => {
  const before = await lab.snapshot(host);
  const kinds = (await lab.up(host)).map((record) => record.kind);
  await lab.close();
  lab = await HostLab.open();
  ({ host } = await lab.hostAndPeer());
  expect(kinds).toEqual([
    'forwarding',
    'guard',
    'bridge',
    'tun',
    'route',
    'rp-filter',
    'nat',
    'firewall',
    'dhcp',
  ]);
  const clean = await lab.snapshot(host);
  expect(Object.keys(clean)).toEqual(Object.keys(before));
  for (const failAt of kinds.keys()) {
    const up = lab.call(host, 'upFailing', { ...FAN, runDir: lab.runDir, failAt });
    await expect(up, kinds[failAt]).rejects.toThrow(/^failed to .*: injected$/);
    expect(await lab.snapshot(host), kinds[failAt]).toEqual(clean);
  }
});

test('bridge, TUN and route are as the fan needs them', async () => {
  await lab.up(host, { hostReserve: 3 });
  const bridge = await link(FAN.bridge);
  expect(bridge).toMatchObject({ mtu: 1480, address: '02:fa:fa:00:1c:01', ifalias: 'ufan' });
  expect(bridge.flags).toContain('UP');
  expect(await addresses(FAN.bridge)).toEqual(['250.0.28.1/24', '250.0.28.2/24', '250.0.28.3/24']);
  const tun = await link(FAN.tun);
  expect(tun).toMatchObject({ mtu: 1480, txqlen: 1000, ifalias: 'ufan' });
  expect(tun.linkinfo.info_data).toMatchObject({ type: 'tun', pi: false, vnet_hdr: true, persist: true });
  expect(await overlayRoute()).toMatchObject([{ dev: FAN.tun, prefsrc: '250.0.28.1' }]);
  expect(await lab.call(host, 'ownDevices')).toEqual([FAN.bridge, FAN.tun]);
  expect(await lab.call(host, 'transmitDrops', FAN.tun)).toBe(0);
});

test('the MTU of the bridge stays when a port with a smaller one joins', async () => {
  await lab.up(host);
  await lab.run(host, 'ip', 'link', 'add', 'name', 'small', 'mtu', '1000', 'type', 'veth');
  await lab.run(host, 'ip', 'link', 'set', 'dev', 'small', 'master', FAN.bridge, 'up');
  expect((await link(FAN.bridge)).mtu).toBe(1480);
  expect(await lab.call(host, 'bridgePorts', FAN.bridge)).toEqual(['small']);
});

test('the route stays when somebody re-addresses the bridge', async () => {
  await lab.up(host);
  await lab.run(host, 'ip', 'address', 'flush', 'dev', FAN.bridge);
  await lab.run(host, 'ip', 'address', 'add', '250.0.28.1/24', 'dev', FAN.bridge);
  expect(await overlayRoute()).toMatchObject([{ dev: FAN.tun, prefsrc: '250.0.28.1' }]);
});

test('applying again adopts what stands and mends what is missing', async () => {
  const records = await lab.up(host);
  const before = await lab.snapshot(host);
  await lab.call(host, 'reapply', records);
  expect(mask(await lab.snapshot(host))).toEqual(mask(before));
  await lab.run(host, 'ip', 'link', 'delete', 'dev', FAN.bridge);
  await lab.run(host, 'ip', 'link', 'delete', 'dev', FAN.tun);
  await lab.run(host, 'nft', 'flush', 'ruleset');
  await lab.call(host, 'reapply', records);
  expect(await overlayRoute()).toMatchObject([{ dev: FAN.tun }]);
  expect(await addresses(FAN.bridge)).toEqual(['250.0.28.1/24']);
  expect(await lab.run(host, 'nft', 'list', 'tables')).toContain('ufan-fa001c00');
});

/** Handles grow when a table is replaced. */
function mask(snapshot: Record<string, string>): Record<string, string> {
  return { ...snapshot, nft: snapshot.nft!.replace(/"handle": \d+/g, '""') };
}

test('down bears that everything is gone already', async () => {
  const before = await lab.snapshot(host);
  const records = await lab.up(host);
  const pid = Number(await readFile(`${lab.runDir}/dnsmasq-${FAN.bridge}.pid`, 'utf8'));
  process.kill(pid, 'SIGKILL');
  await lab.run(host, 'ip', 'link', 'delete', 'dev', FAN.bridge);
  await lab.run(host, 'ip', 'link', 'delete', 'dev', FAN.tun);
  await lab.run(host, 'nft', 'flush', 'ruleset');
  expect(await lab.down(host, records)).toEqual([]);
  expect(await lab.snapshot(host)).toEqual(before);
  expect(await lab.down(host, records)).toEqual([]);
});

test('a device of the name that is not ours is refused and left alone', async () => {
  await lab.run(host, 'ip', 'link', 'add', 'name', FAN.bridge, 'type', 'veth', 'peer', 'name', 'other-end');
  const before = await lab.snapshot(host);
  await expect(lab.up(host)).rejects.toThrow(/fan-250-0-28 exists and is not ours: remove it/);
  expect(await lab.snapshot(host)).toEqual(before);
  await lab.run(host, 'ip', 'link', 'set', 'dev', FAN.bridge, 'name', FAN.tun);
  await expect(lab.up(host)).rejects.toThrow(/tun-250-0-28 exists and is not ours/);
});

test('devices that an earlier ufan left are adopted', async () => {
  await lab.run(host, 'ip', 'link', 'add', 'name', FAN.bridge, 'type', 'bridge');
  await lab.run(host, 'ip', 'link', 'set', 'dev', FAN.bridge, 'alias', 'ufan');
  await lab.run(host, 'ip', 'tuntap', 'add', 'dev', FAN.tun, 'mode', 'tun');
  await lab.run(host, 'ip', 'link', 'set', 'dev', FAN.tun, 'alias', 'ufan');
  const records = await lab.up(host);
  expect(await link(FAN.bridge)).toMatchObject({ mtu: 1480, address: '02:fa:fa:00:1c:01' });
  expect(await lab.down(host, records)).toEqual([]);
  expect(await lab.call(host, 'ownDevices')).toEqual([]);
});

test('a missing /dev/net/tun is named', async () => {
  // A mount namespace of its own, in which /dev/net is empty.
  const empty = `${lab.runDir}/dev-net`;
  await mkdir(empty);
  const driver = new URL('host-driver.mjs', import.meta.url).pathname;
  const request = JSON.stringify({ call: 'up', args: [{ ...FAN, runDir: lab.runDir }] });
  const script = 'mount --bind "$0" /dev/net && exec "$@"';
  const out = await lab.run(
    host,
    ...['unshare', '-m', 'sh', '-c', script, empty, process.execPath, driver, request],
  );
  expect(JSON.parse(out).error.message).toMatch(
    /^failed to set up TUN device tun-250-0-28: \/dev\/net\/tun is missing: modprobe tun/,
  );
  expect(await lab.call(host, 'ownDevices')).toEqual([]);
});

test('two fans on one host come and go in any order', async () => {
  const before = await lab.snapshot(host);
  const second = {
    overlay: '240.0.0.0/8',
    bridge: 'fan-240-0-28',
    tun: 'tun-240-0-28',
    dhcp: true,
    host: false,
  };
  const first = await lab.up(host);
  const other = await lab.up(host, second);
  expect(await lab.down(host, first.slice(1))).toEqual([]);
  expect(await overlayRoute()).toEqual([]);
  expect(await lab.json(host, 'ip', '-j', 'route', 'show', '240.0.0.0/8')).toMatchObject([
    { dev: second.tun },
  ]);
  expect(await lab.down(host, other)).toEqual([]);
  expect(await lab.down(host, first.slice(0, 1))).toEqual([]);
  expect(await lab.snapshot(host)).toEqual(before);
});

/** As an earlier ufan has the guard of these fans: all that is of outer packets stands in chain elsewhere. */
async function makeOlder(fans: readonly { key: string; bridge: string }[]): Promise<void> {
  const commands = fans.flatMap(({ key, bridge }) => {
    const add = (rule: string) => `add rule ip ufan-guard elsewhere ${rule} comment "${bridge}"`;
    return [
      ...['outer', 'through'].map((name) => `flush chain ip ufan-guard ${name}-${key}`),
      ...['outer', 'through'].map((name) => `delete chain ip ufan-guard ${name}-${key}`),
      add(`ip protocol 4 ip daddr 172.30.0.28 iifname != "eth0" counter name "tunnel-astray-${key}" drop`),
      add(`ip protocol 4 ip daddr 172.30.0.28 ip hdrlength > 5 jump options-${key}`),
    ];
  });
  await lab.run(host, 'nft', ['flush chain ip ufan-guard elsewhere', ...commands].join('; '));
}

test('a guard of an earlier ufan is renewed, and goes without a trace', async () => {
  const before = await lab.snapshot(host);
  const second = { overlay: '240.0.0.0/8', bridge: 'fan-240-0-28', tun: 'tun-240-0-28', host: false };
  const first = await lab.up(host);
  const other = await lab.up(host, second);
  const lines = async () =>
    (await lab.run(host, 'nft', '-s', 'list', 'table', 'ip', 'ufan-guard')).split('\n').sort();
  const keys = [
    { key: 'fa001c00', bridge: FAN.bridge },
    { key: 'f0001c00', bridge: second.bridge },
  ];
  const standing = await lines();
  await makeOlder(keys);
  expect(await lines()).not.toEqual(standing);
  await lab.call(host, 'reapply', first);
  await lab.call(host, 'reapply', other);
  expect(await lines()).toEqual(standing);

  await makeOlder(keys);
  expect(await lab.down(host, first.slice(1))).toEqual([]);
  expect((await lines()).join('\n')).not.toMatch(/fa001c00|fan-250-0-28/);
  expect((await lines()).join('\n')).toContain('options-f0001c00');
  expect(await lab.down(host, other)).toEqual([]);
  expect(await lab.down(host, first.slice(0, 1))).toEqual([]);
  expect(await lab.snapshot(host)).toEqual(before);
});

test('forwarding settings of single devices survive', async () => {
  const set = (path: string, value: string) =>
    lab.run(host, 'sh', '-c', 'printf %s "$1" > "/proc/sys/net/ipv4/$0"', path, value);
  await set('conf/eth0/forwarding', '1');
  await set('conf/all/accept_redirects', '0');
  const before = await lab.snapshot(host);
  const records = await lab.up(host);
  await lab.down(host, records);
  expect(await lab.snapshot(host)).toEqual(before);
});

test('ip_forward stays on for a bridge or firewall that came since', async () => {
  const records = await lab.up(host);
  await lab.run(host, 'ip', 'link', 'add', 'name', 'docker0', 'type', 'bridge');
  await lab.run(host, 'iptables', '-t', 'nat', '-A', 'POSTROUTING', '-j', 'MASQUERADE');
  const [note] = await lab.down(host, records);
  expect(note).toMatch(/ip_forward stays on: bridge docker0, nftables chain ip nat POSTROUTING came since/);
  expect((await lab.run(host, 'cat', '/proc/sys/net/ipv4/ip_forward')).trim()).toBe('1');
});

test('ip_forward goes off although a bridge that was there before remains', async () => {
  await lab.run(host, 'ip', 'link', 'add', 'name', 'docker0', 'type', 'bridge');
  const records = await lab.up(host);
  expect(await lab.down(host, records)).toEqual([]);
  expect((await lab.run(host, 'cat', '/proc/sys/net/ipv4/ip_forward')).trim()).toBe('0');
});

test('rp_filter is left alone where a strict one harms nothing, and loosened where it would', async () => {
  const filter = async (device: string) =>
    (await lab.run(host, 'cat', `/proc/sys/net/ipv4/conf/${device}/rp_filter`)).trim();
  await lab.run(host, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter');
  const plain = await lab.up(host);
  expect([await filter('eth0'), await filter(FAN.tun)]).toEqual([
    await filter('lo'),
    await filter('default'),
  ]);
  await lab.down(host, plain);
  // Peers answer to eth0, but the host sends to them by another device.
  await lab.run(host, 'ip', 'link', 'add', 'name', 'eth1', 'type', 'veth', 'peer', 'name', 'other');
  await lab.configure(host, 'eth1');
  await lab.run(host, 'ip', 'route', 'add', '172.30.0.0/24', 'dev', 'eth1');
  const before = await lab.snapshot(host);
  const crossed = await lab.up(host);
  expect(await filter('eth0')).toBe('2');
  expect(await filter('eth1')).not.toBe('2');
  await lab.down(host, crossed);
  expect(await lab.snapshot(host)).toEqual(before);
});
