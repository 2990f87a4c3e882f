/**
 * fanatic and a real LXD: the half of Ubuntu's own test that is about it, word for word. The profile is gone, and the
 * default one as it was, when all is undone.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { containerAddress, raiseFan } from '../../../bench/lab/fan.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { FAN } from '../fan-lab.js';
import { GuidedHost } from './guided-host.js';

const O = '250.0.0.0/8';
const U = '172.30.0.0/16';
const HEADER = 'Underlay Overlay Fan Docker LXD\n';
const PRESEED = `storage_pools: [{name: default, driver: dir}]
profiles: [{name: default, devices: {root: {path: /, pool: default, type: disk}}}]`;

let lab: Lab;
let guided: GuidedHost;
let far: string;

beforeAll(async () => {
  lab = await createLab({ containers: 1 });
  guided = new GuidedHost(lab.host(1));
  far = containerAddress((await raiseFan(lab.host(2), FAN)).view, 1);
  await lab.host(1).ip('route add default via 172.30.0.1');
  installLxd();
  await guided.does('start-lxd');
  await guided.does(`lxd-here init --preseed <<'END'\n${PRESEED}\nEND`);
});

afterAll(async () => {
  await guided?.shell('lxd-here shutdown --timeout 10');
  lab?.remove();
});

/** As the machine's own would be, in the namespace, with sysfs of its own and the machine's cgroups. */
function installLxd(): void {
  const { dir, name } = lab.host(1);
  for (const each of ['lxd', 'cgroup', 'run-lxc']) mkdirSync(join(dir, each), { mode: 0o711 });
  const env = `LXD_DIR=${dir}/lxd`;
  guided.install('lxc', `#!/bin/sh\nHOME=${dir} ${env} exec /usr/bin/lxc "$@"\n`);
  guided.install('lxd-here', `#!/bin/sh\n${env} exec /usr/bin/lxd "$@"\n`);
  const mounts = `mount --rbind /sys/fs/cgroup ${dir}/cgroup && mount -t sysfs sysfs /sys &&
mount --rbind ${dir}/cgroup /sys/fs/cgroup && umount -l ${dir}/cgroup &&
mkdir -p /run/lxc && mount --bind ${dir}/run-lxc /run/lxc && mount --bind /dev/null /etc/resolv.conf &&`;
  guided.install(
    'start-lxd',
    `#!/bin/bash
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY
${env} setsid nsenter --mount=/proc/${process.pid}/ns/mnt --net=/run/netns/${name} unshare -m \\
  sh -c '${mounts} exec /usr/bin/lxd --group root --logfile ${dir}/lxd.log' </dev/null >/dev/null 2>&1 &
lxd-here waitready --timeout 60
`,
  );
}

it("passes Ubuntu's own test of LXD", async () => {
  const before = await guided.does('lxc profile list --format csv; lxc profile show default');
  await guided.does(`fanatic enable-fan -u ${U} -o ${O}`);
  await guided.does('lxc profile create fan-250-0-28');
  expect((await guided.shell('fanatic enable-lxd')).stderr).toBe(
    'fanatic: LXD has a profile fan-250-0-28 already: lxc profile delete it first\n',
  );
  await guided.does('lxc profile delete fan-250-0-28');
  await guided.does(`fanatic enable-lxd -u ${U} -o ${O}`);
  expect(await guided.does('fanatic show')).toBe(`${HEADER}${U} ${O} up - enabled\n`);
  await guided.does('fanatic test local-lxd');
  expect(await guided.does(`fanatic test local-lxd --peer ${far}`)).toMatch(
    /^ping from \S+ to 250\.0\.27\.2: 3 of 3$/m,
  );
  await guided.does(`fanatic disable-lxd -u ${U} -o ${O}`);
  expect(await guided.does('fanatic show')).toBe(`${HEADER}${U} ${O} up - -\n`);
  expect(await guided.does('lxc profile list --format csv; lxc profile show default')).toBe(before);
});
