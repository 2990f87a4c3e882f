/**
 * A real LXC container on the fan's bridge: its own start script asks for an address by DHCP, and it and a container on
 * the other host reach each other.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Output, run } from '../../../bench/lab/command.js';
import { containerAddress, raiseFan } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { ping } from '../../../bench/lab/ping.js';
import { SETUP_DIR } from '../../../bench/lab/repository.js';
import type { FanView } from '../../../src/control/protocol.js';
import { FAN, until } from '../fan-lab.js';

/** LXC wants the namespace's own /sys/class/net, and the machine's cgroups; $0 is a directory for the change-over. */
const ENTER = `mount --rbind /sys/fs/cgroup "$0" && mount -t sysfs sysfs /sys &&
  mount --rbind "$0" /sys/fs/cgroup && umount -l "$0" && exec "$@"`;
const NAME = 'lxc-1';

let lab: Lab;
let fan: FanView;
let far: string;

/** Runs an lxc command in the host. Its template takes the static busybox. */
function lxc(host: Host, command: string, ...args: string[]): Promise<Output> {
  const enter = ['nsenter', `--net=/run/netns/${host.name}`, 'unshare', '-m', 'bash', '-c', ENTER];
  const env = { PATH: `${join(SETUP_DIR, 'busybox/bin')}:${process.env.PATH}` };
  const own = ['-P', join(host.dir, 'lxc'), '-n', NAME];
  return run([...enter, join(host.dir, 'cgroup'), command, ...own, ...args], { env });
}

beforeAll(async () => {
  lab = await createLab();
  const host = lab.host(1);
  for (const name of ['lxc', 'cgroup']) mkdirSync(join(host.dir, name));
  fan = (await raiseFan(host, [...FAN, 'dhcp'])).view;
  far = containerAddress((await raiseFan(lab.host(2), FAN)).view, 1);
  const config = { type: 'veth', link: fan.bridge, flags: 'up', mtu: '1480', name: 'eth0' };
  const lines = Object.entries(config).map(([key, value]) => `lxc.net.0.${key}=${value}\n`);
  const file = join(host.dir, 'lxc.conf');
  writeFileSync(file, `${lines.join('')}lxc.apparmor.profile=unconfined\n`);
  await lxc(host, 'lxc-create', '-f', file, '-t', 'busybox');
  await lxc(host, 'lxc-start', '-l', 'INFO', '-o', join(host.dir, 'lxc.log'));
});

afterAll(async () => {
  if (lab) await lxc(lab.host(1), 'lxc-stop', '-k').catch(() => {});
  lab?.remove();
});

it('gives an LXC container an address, and connects it with the other host', async () => {
  const host = lab.host(1);
  const ask = async () => (await lxc(host, 'lxc-info', '-iH')).stdout.trim();
  const address = await until(ask, (answer) => answer.startsWith('250.0.28.'));
  for (const size of ['56', '1452', '20000']) {
    const { stdout } = await lxc(host, 'lxc-attach', '--', 'ping', '-c', '2', '-s', size, far);
    expect(stdout).toContain('2 packets received, 0% packet loss');
  }
  expect(await ping(lab.host(2).container(1), address, { size: 1452, df: true })).toMatchObject({
    received: 3,
  });
});
