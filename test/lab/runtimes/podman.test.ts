/**
 * Real podman with CNI on the fan's bridge: the standard `bridge` and `host-local` plugins, told to leave gateway and
 * masquerading to the fan. The bridge survives its containers.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Output, run } from '../../../bench/lab/command.js';
import { buildRoot, upperHalf } from '../../../bench/lab/docker-host.js';
import { containerAddress, raiseFan } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { ping } from '../../../bench/lab/ping.js';
import type { FanView } from '../../../src/control/protocol.js';
import { FAN } from '../fan-lab.js';
import { CONTAINERS_CONF } from './guided-host.js';

const NAME = 'podman-1';

let lab: Lab;
let fan: FanView;
let far: string;
let root: string;

/** Runs podman in the host, with all its state in the host's directory. */
function podman(host: Host, ...args: string[]): Promise<Output> {
  const dir = (name: string) => join(host.dir, 'podman', name);
  return run(
    [
      ...['nsenter', `--net=/run/netns/${host.name}`, 'podman', '--cgroup-manager=cgroupfs'],
      ...['--events-backend=file', '--storage-driver=vfs', '--network-config-dir', dir('net')],
      ...['--root', dir('root'), '--runroot', dir('run'), '--tmpdir', dir('tmp'), ...args],
    ],
    { env: { CONTAINERS_CONF: dir('containers.conf') } },
  );
}

/** A CNI network whose addresses are in the upper half of the fan's slice; `dataDir` keeps those given away. */
function network({ bridge, slice, gateway, mtu }: FanView, dataDir: string): object {
  const subnet = { subnet: slice, rangeStart: upperHalf(slice).split('/')[0], gateway };
  const ipam = { type: 'host-local', dataDir, ranges: [[subnet]], routes: [{ dst: '0.0.0.0/0' }] };
  const plugin = { type: 'bridge', bridge, isGateway: false, ipMasq: false, mtu, ipam };
  return { cniVersion: '0.4.0', name: 'fan', plugins: [plugin] };
}

beforeAll(async () => {
  lab = await createLab();
  const host = lab.host(1);
  fan = (await raiseFan(host, FAN)).view;
  far = containerAddress((await raiseFan(lab.host(2), FAN)).view, 1);
  const dir = join(host.dir, 'podman');
  mkdirSync(join(dir, 'net'), { recursive: true });
  writeFileSync(join(dir, 'containers.conf'), CONTAINERS_CONF);
  writeFileSync(join(dir, 'net/fan.conflist'), JSON.stringify(network(fan, join(dir, 'addresses'))));
  root = await buildRoot(lab.dir);
});

afterAll(async () => {
  if (lab) await podman(lab.host(1), 'rm', '-f', '-t', '0', NAME).catch(() => {});
  lab?.remove();
});

it('connects a podman container with the other host, and leaves the bridge to the fan', async () => {
  const host = lab.host(1);
  await podman(host, 'run', '-d', '--name', NAME, '--network', 'fan', '--rootfs', root, 'sleep', '600');
  const format = '{{(index .NetworkSettings.Networks "fan").IPAddress}}';
  const address = (await podman(host, 'inspect', '-f', format, NAME)).stdout.trim();
  expect(address).toBe('250.0.28.128');
  for (const size of ['56', '1452', '20000']) {
    const { stdout } = await podman(host, 'exec', NAME, 'ping', '-c', '2', '-s', size, far);
    expect(stdout).toContain('2 packets received, 0% packet loss');
  }
  const back = await ping(lab.host(2).container(1), address, { size: 1452, df: true });
  expect(back).toMatchObject({ received: 3 });
  await podman(host, 'rm', '-f', '-t', '0', NAME);
  expect(await ping(host.container(1), far)).toMatchObject({ received: 3 });
});
