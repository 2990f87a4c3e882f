/**
 * Two hosts with a real LXD each, whose containers fanatic put on a fan, routed or of layer 2: addresses by DHCP, names of the
 * other host's containers, traffic across hosts and to the outside, LXD and fand restarted. When all is undone LXD is as
 * it was.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../../bench/lab/command.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { Namespace } from '../../../bench/lab/namespace.js';
import { SETUP_DIR } from '../../../bench/lab/repository.js';
import { buildTrialImage } from '../../../src/runtimes/trial-image.js';
import { until } from '../fan-lab.js';
import { inNetworkOf, worksAcrossHosts } from './across-hosts.js';
import { LxdHost } from './lxd-host.js';

const FAN = '-u 172.30.0.0/16 -o 250.0.0.0/8';
const CONFIGURATION =
  'lxc profile list --format yaml; lxc network list --format yaml; lxc storage list --format yaml; lxc config show';
/** [what its fan has beside, the length of the network that a container has on link]. */
const SHAPES: [title: string, words: string, onLink: number][] = [
  ['routed', 'dhcp dns', 24],
  ['layer 2', 'type vxlan layer2 dhcp dns', 8],
];
const pid = (name: string): string => `lxc query /1.0/instances/${name}/state | jq .pid`;

let lab: Lab;
let hosts: [LxdHost, LxdHost];

beforeAll(async () => {
  lab = await createLab({ hosts: 2, containers: 0 });
  hosts = [await LxdHost.start(lab.host(1)), await LxdHost.start(lab.host(2))];
  process.env.UFAN_BUSYBOX = join(SETUP_DIR, 'busybox/bin/busybox');
  mkdirSync(join(lab.dir, 'image'));
  const image = await buildTrialImage(join(lab.dir, 'image'), 'lxd');
  for (const host of hosts) await host.does(`lxc image import ${image} --alias bb`);
});

afterAll(async () => {
  await Promise.all((hosts ?? []).map((host) => host.stop()));
  lab?.remove();
});

describe.each(SHAPES)('%s', (_, words, onLink) => {
  let before: string[];
  let addresses: string[];
  let there: Namespace;

  beforeAll(async () => {
    before = await Promise.all(hosts.map((host) => host.does(CONFIGURATION)));
    for (const host of hosts) await host.does(`fanatic enable-fan ${FAN} ${words} && fanatic enable-lxd`);
    addresses = await Promise.all([launch(hosts[0], 'web1'), launch(hosts[1], 'web2')]);
    there = new Namespace(`${lab.host(2).name}-web2`);
    await run(['ip', 'netns', 'attach', there.name, (await hosts[1].does(pid('web2'))).trim()]);
  });

  afterAll(() => run(['ip', 'netns', 'delete', there.name]));

  /** Starts a container on the fan, and returns the address that DHCP gave it. */
  async function launch(host: LxdHost, name: string): Promise<string> {
    const bridge = (await host.does('fanctl show')).split('\n')[1]!.split(' ')[0];
    await host.does(
      `lxc launch bb ${name} --profile default --profile ${bridge} -c security.privileged=true`,
    );
    const ask = () => host.does(`lxc exec ${name} -- ip -4 address show eth0`);
    const said = await until(ask, (text) => text.includes('inet '), 60_000);
    const [, address, length] = /inet (\S+)\/(\d+)/.exec(said)!;
    expect(Number(length)).toBe(onLink);
    return address!;
  }

  const asks = (from: number, words: string) => hosts[from]!.does(`lxc exec web${from + 1} -- ${words}`);

  it('DHCP gives addresses of the slices', () => {
    expect(addresses).toEqual([
      expect.stringMatching(/^250\.0\.28\./),
      expect.stringMatching(/^250\.0\.27\./),
    ]);
  });

  it('containers find those of the other host by name', async () => {
    for (const [from, name] of ['web2.250-0-27.fan', 'web1'].entries()) {
      const other = addresses[1 - from]!;
      const said = await asks(from, `ping -c 2 -W 5 ${name}`);
      expect(said).toContain(`(${other})`);
      expect(said).toContain('2 packets received');
    }
    expect(await asks(0, `nslookup ${addresses[1]}`)).toContain('web2.250-0-27.fan');
  });

  it('they reach each other and the outside, before and after a restart of fand', async () => {
    const far = { host: lab.host(2), container: there, address: addresses[1]! };
    await worksAcrossHosts(hosts[0], inNetworkOf(pid('web1')), far);
  });

  it('LXD and its containers may restart', async () => {
    await hosts[0].does('service lxd restart');
    expect(await asks(0, `ping -c 2 -W 5 ${addresses[1]}`)).toContain('2 packets received');
    await hosts[0].does('lxc restart --force web1');
    await until(
      () => hosts[0].shell('lxc exec web1 -- ping -c 2 -W 5 web2'),
      ({ stdout }) => stdout.includes('2 packets received'),
      60_000,
    );
  });

  it('undone, LXD is byte for byte as it was', async () => {
    expect((await hosts[0].shell('fanatic disable-lxd')).stderr).toMatch(/is in use by web1/);
    for (const [i, host] of hosts.entries()) {
      await host.does(`lxc delete --force web${i + 1} && fanatic disable-lxd && fanatic disable-fan`);
      expect(await host.does(CONFIGURATION)).toBe(before[i]);
      expect(await host.does('ip -o link')).not.toMatch(/fan-250|t[au][pn]-250/);
      expect(existsSync(`${host.host.dir}/fan.conf`) && host.read(`${host.host.dir}/fan.conf`)).toBeFalsy();
    }
  });
});
