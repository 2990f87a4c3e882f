/**
 * `fanctl up … dhcp` as a container sees it: a real DHCP client configures its eth0 by the answer and talks to a container
 * on the other host. What dnsmasq is told, and its life, is tested in host-dhcp.test.ts.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { showFans } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import type { Namespace } from '../../../bench/lab/namespace.js';
import { ping } from '../../../bench/lab/ping.js';
import type { Lease } from '../../../src/control/leases.js';
import { FAN, killFand } from '../fan-lab.js';

/** The client's hook: sets up what it was given, and prints it. */
const HOOK = `#!/bin/sh
[ "$1" = bound ] || exit 0
ip address add "$ip/$mask" dev "$interface"
ip link set "$interface" mtu "$mtu"
ip route add default via "$router"
env
`;
const FULL = 1452;

let lab: Lab;

beforeAll(async () => {
  lab = await createLab({ containers: 2 });
  writeFileSync(join(lab.dir, 'hook'), HOOK, { mode: 0o755 });
  await lab.host(1).fanctl(['up', ...FAN, 'dhcp', 'host-reserve', '9']);
  await lab.host(2).fanctl(['up', ...FAN, 'dhcp']);
});

afterAll(() => lab?.remove());

/** Asks on eth0, once a second; what the client was given, as its hook sees it. Rejects where nobody answers. */
async function lease(client: Namespace, seconds = 20): Promise<Record<string, string>> {
  const ask = ['-n', '-q', '-f', '-t', `${seconds}`, '-T', '1', '-O', 'mtu'];
  const { stdout } = await client.exec(['udhcpc', '-i', 'eth0', '-s', join(lab.dir, 'hook'), ...ask]);
  return Object.fromEntries(stdout.split('\n').map((line) => line.split('=', 2)));
}

/** Plugs all containers of the host in, and has each ask; their addresses. */
async function leaseAll(host: Host): Promise<string[]> {
  const { bridge = '', gateway } = (await showFans(host))[0] ?? {};
  const addresses: string[] = [];
  // One after the other: dnsmasq pings an address for 3 s before it gives it away, and hears nobody else meanwhile.
  for (const container of host.containers) {
    await container.attach({ bridge, mtu: 1500 });
    const got = await lease(container);
    expect(got).toMatchObject({ mask: '24', router: gateway, dns: gateway, mtu: '1480', lease: '3600' });
    addresses.push(got.ip ?? '');
  }
  return addresses;
}

/** Of the dnsmasq of the host's fan. */
async function dnsmasqPid(host: Host): Promise<number> {
  const bridge = (await showFans(host))[0]?.bridge;
  return Number(readFileSync(join(host.dir, `dnsmasq-${bridge}.pid`), 'utf8'));
}

/** A zombie, which only its parent can end, has no command line. */
function runs(pid: number): boolean {
  const file = `/proc/${pid}/cmdline`;
  return existsSync(file) && readFileSync(file, 'utf8') !== '';
}

it('configures containers of two hosts so that they reach each other at full size', async () => {
  const [near = [], far = []] = await Promise.all(lab.hosts.map(leaseAll));
  for (const [addresses, slice, first] of [
    [near, '250.0.28.', 10],
    [far, '250.0.27.', 2],
  ] as const) {
    expect(new Set(addresses).size).toBe(2);
    for (const address of addresses) {
      expect(address.startsWith(slice)).toBe(true);
      expect(Number(address.split('.')[3])).toBeGreaterThanOrEqual(first);
      expect(Number(address.split('.')[3])).toBeLessThan(255);
    }
  }
  for (const [i, container] of lab.host(1).containers.entries()) {
    expect(await ping(container, far[i] ?? '', { size: FULL, df: true })).toMatchObject({ received: 3 });
  }
  expect(await ping(lab.host(2).container(1), near[0] ?? '')).toMatchObject({ received: 3 });
});

it('answers nobody on the underlay', async () => {
  // Its own fan is on the same bridge as the other host's eth0: each dnsmasq hears of it, if it listens there.
  await expect(lease(lab.host(2), 5)).rejects.toThrow(/no lease/);
});

it('leases survive restarts of fand, its death, an up, and a down that was forced', async () => {
  const host = lab.host(1);
  const words = [...FAN, 'dhcp', 'host-reserve', '9'];
  const leases = async () => JSON.parse((await host.fanctl(['leases', '--json'])).stdout) as Lease[];
  const given = await leases();
  expect(given).toHaveLength(2);
  for (const { bridge, address, hardwareAddress, expires } of given) {
    expect({ bridge, address }).toEqual({
      bridge: 'fan-250-0-28',
      address: expect.stringMatching(/^250\.0\.28\./),
    });
    expect(hardwareAddress).toMatch(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
    expect(Date.parse(expires ?? '')).toBeGreaterThan(Date.now());
  }
  const text = (await host.fanctl(['leases'])).stdout;
  expect(text).toMatch(/^Bridge +Address +MAC +Name +Expires\n/);
  expect(text).toContain(given[0]?.address);

  await host.fanctl(['restart']);
  expect(await leases()).toEqual(given);
  await killFand(host);
  expect(await leases()).toEqual(given);
  await host.fanctl(['up', ...words]);
  expect(await leases()).toEqual(given);

  await host.fanctl(['down', ...FAN, '--force']);
  expect(await leases()).toEqual([]);
  await host.fanctl(['up', ...words]);
  expect(await leases()).toEqual(given);
  // The server knows them, too: a client that asks anew is given what it had.
  const { stdout } = await host.container(1).exec(['cat', '/sys/class/net/eth0/address']);
  const own = given.find(({ hardwareAddress }) => hardwareAddress === stdout.trim());
  expect(await lease(host.container(1))).toMatchObject({ ip: own?.address });
});

it('ends with the fan', async () => {
  const host = lab.host(1);
  const pid = await dnsmasqPid(host);
  expect(runs(pid)).toBe(true);
  await host.ip('link set c1 nomaster', 'link set c2 nomaster');
  await host.fanctl(['down', ...FAN]);
  expect(existsSync(`${host.dir}-state`)).toBe(false);
  expect(runs(pid)).toBe(false);
  expect(readdirSync(host.dir).filter((name) => name.startsWith('dnsmasq'))).toEqual([]);
  expect(runs(await dnsmasqPid(lab.host(2)))).toBe(true);
});
