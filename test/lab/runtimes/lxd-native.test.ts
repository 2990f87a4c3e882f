/**
 * LXD's own networks of `bridge.mode=fan`, on this kernel, which has no fan patch: two hosts with a real LXD each, containers
 * with addresses by its DHCP, and traffic between them by ufan's VXLAN fan.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { SETUP_DIR } from '../../../bench/lab/repository.js';
import { buildTrialImage } from '../../../src/runtimes/trial-image.js';
import { until } from '../fan-lab.js';
import { LxdHost } from './lxd-host.js';

const NETWORK =
  'lxc network create lxdfan0 bridge.mode=fan fan.overlay_subnet=250.0.0.0/8 fan.underlay_subnet=172.30.0.0/16';
/** LXD's dnsmasq asks fand for names of other hosts. */
const asksAt = (gateway: string): string => `${NETWORK} raw.dnsmasq='server=/fan/${gateway}#8327'`;

let lab: Lab;
let hosts: LxdHost[];

beforeAll(async () => {
  lab = await createLab({ hosts: 2, containers: 0 });
  hosts = await Promise.all([1, 2].map((number) => LxdHost.start(lab.host(number))));
});

afterAll(async () => {
  await Promise.all((hosts ?? []).map((host) => host.stop()));
  lab?.remove();
});

/** Starts a container and returns the address that it got. */
async function launch(host: LxdHost, image: string): Promise<string> {
  await host.does(`lxc image import ${image} --alias bb`);
  await host.does('lxc launch bb c1 -n lxdfan0 -c security.privileged=true');
  const ask = () => host.does('lxc exec c1 -- ip -4 address show eth0');
  const said = await until(ask, (text) => /inet 250/.test(text), 60_000);
  return /inet (\S+)\/8/.exec(said)![1]!;
}

const pings = async (host: LxdHost, to: string) =>
  (await host.shell(`lxc exec c1 -- ping -c 1 -W 1 ${to}`)).code === 0;

it('start, and their containers reach each other', async () => {
  const [one, other] = hosts as [LxdHost, LxdHost];
  expect((await one.shell(NETWORK)).stderr).toContain('fan-map');
  for (const host of hosts) {
    await host.does('fanatic enable-lxd --native');
    expect((await host.shell('fanatic enable-lxd --native')).stderr).toContain('enabled already');
    await host.does(asksAt(host === one ? '250.0.28.1' : '250.0.27.1'));
  }
  expect(await one.does('fanctl show')).toMatch(
    /^lxdfan0 +250\.0\.0\.0\/8 +172\.30\.0\.28\/16 .*dns leases \S+\/dnsmasq\.leases .*type vxlan .*layer2$/m,
  );
  process.env.UFAN_BUSYBOX = join(SETUP_DIR, 'busybox/bin/busybox');
  const dir = join(lab.dir, 'image');
  mkdirSync(dir);
  const image = await buildTrialImage(dir, 'lxd');
  const addresses = await Promise.all(hosts.map((host) => launch(host, image)));
  expect(addresses[0]).toMatch(/^250\.0\.28\./);
  expect(addresses[1]).toMatch(/^250\.0\.27\./);
  await until(
    () => pings(one, addresses[1]!),
    (passes) => passes,
  );
  await until(
    () => pings(other, addresses[0]!),
    (passes) => passes,
  );

  // The names that LXD's own DHCP server knows.
  const byName = await one.does('lxc exec c1 -- ping -c 1 -W 5 c1.250-0-27.fan');
  expect(byName).toContain(`(${addresses[1]})`);
  expect(byName).toContain('1 packets received');

  // LXD sets its networks up anew at its start.
  await one.does('service lxd restart');
  await until(
    () => pings(other, addresses[0]!),
    (passes) => passes,
  );

  expect((await one.shell('fanatic disable-lxd --native')).stderr).toMatch(
    /LXD's networks lxdfan0 have bridge.mode=fan/,
  );
  for (const host of hosts) {
    await host.does('lxc delete --force c1; lxc network delete lxdfan0; lxc image delete bb');
    expect(await host.does('fanctl show')).not.toContain('lxdfan0');
    await host.does('fanatic disable-lxd --native');
    expect(existsSync(host.dropIn)).toBe(false);
    expect(await host.does('ip -o link')).not.toMatch(/lxdfan0|tap-250/);
  }
});
