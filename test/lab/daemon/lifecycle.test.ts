/**
 * fand and fanctl over a whole life, on real hosts of a lab: up leaves what it should, down leaves nothing, a
 * failure half-way leaves nothing either, and a daemon that was killed comes back with the same command.
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { CommandError, run } from '../../../bench/lab/command.js';
import { containerAddress, raiseFan, showFans } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { ping } from '../../../bench/lab/ping.js';
import { FANCTL } from '../../../bench/lab/repository.js';
import { makeRunDir } from '../../../src/control/made-run-dir.js';
import { runPaths } from '../../../src/control/protocol.js';
import { fandPid, killFand } from '../fan-lab.js';
import { steadyLinks } from '../steady-links.js';

const OVERLAY = '250.0.0.0/8';
const UNDERLAY = 'eth0/16';

/** All that `up` could change; what the containers' own ports do is set up before the first snapshot. */
async function snapshot(host: Host): Promise<Record<string, string>> {
  const read = async (...argv: string[]) => (await host.exec(argv)).stdout;
  const sysctls = "grep -rs '' /proc/sys/net/ipv4 /proc/sys/net/ipv6/conf | grep -v tcp_fastopen_key | sort";
  return {
    links: steadyLinks(await read('ip', '-d', 'link')),
    addresses: await read('sh', '-c', 'ip -4 address | grep -v valid_lft'),
    routes: await read('ip', '-4', 'route', 'show', 'table', 'all'),
    rules: await read('ip', 'rule'),
    nft: await read('nft', '-s', 'list', 'ruleset'),
    sysctls: await read('sh', '-c', sysctls),
    files: readdirSync(host.dir).join(' '),
    processes: await processesOf(host),
  };
}

/** Runs fanctl where it is expected to fail; its stderr and exit code. */
async function refused(host: Host, args: string[]): Promise<{ stderr: string; code: number | null }> {
  try {
    await host.fanctl(args);
  } catch (error) {
    if (error instanceof CommandError) return { stderr: error.output.stderr.trim(), code: error.output.code };
    throw error;
  }
  throw new Error(`fanctl ${args.join(' ')} succeeded`);
}

let lab: Lab;
let host: Host;
let peer: Host;
beforeAll(async () => {
  lab = await createLab({ hosts: 2, containers: 1 });
  host = lab.host(1);
  peer = lab.host(2);
});
const processesOf = async ({ name }: Host) => (await run(['ip', 'netns', 'pids', name])).stdout;
afterEach(async () => {
  await Promise.all(lab.hosts.map((each) => each.fanctl(['down', '-e', '--force'])));
  // The fand of an `up` that was refused leaves by itself.
  await expect.poll(() => Promise.all(lab.hosts.map(processesOf))).toEqual(['', '']);
});
afterAll(() => lab.remove());

describe('up and down', () => {
  it.each([
    ['plain', [OVERLAY, UNDERLAY]],
    ['with DHCP and a reserve', ['-o', OVERLAY, '-u', UNDERLAY, '--dhcp', '--host-reserve', '3']],
  ])('leave the host as it was: %s', async (_, words) => {
    const before = await snapshot(host);
    expect((await host.fanctl(['up', ...words])).stdout).toBe('fan-250-0-28\n');
    expect(await snapshot(host)).not.toEqual(before);
    await host.fanctl(['down', OVERLAY, UNDERLAY, '--force']);
    expect(await snapshot(host)).toEqual(before);
  });

  it('of two fans, either way round, and of every fan at once', async () => {
    const before = await snapshot(host);
    await host.fanctl(['up', OVERLAY, UNDERLAY]);
    const one = await snapshot(host);
    await host.fanctl(['up', '99', '172.30.0.28/16', 'bridge', 'ninety.nine']);
    expect((await showFans(host)).map(({ bridge, flags }) => [bridge, flags])).toEqual([
      ['fan-250-0-28', 'host-reserve 1'],
      ['ninety.nine', 'host-reserve 1 bridge ninety.nine'],
    ]);
    await host.fanctl(['down', '99.0.0.0/8', '172.30.0.28/16', '--force']);
    expect((await snapshot(host)).nft).toBe(one.nft);
    await host.fanctl(['up', '99', '172.30.0.28/16']);
    await host.fanctl(['down', '-e', '--force']);
    expect(await snapshot(host)).toEqual(before);
  });

  it('say what stands against them', async () => {
    await host.fanctl(['up', OVERLAY, UNDERLAY]);
    for (const underlay of [UNDERLAY, '172.30.0.28/16', '172.30.0.0/16']) {
      const again = await host.fanctl(['up', OVERLAY, underlay, 'bridge', 'fan-250-0-28']);
      expect(again.stdout).toBe('fan-250-0-28\n');
      expect(again.stderr).toBe('fanctl: note: fan-250-0-28 is up already, with these flags\n');
    }
    const already = 'fanctl: 250.0.0.0/8 on 172.30.0.28/16 is already configured (fan-250-0-28)';
    expect(await refused(host, ['up', OVERLAY, UNDERLAY, '--strict'])).toEqual({ code: 1, stderr: already });
    const renew = `fanctl down ${OVERLAY} ${UNDERLAY}; fanctl up ${OVERLAY} ${UNDERLAY}`;
    expect(await refused(host, ['up', OVERLAY, UNDERLAY, 'dhcp', 'host-reserve', '2'])).toEqual({
      code: 1,
      stderr:
        `${already} with other flags: it has host-reserve 1 and lacks dhcp, host-reserve 2; ` +
        `to change that: ${renew} dhcp host-reserve 2`,
    });
    expect(await refused(host, ['down', '251', UNDERLAY])).toEqual({
      code: 1,
      stderr: expect.stringMatching(/^fanctl: .*not configured/),
    });
    expect((await refused(host, ['up', '250.7.0.0/16', 'nosuch/24'])).stderr).toMatch(/nosuch/);
    expect((await refused(host, ['up', '172.0.0.0/8', UNDERLAY])).stderr).toMatch(/overlap/);
  });
});

describe('an up that fails', () => {
  it.each([
    [
      'the name of the bridge is taken',
      ['link add fan-250-0-28 type veth peer name other-end'],
      ['link del fan-250-0-28'],
      /fan-250-0-28/,
    ],
    [
      'the name of the TUN is taken',
      ['link add tun-250-0-28 type bridge'],
      ['link del tun-250-0-28'],
      /tun-250-0-28/,
    ],
    [
      'the overlay is routed elsewhere',
      ['route add 250.9.0.0/16 dev eth0'],
      ['route del 250.9.0.0/16'],
      /250\.9\.0\.0\/16/,
    ],
    [
      'an address of the overlay is on lo',
      ['address add 250.0.99.1/32 dev lo'],
      ['address del 250.0.99.1/32 dev lo'],
      /holds 250\.0\.99\.1, an address of this host on lo: /,
    ],
    [
      'an address of our slice is on the underlay',
      ['address add 250.0.28.1/32 dev eth0'],
      ['address del 250.0.28.1/32 dev eth0'],
      /holds 250\.0\.28\.1, an address of this host on eth0: /,
    ],
    [
      'an address of the overlay is on a device that is down',
      ['link add spare type bridge', 'address add 250.0.28.1/24 dev spare'],
      ['link del spare'],
      /holds 250\.0\.28\.1, an address of this host on spare: /,
    ],
    [
      'lo takes the overlay by an address that is outside of it',
      ['address add 240.0.0.1/4 dev lo'],
      ['address del 240.0.0.1/4 dev lo'],
      /the route to 240\.0\.0\.0\/4 on lo/,
    ],
  ])('leaves the host as it was: %s', async (_, arrange, restore, cause) => {
    await host.ip(...arrange);
    try {
      const before = await snapshot(host);
      const { stderr, code } = await refused(host, ['up', OVERLAY, UNDERLAY, 'dhcp']);
      expect(stderr).toMatch(/^fanctl: /);
      expect(stderr).toMatch(cause);
      expect(code).toBe(1);
      // What was tried out meanwhile may end a moment after fand.
      await expect.poll(() => snapshot(host)).toEqual(before);
    } finally {
      await host.ip(...restore);
    }
  });

  it('leaves the host as it was: /dev/net/tun is missing', async () => {
    const before = await snapshot(host);
    const fanctl = `mount --bind /dev/null /dev/net/tun && exec ${FANCTL} up ${OVERLAY} ${UNDERLAY}`;
    const failed = await host
      .exec(['unshare', '-m', 'sh', '-c', fanctl])
      .catch((error: CommandError) => error);
    expect((failed as CommandError).output.stderr).toMatch(/^fanctl: .*tun/i);
    await expect.poll(() => snapshot(host)).toEqual(before);
  });

  it('does nothing at all for a user who is not root', async () => {
    const before = await snapshot(host);
    const argv = ['setpriv', '--reuid=65534', '--clear-groups', FANCTL, 'up', OVERLAY, UNDERLAY];
    const failed = await host.exec(argv).catch((error: CommandError) => error);
    expect((failed as CommandError).output.stderr).toMatch(/^fanctl: .*root/);
    await expect.poll(() => snapshot(host)).toEqual(before);
  });
});

describe('a run directory', () => {
  const dir = () => join(host.dir, 'made');
  const fanctl = (...args: string[]) =>
    host.exec([process.execPath, FANCTL, ...args], { env: { UFAN_RUN_DIR: dir() }, anyExit: true });

  /** What an up leaves that is killed before it starts fand, or one that races with ours. */
  const byAnother = () => makeRunDir(runPaths(dir()));

  it.each([
    ['down -e', 0, ['down', '-e']],
    ['an up that fails', 1, ['up', '172.0.0.0/8', UNDERLAY]],
  ])(
    'that another up made goes with %s, and one that was there before stays, like /tmp',
    async (_, exit, words) => {
      await byAnother();
      expect(await fanctl(...words)).toMatchObject({ code: exit });
      expect(existsSync(dir())).toBe(false);
      for (const mode of [0o755, 0o1777]) {
        mkdirSync(dir());
        chmodSync(dir(), mode);
        expect(await fanctl(...words)).toMatchObject({ code: exit });
        expect(existsSync(dir())).toBe(true);
        rmdirSync(dir());
      }
    },
  );

  it('that another up made goes with the last fan', async () => {
    await byAnother();
    expect(await fanctl('up', OVERLAY, UNDERLAY)).toMatchObject({ code: 0 });
    expect(await fanctl('down', OVERLAY, UNDERLAY)).toMatchObject({ code: 0 });
    expect(existsSync(dir())).toBe(false);
  });
});

describe('a fand that was killed', () => {
  it('shows as dead, and the same up restores every fan', async () => {
    // Afterwards the container's port is as the first attachment left it.
    await raiseFan(host, [OVERLAY, UNDERLAY]);
    await host.fanctl(['down', '-e', '--force']);
    const before = await snapshot(host);
    await raiseFan(host, [OVERLAY, UNDERLAY, 'dhcp']);
    await host.fanctl(['up', '99', UNDERLAY]);
    const { view: there } = await raiseFan(peer, [OVERLAY, UNDERLAY]);
    const healthy = await snapshot(host);
    const target = containerAddress(there, 1);
    await ping(host.container(1), target);

    process.kill(fandPid(host), 'SIGKILL');
    await expect.poll(async () => (await showFans(host)).map(({ state }) => state)).toEqual(['dead', 'dead']);
    expect((await host.fanctl(['show'])).stdout).toMatch(/^fan-250-0-28 .* dead$/m);
    expect(existsSync(join(host.dir, 'fand.lock'))).toBe(true);

    expect((await host.fanctl(['up', OVERLAY, UNDERLAY, 'dhcp'])).stdout).toBe('fan-250-0-28\n');
    expect((await showFans(host)).map(({ state }) => state)).toEqual(['up', 'up']);
    await ping(host.container(1), target);
    expect({ ...(await snapshot(host)), processes: '' }).toEqual({ ...healthy, processes: '' });
    expect((await refused(host, ['up', OVERLAY, UNDERLAY])).stderr).toMatch(/already configured/);

    process.kill(fandPid(host), 'SIGKILL');
    await host.fanctl(['down', '-e', '--force']);
    await peer.fanctl(['down', '-e', '--force']);
    expect(await snapshot(host)).toEqual(before);
  });

  it('keeps the flags of its fan, and says so to an up with others', async () => {
    await host.fanctl(['up', OVERLAY, UNDERLAY, 'io', 'raw']);
    process.kill(fandPid(host), 'SIGKILL');
    const { stdout, stderr } = await host.fanctl(['up', OVERLAY, UNDERLAY, 'io', 'packet', 'dhcp']);
    expect(stdout).toBe('fan-250-0-28\n');
    const had = 'host-reserve 1 io raw';
    const renew = `fanctl down ${OVERLAY} ${UNDERLAY}; fanctl up ${OVERLAY} ${UNDERLAY} dhcp host-reserve 1 io packet`;
    expect(stderr).toBe(
      `fanctl: note: fan-250-0-28 is restored with the flags that it had (${had}); with those given: ${renew}\n`,
    );
    expect(await showFans(host)).toMatchObject([{ state: 'up', flags: had, io: 'raw' }]);

    process.kill(fandPid(host), 'SIGKILL');
    expect((await host.fanctl(['up', OVERLAY, UNDERLAY, 'io', 'raw'])).stderr).toBe('');
  });

  it('is not needed for the fan to keep overlay traffic off other routes', async () => {
    await host.fanctl(['up', OVERLAY, UNDERLAY]);
    process.kill(fandPid(host), 'SIGKILL');
    const { stdout } = await host.exec(['ip', 'route', 'get', '250.0.27.2']);
    expect(stdout).toContain('dev tun-250-0-28');
  });
});

describe('a fand that was killed in the middle of an up', () => {
  it('leaves a part that the next up undoes before it starts anew', async () => {
    const before = await snapshot(host);
    await host.fanctl(['up', OVERLAY, UNDERLAY]);
    process.kill(fandPid(host), 'SIGKILL');
    const file = join(host.dir, 'state.json');
    const state = JSON.parse(readFileSync(file, 'utf8')) as {
      fans: { complete: boolean; steps: unknown[] }[];
    };
    // As after the third step: the rest was not done, so it is taken away by hand.
    state.fans[0]!.complete = false;
    state.fans[0]!.steps.length = 3;
    writeFileSync(file, JSON.stringify(state));
    await host.exec(['nft', 'flush', 'ruleset']);
    expect((await host.fanctl(['up', OVERLAY, UNDERLAY])).stdout).toBe('fan-250-0-28\n');
    expect((await host.exec(['nft', 'list', 'ruleset'])).stdout).toContain('masquerade');
    await host.fanctl(['down', OVERLAY, UNDERLAY, '--force']);
    expect(await snapshot(host)).toEqual(before);
  });
});

describe('a worker that dies while it is being configured', () => {
  /** Without this capability no worker can open its sockets. */
  const withoutSockets = (...argv: string[]) => ['setpriv', '--bounding-set', '-net_raw', ...argv];
  const dyingUp = () =>
    host
      .exec(withoutSockets(process.execPath, FANCTL, 'up', OVERLAY, UNDERLAY))
      .catch((error: CommandError) => error.output);
  const processes = () => processesOf(host);

  it('fails the first up, which leaves nothing', async () => {
    const before = await snapshot(host);
    expect((await dyingUp()).stderr).toMatch(/^fanctl: the worker died: socket: Operation not permitted$/m);
    expect(await snapshot(host)).toEqual(before);
  });

  it('ends fand, and the same up restores what it left', async () => {
    await host.fanctl(['up', OVERLAY, UNDERLAY]);
    process.kill(fandPid(host), 'SIGKILL');
    await expect.poll(processes).toBe('');
    const { code, stderr } = await dyingUp();
    expect(stderr).toMatch(/^fanctl: .*fan-250-0-28 could not be restored: the worker died: /);
    expect(code).toBe(1);
    await expect.poll(processes).toBe('');
    const fatal = readFileSync(join(host.dir, 'fand.log'), 'utf8')
      .split('\n')
      .filter((line) => line.includes('"level":60'));
    expect(fatal).toEqual([expect.stringContaining('a forwarding worker died')]);
    expect(await showFans(host)).toMatchObject([{ state: 'dead' }]);

    const fand = new URL('../../../dist/src/daemon/fand.js', import.meta.url).pathname;
    const restored = host.exec(withoutSockets(process.execPath, fand, '--restore'));
    expect(await restored.catch((error: CommandError) => error.output)).toMatchObject({ code: 1 });
    expect(await showFans(host)).toMatchObject([{ state: 'dead' }]);

    expect((await host.fanctl(['up', OVERLAY, UNDERLAY])).stdout).toBe('fan-250-0-28\n');
    expect(await showFans(host)).toMatchObject([{ state: 'up' }]);
  });

  it('does not stand in the way of down', async () => {
    const before = await snapshot(host);
    await host.fanctl(['up', OVERLAY, UNDERLAY]);
    process.kill(fandPid(host), 'SIGKILL');
    await expect.poll(processes).toBe('');
    await dyingUp();
    await host.fanctl(['down', OVERLAY, UNDERLAY, '--force']);
    expect(await snapshot(host)).toEqual(before);
  });
});

describe('an address of the overlay that came after up', () => {
  it('does not stand in the way of restoring the fan', async () => {
    await host.fanctl(['up', OVERLAY, UNDERLAY]);
    await host.ip('address add 250.0.99.1/32 dev lo');
    try {
      process.kill(fandPid(host), 'SIGKILL');
      expect((await host.fanctl(['up', OVERLAY, UNDERLAY])).stdout).toBe('fan-250-0-28\n');
      await host.fanctl(['down', '-e', '--force']);
      expect((await refused(host, ['up', OVERLAY, UNDERLAY])).stderr).toMatch(/250\.0\.99\.1/);
    } finally {
      await host.ip('address del 250.0.99.1/32 dev lo');
    }
  });
});

describe('a state file that was lost', () => {
  it('does not stand in the way of the next up, which adopts what it finds', async () => {
    const before = await snapshot(host);
    await host.fanctl(['up', OVERLAY, UNDERLAY]);
    // Without its lock nothing would make the next one wait for its end.
    await killFand(host);
    for (const file of readdirSync(host.dir)) rmSync(join(host.dir, file));
    await host.fanctl(['up', OVERLAY, UNDERLAY]);
    await host.fanctl(['down', OVERLAY, UNDERLAY, '--force']);
    const after = await snapshot(host);
    // The value that ip_forward had is lost with the file.
    expect({ ...after, sysctls: '' }).toEqual({ ...before, sysctls: '' });
    await host.sysctl('net/ipv4/ip_forward', 0);
  });
});

describe('a TUN that somebody removed', () => {
  it('leaves its fan dead and the others up, and the same up restores it', async () => {
    await host.fanctl(['up', OVERLAY, UNDERLAY, 'no-heal']);
    await host.fanctl(['up', '99', UNDERLAY, 'no-heal']);
    await host.ip('link del tun-250-0-28');
    await expect.poll(async () => (await showFans(host)).map(({ state }) => state)).toEqual(['dead', 'up']);
    expect((await host.fanctl(['up', OVERLAY, UNDERLAY, 'no-heal'])).stdout).toBe('fan-250-0-28\n');
    expect((await showFans(host)).map(({ state }) => state)).toEqual(['up', 'up']);
  });
});

describe('a run directory that somebody removed', () => {
  it('is made again while a fan is up, and down still leaves nothing', async () => {
    const before = await snapshot(host);
    await host.fanctl(['up', OVERLAY, UNDERLAY, 'dhcp']);
    const pid = fandPid(host);
    rmSync(host.dir, { recursive: true });
    await expect.poll(() => existsSync(join(host.dir, 'fand.sock'))).toBe(true);
    // Without the files of its dnsmasq it is degraded for a moment.
    await expect.poll(async () => (await showFans(host)).map(({ state }) => state)).toEqual(['up']);
    await expect.poll(() => readdirSync(host.dir).includes('state.json')).toBe(true);
    expect(fandPid(host)).toBe(pid);
    await host.fanctl(['down', OVERLAY, UNDERLAY, '--force']);
    expect(await snapshot(host)).toEqual(before);
  });
});

describe('files of the run directory that somebody removed', () => {
  it.each(['state.json', 'fand.lock', 'fand.sock'])('%s is made again while a fan is up', async (name) => {
    await host.fanctl(['up', OVERLAY, UNDERLAY]);
    const pid = fandPid(host);
    rmSync(join(host.dir, name));
    await expect.poll(() => existsSync(join(host.dir, name))).toBe(true);
    // What was looked at while there was no record is degraded for a moment.
    await expect.poll(() => showFans(host)).toMatchObject([{ state: 'up' }]);
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => showFans(host)).toMatchObject([{ state: 'dead' }]);
    expect((await host.fanctl(['up', OVERLAY, UNDERLAY])).stdout).toBe('fan-250-0-28\n');
    expect(await showFans(host)).toMatchObject([{ state: 'up' }]);
  });

  it('a directory that was moved away, with all that was in it', async () => {
    await host.fanctl(['up', OVERLAY, UNDERLAY]);
    const pid = fandPid(host);
    renameSync(host.dir, `${host.dir}-moved`);
    try {
      await expect.poll(() => existsSync(join(host.dir, 'state.json'))).toBe(true);
      await expect.poll(() => fandPid(host)).toBe(pid);
      await expect.poll(() => showFans(host)).toMatchObject([{ state: 'up' }]);
    } finally {
      rmSync(`${host.dir}-moved`, { recursive: true });
    }
  });
});

describe('two commands at once', () => {
  it('bring both fans up, with one fand', async () => {
    const [first, second] = await Promise.all([
      host.fanctl(['up', OVERLAY, UNDERLAY]),
      host.fanctl(['up', '99', UNDERLAY]),
    ]);
    expect([first.stdout, second.stdout]).toEqual(['fan-250-0-28\n', 'fan-99-0-28\n']);
    expect(await showFans(host)).toHaveLength(2);
    await host.fanctl(['down', '-e', '--force']);
    expect(readdirSync(host.dir)).toEqual([]);
  });
});
