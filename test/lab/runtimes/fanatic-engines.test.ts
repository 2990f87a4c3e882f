/**
 * fanatic and the runtimes that need no daemon: plain CNI, podman with CNI, LXC. Each is enabled, its container has an
 * address of the slice and reaches the other host and the world outside, also when it or fand was restarted, and after
 * disable its files are what they were.
 */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildRoot } from '../../../bench/lab/docker-host.js';
import { containerAddress, raiseFan } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { REPOSITORY, SETUP_DIR } from '../../../bench/lab/repository.js';
import { FAN, PYTHON } from '../fan-lab.js';
import { type Far, inNetworkOf, worksAcrossHosts } from './across-hosts.js';
import { CONTAINERS_CONF, GuidedHost } from './guided-host.js';

/** As Debian's, and with a line of somebody's. */
const LXC_CONF = `lxc.net.0.type = empty
lxc.apparmor.profile = unconfined
lxc.tty.max=2`;

let lab: Lab;
let host: Host;
let guided: GuidedHost;
let far: Far;
let root: string;

beforeAll(async () => {
  lab = await createLab();
  host = lab.host(1);
  guided = new GuidedHost(host);
  installPodman();
  installLxc();
  const [peer, { view }] = [lab.host(2), await raiseFan(lab.host(2), FAN)];
  far = { host: peer, container: peer.container(1), address: containerAddress(view, 1) };
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
  const inPodman = inNetworkOf("podman inspect -f '{{.State.Pid}}' podman-1");
  await worksAcrossHosts(guided, inPodman, far);
  await guided.does('podman restart -t 0 podman-1');
  expect(await guided.does(`${inPodman} ping -n -c 2 ${far.address}`)).toContain(' 0% packet loss');
  await guided.does('podman rm -f -t 0 podman-1');
  expect(await guided.does(`fanatic test local-podman --peer ${far.address}`)).toMatch(
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
  await worksAcrossHosts(guided, `nsenter --net=/run/netns/${container.name}`, far);
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
  await worksAcrossHosts(guided, inNetworkOf('lxc-info -pH'), far);
  await guided.does('lxc-stop -k && lxc-start');
  await guided.does('until lxc-info -iH | grep -q "^250\\.0\\.28\\."; do sleep 0.1; done');
  expect(await guided.does(`lxc-attach -- ping -c 2 ${far.address}`)).toContain(' 0% packet loss');
  await guided.does('lxc-stop -k && fanatic disable-lxc');
  expect(guided.read(guided.lxcConfig)).toBe(LXC_CONF);
});

it('Juju enables a fan that is there already, and brings all up', async () => {
  const juju = 'fanatic enable-fan -u 172.30.0.0/16 -o 250.0.0.0/8 && fanctl up -a';
  expect(await guided.does(juju)).toBe('fan-250-0-28\nfan-250-0-28\n');
  expect(guided.read(`${host.dir}/fan.conf`)).toBe('250.0.0.0/8 172.30.0.0/16 dhcp dhcp-range 2-127\n');
  expect(await guided.does('fanatic show --json')).toContain('"bridge": "fan-250-0-28"');
});

it('asks at a terminal, again where an answer is wrong', async () => {
  const answers = [
    ['Underlay', 'eth0/99'],
    ['width after / is 0 to 32', '172.30.0.0/16'],
    ['Overlay', ''],
    ['Enable Docker', 'no'],
    ['Enable LXD', 'no'],
    ['Enable LXC', 'maybe'],
    ['say yes or no', 'yes'],
    ['Enable podman', 'no'],
    ['Enable CNI', 'no'],
  ];
  const actions = answers.map(([question, answer]) => `$'wait=${question}' $'key=${answer}\\r'`).join(' ');
  const said = await guided.does(
    `${PYTHON} ${REPOSITORY}/test/cli/operator-at-terminal.py 80x24 ${actions} wait=fan-250-0-28 -- fanatic`,
  );
  expect(JSON.parse(said)).toMatchObject({ status: 0, restored: true });
  expect(guided.read(guided.lxcConfig)).toContain('lxc.net.0.link = fan-250-0-28\n');
});

describe('refused, and nothing is changed', () => {
  const on250 = '250 172.30.0.0/16';

  it.each([
    [
      `UFAN_CNI_PLUGINS=/nowhere fanatic enable-cni ${on250}`,
      /needs the CNI plugin bridge in \/nowhere: apt-get /,
    ],
    [
      `mkdir -p $UFAN_CNI_DIR; touch $UFAN_CNI_DIR/10-fan-250-0-28-cni.conflist; fanatic enable-cni ${on250}`,
      /10-fan-250-0-28-cni\.conflist is there already: move it away first/,
    ],
    [
      `fanatic enable-fan 99 eth0 host-reserve 2 >/dev/null && fanatic enable-lxd 99 eth0`,
      /LXD's containers ask for their addresses by DHCP, which fan-99-0-28 has not: fanctl config set /,
    ],
    [
      `fanatic enable-lxc -q ${on250} && fanatic enable-fan 98 eth0 >/dev/null && fanatic enable-lxc 98 eth0`,
      /LXC is enabled for fan-250-0-28: fanatic disable-lxc -o 250\.0\.0\.0\/8 -u 172\.30\.0\.0\/16 first/,
    ],
    [
      `fanatic disable-fan ${on250}`,
      /250\.0\.0\.0\/8 on 172\.30\.0\.0\/16 is used by lxc: fanatic disable-lxc first/,
    ],
    [
      `mkdir -p $HOME_BIN && printf '#!/bin/sh\necho netavark\n' > $HOME_BIN/podman && chmod +x $HOME_BIN/podman &&
       PATH=$HOME_BIN:$PATH fanatic enable-podman ${on250}`,
      /podman makes its networks by netavark, .*: write network_backend = "cni"/,
    ],
    [
      `UFAN_TUN=/nowhere/tun fanatic enable-fan 97 eth0; fanctl show | grep -q fan-97 && echo up`,
      /a fan can't be set up, this host lacks: \/nowhere\/tun \(.*\): modprobe tun, or give it to the container/,
    ],
    [
      `setpriv --bounding-set=-net_admin --inh-caps=-net_admin fanatic enable-lxc ${on250}`,
      /this host lacks: CAP_NET_ADMIN and CAP_NET_RAW/,
    ],
  ])('%s', async (line, error) => {
    const { code, stdout, stderr } = await guided.shell(line, { env: { HOME_BIN: `${host.dir}/netavark` } });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^fanatic: [^\n]+\n$/);
    expect(stderr).toMatch(error);
  });
});
