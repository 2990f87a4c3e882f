/**
 * Bridges that are not the fan's alone: one that was there before `up`, and one with containers on it when `down` comes.
 */
import { existsSync, readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { CommandError } from '../../../bench/lab/command.js';
import { containerAddress, raiseFan, showFans } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { ping } from '../../../bench/lab/ping.js';

const FAN = ['250.0.0.0/8', '172.30.0.0/16'];
const STATE_FILE = 'left-ports.json';

let lab: Lab;
let host: Host;
let peer: Host;
beforeAll(async () => {
  lab = await createLab({ hosts: 2, containers: 2 });
  host = lab.host(1);
  peer = lab.host(2);
  await raiseFan(peer, FAN);
});
afterEach(async () => {
  await host.fanctl(['down', '-e', '--force']);
});
afterAll(() => lab.remove());

async function refused(args: string[]): Promise<string> {
  const error = await host.fanctl(args).then(
    () => undefined,
    (failed: unknown) => failed,
  );
  if (!(error instanceof CommandError)) throw new Error(`fanctl ${args.join(' ')} succeeded`);
  expect(error.output.code).toBe(1);
  return error.output.stderr;
}

/** What `down` has to put back of a bridge that was there before. */
async function bridgeState(name: string): Promise<string> {
  const read = async (...argv: string[]) => (await host.exec(['ip', '-j', ...argv])).stdout;
  const [link] = JSON.parse(await read('link', 'show', 'dev', name)) as Record<string, unknown>[];
  const { mtu, address, flags, ifalias, ifindex } = link!;
  return JSON.stringify({
    link: { mtu, address, flags, ifalias, ifindex },
    addresses: (await host.exec(['ip', '-br', '-4', 'address', 'show', 'dev', name])).stdout,
    routes: await read('route', 'show', 'dev', name),
    ports: await read('link', 'show', 'master', name).then((text) => {
      return (JSON.parse(text) as { ifname: string }[]).map(({ ifname }) => ifname);
    }),
    ipv6: (await host.exec(['cat', `/proc/sys/net/ipv6/conf/${name}/disable_ipv6`])).stdout,
  });
}

const portsOf = async (bridge: string) => {
  const { stdout } = await host.exec(['ip', '-j', 'link', 'show', 'master', bridge]);
  return (JSON.parse(stdout) as { ifname: string }[]).map(({ ifname }) => ifname);
};

describe('a bridge that was there before up', () => {
  it.each([
    ['empty and down', 'fan-250-0-28', [], []],
    [
      'with the address that Docker gave it',
      'fan-250-0-28',
      ['address add 250.0.28.1/24 dev fan-250-0-28'],
      [],
    ],
    [
      'docker0 with a fitting --bip, up and of another MTU',
      'docker0',
      ['address add 250.0.28.1/24 dev docker0', 'link set docker0 up mtu 1400 alias docker-made'],
      ['bridge', 'docker0', 'ttl', '64'],
    ],
  ])('is adopted, carries the fan and is as before after down: %s', async (_, name, arrange, flags) => {
    await host.ip(`link add ${name} address 02:42:0a:00:00:01 type bridge`, ...arrange);
    try {
      const before = await bridgeState(name);
      const { view } = await raiseFan(host, [...FAN, ...flags]);
      expect(view.bridge).toBe(name);
      const there = (await showFans(peer))[0]!;
      expect(await ping(host.container(1), containerAddress(there, 1))).toMatchObject({ received: 3 });
      await host.ip('link set c1 nomaster', 'link set c2 nomaster');
      expect((await host.fanctl(['down', ...FAN])).stderr).toBe('');
      expect(await bridgeState(name)).toBe(before);
    } finally {
      await host.ip(`link del ${name}`);
    }
  });

  it('keeps its containers through a forced down', async () => {
    await host.ip('link add fan-250-0-28 type bridge');
    try {
      await raiseFan(host, FAN);
      expect(await refused(['down', ...FAN])).toMatch(/fan-250-0-28 is in use by c1 /);
      expect((await host.fanctl(['down', ...FAN, '--force'])).stderr).toBe('');
      expect(await portsOf('fan-250-0-28')).toEqual(['c1', 'c2']);
    } finally {
      await host.ip('link del fan-250-0-28');
    }
  });

  it.each([
    ['another address', 'address add 172.17.0.1/16 dev fan-250-0-28', '172.17.0.1/16'],
    ['the address of a container', 'address add 250.0.28.9/24 dev fan-250-0-28', '250.0.28.9/24'],
    ['another width', 'address add 250.0.28.1/8 dev fan-250-0-28', '250.0.28.1/8'],
  ])('is refused with %s', async (_, arrange, address) => {
    await host.ip('link add fan-250-0-28 type bridge', arrange);
    try {
      const before = await bridgeState('fan-250-0-28');
      expect(await refused(['up', ...FAN])).toBe(
        `fanctl: bridge fan-250-0-28 is there with address ${address}, and the fan's is 250.0.28.1/24: give it that ` +
          '(of dockerd: --bip 250.0.28.1/24) or choose another name with "bridge NAME"\n',
      );
      expect(await bridgeState('fan-250-0-28')).toBe(before);
    } finally {
      await host.ip('link del fan-250-0-28');
    }
  });

  it('does not become ours to remove where the state file was lost', async () => {
    await host.ip('link add fan-250-0-28 type bridge');
    try {
      await host.fanctl(['up', ...FAN]);
      process.kill(Number(readFileSync(`${host.dir}/fand.pid`, 'utf8')), 'SIGKILL');
      await host.exec(['sh', '-c', `rm ${host.dir}/*`]);
      await host.fanctl(['up', ...FAN]);
      await host.fanctl(['down', ...FAN]);
      expect(await portsOf('fan-250-0-28')).toEqual([]);
    } finally {
      await host.ip('link del fan-250-0-28');
    }
  });
});

describe('down with containers on the bridge', () => {
  const stateFile = () => `${host.dir}-state/${STATE_FILE}`;

  it.each([
    ['the fan', FAN],
    ['every fan', ['-e']],
  ])('names them and changes nothing: %s', async (_, words) => {
    await raiseFan(host, FAN);
    const holder = host.container(2).spawn(['sleep', '600']);
    try {
      expect(await refused(['down', ...words])).toBe(
        `fanctl: fan-250-0-28 is in use by c1 (eth0 of ${host.container(1).name}), ` +
          `c2 (eth0 of ${host.container(2).name}): stop these containers first, or say --force, ` +
          'and the next up of this fan plugs them in again\n',
      );
      expect(await showFans(host)).toMatchObject([{ state: 'up' }]);
      expect(await portsOf('fan-250-0-28')).toEqual(['c1', 'c2']);
    } finally {
      await holder.stop();
    }
  });

  it('goes on with --force, and the next up plugs in what is still there', async () => {
    const { view } = await raiseFan(host, FAN);
    await host.ip('link add other type bridge');
    try {
      const { stderr } = await host.fanctl(['down', ...FAN, '--force']);
      expect(stderr).toBe(
        'fanctl: note: c1, c2 without a bridge now: the next up of this fan plugs in again what is still there\n',
      );
      expect(existsSync(stateFile())).toBe(true);
      await host.ip('link set c2 master other');
      const up = await host.fanctl(['up', ...FAN]);
      expect(up.stderr).toBe(
        'fanctl: note: c1 plugged into fan-250-0-28 again\n' +
          'fanctl: note: 1 of the ports that fan-250-0-28 had are gone, or on another bridge\n',
      );
      expect(await portsOf('fan-250-0-28')).toEqual(['c1']);
      const there = (await showFans(peer))[0]!;
      expect(await ping(host.container(1), containerAddress(there, 1))).toMatchObject({ received: 3 });
      await host.ip('link set c1 nomaster');
      await host.fanctl(['down', ...FAN]);
      expect(existsSync(`${host.dir}-state`)).toBe(false);
    } finally {
      await host.ip('link del other', `link set c1 mtu ${view.mtu}`);
    }
  });
});
