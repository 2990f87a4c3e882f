/**
 * fanatic and the runtimes that need no daemon: plain CNI, podman with CNI, LXC. Each is enabled, its container has an
 * address of the slice and reaches the other host, and after disable its files are what they were.
 */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildRoot } from '../../../bench/lab/docker-host.js';
import { containerAddress, raiseFan } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { ping } from '../../../bench/lab/ping.js';
import { SETUP_DIR } from '../../../bench/lab/repository.js';
import { FAN } from '../fan-lab.js';
import { CONTAINERS_CONF, GuidedHost } from './guided-host.js';

/** As Debian's, and with a line of somebody's. */
const LXC_CONF = `lxc.net.0.type = empty
lxc.apparmor.profile = unconfined
lxc.tty.max=2`;

let lab: Lab;
let host: Host;
let guided: GuidedHost;
let far: string;
let root: string;

beforeAll(async () => {
  lab = await createLab();
  host = lab.host(1);
  guided = new GuidedHost(host);
  installPodman();
  installLxc();
  far = containerAddress((await raiseFan(lab.host(2), FAN)).view, 1);
  await guided.does('fanatic enable-fan 250.0.0.0/8 172.30.0.0/16');
  root = await buildRoot(lab.dir);
});

afterAll(async () => {
  await guided?.shell('lxc-stop -k; podman rm -fa -t 0');
  lab?.remove();
});

/** `ip netns exec` hides the cgroups: back to the mounts of the test. */
const inMountsOfTest = (): string =>
  `nsenter --mount=/proc/${process.pid}/ns/mnt --net=/run/netns/${host.name}`;

function installPodman(): void {
  const dir = join(host.dir, 'podman');
  mkdirSync(dir);
  writeFileSync(join(dir, 'containers.conf'), CONTAINERS_CONF);
  const options = [
    ...['--cgroup-manager=cgroupfs', '--events-backend=file', '--storage-driver=vfs'],
    ...[
      `--network-config-dir ${guided.cniDir}`,
      `--root ${dir}/root --runroot ${dir}/run --tmpdir ${dir}/tmp`,
    ],
  ];
  guided.install(
    'podman',
    `#!/bin/sh
export CONTAINERS_CONF=${dir}/containers.conf
exec ${inMountsOfTest()} /usr/bin/podman ${options.join(' ')} "$@"
`,
  );
}

/** LXC wants the namespace's own /sys/class/net, and the machine's cgroups. */
function installLxc(): void {
  const cgroups = join(host.dir, 'cgroup');
  mkdirSync(cgroups);
  mkdirSync(join(host.dir, 'lxc'));
  for (const name of ['lxc-create', 'lxc-start', 'lxc-stop', 'lxc-info', 'lxc-attach']) {
    guided.install(
      name,
      `#!/bin/sh
[ "$1" != --version ] || exec /usr/bin/${name} --version
export PATH=${join(SETUP_DIR, 'busybox/bin')}:$PATH
exec ${inMountsOfTest()} unshare -m sh -c 'mount --rbind /sys/fs/cgroup "$0" && mount -t sysfs sysfs /sys &&
  mount --rbind "$0" /sys/fs/cgroup && umount -l "$0" && exec "$@"' ${cgroups} \\
  /usr/bin/${name} -P ${host.dir}/lxc -n lxc-1 "$@"
`,
    );
  }
}

async function reachesFar(command: string): Promise<void> {
  for (const size of [56, 1452, 20_000]) {
    expect(await guided.does(`${command} ping -c 2 -s ${size} ${far}`)).toContain(
      '2 packets received, 0% packet loss',
    );
  }
}

/** podman keeps a lock beside them. */
const lists = (): string[] => {
  if (!existsSync(guided.cniDir)) return [];
  return readdirSync(guided.cniDir).filter((name) => name.endsWith('.conflist'));
};

it('podman with CNI', async () => {
  await guided.does('fanatic enable-podman && fanatic enable-podman');
  expect(lists()).toEqual(['88-fan-250-0-28.conflist']);
  await guided.does(`podman run -d --name podman-1 --network fan-250-0-28 --rootfs ${root} sleep 600`);
  expect(await guided.does('podman exec podman-1 ip -4 -o address show eth0')).toContain('250.0.28.128/24');
  await reachesFar('podman exec podman-1');
  await guided.does('podman rm -f -t 0 podman-1');
  expect(await guided.does(`fanatic test local-podman --peer ${far}`)).toMatch(
    /^two containers .*\n(ping .*: 3 of 3\n){3}TCP .*\n$/,
  );
  expect(readdirSync(join(host.dir, 'addresses'))).toEqual(['fan-250-0-28']);
  await guided.does('fanatic disable-podman && fanatic disable-podman && ip link show fan-250-0-28');
  expect(readdirSync(join(host.dir, 'addresses'))).toEqual([]);
  expect(lists()).toEqual([]);
});

it('plain CNI', async () => {
  await guided.does('fanatic enable-cni && fanatic enable-cni');
  const path = join(guided.cniDir, '10-fan-250-0-28-cni.conflist');
  const list = JSON.parse(guided.read(path)) as { name: string; plugins: object[] };
  expect(list).toMatchObject({ cniVersion: '1.0.0', plugins: [{ type: 'bridge' }, { type: 'portmap' }] });
  const conf = join(host.dir, 'plugin.json');
  const { name, plugins } = list;
  writeFileSync(conf, JSON.stringify({ cniVersion: '1.0.0', name, ...plugins[0] }));
  const container = host.container(1);
  // The lab's own eth0 there would be in the way.
  await container.ip('link set eth0 name lab0');
  const plugin = (command: string): string =>
    `CNI_COMMAND=${command} CNI_CONTAINERID=${container.name} CNI_NETNS=/run/netns/${container.name} ` +
    `CNI_IFNAME=eth0 CNI_PATH=/usr/lib/cni /usr/lib/cni/bridge < ${conf}`;
  expect(await guided.does(plugin('ADD'))).toContain('"address": "250.0.28.128/24"');
  expect(await ping(container, far, { size: 1452, df: true })).toMatchObject({ received: 3 });
  const refused = await guided.shell('fanatic disable-cni');
  expect(refused.stderr).toMatch(/is in use by containers with 250\.0\.28\.128: remove these first\n$/);
  await guided.does(plugin('DEL'));
  await guided.does('fanatic disable-cni');
  expect(lists()).toEqual([]);
});

it('LXC', async () => {
  mkdirSync(dirname(guided.lxcConfig), { recursive: true });
  writeFileSync(guided.lxcConfig, LXC_CONF);
  await guided.does('fanatic enable-lxc && fanatic enable-lxc');
  expect(guided.read(guided.lxcConfig)).toContain('lxc.net.0.link = fan-250-0-28\n');
  await guided.does(`lxc-create -f ${guided.lxcConfig} -t busybox && lxc-start`);
  await guided.does('until lxc-info -iH | grep -q "^250\\.0\\.28\\."; do sleep 0.1; done');
  await reachesFar('lxc-attach --');
  await guided.does('lxc-stop -k && fanatic disable-lxc');
  expect(guided.read(guided.lxcConfig)).toBe(LXC_CONF);
});
