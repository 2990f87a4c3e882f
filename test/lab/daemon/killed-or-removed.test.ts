/**
 * What somebody killed, or took away, while a fan was up: fand comes back with the same command, restores what there was,
 * and down still leaves nothing.
 */
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { CommandError } from '../../../bench/lab/command.js';
import { containerAddress, raiseFan, showFans } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { ping } from '../../../bench/lab/ping.js';
import { FANCTL } from '../../../bench/lab/repository.js';
import { fandPid, killFand } from '../fan-lab.js';
import { leaveNothing, OVERLAY, processesOf, refused, snapshot, UNDERLAY } from './life-lab.js';

let lab: Lab;
let host: Host;
let peer: Host;
beforeAll(async () => {
  lab = await createLab({ hosts: 2, containers: 1 });
  host = lab.host(1);
  peer = lab.host(2);
});
afterEach(() => leaveNothing(lab));
afterAll(() => lab.remove());

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

  it('follows the underlay device that was given another name meanwhile', async () => {
    await host.fanctl(['up', OVERLAY, UNDERLAY]);
    const { view } = await raiseFan(peer, [OVERLAY, UNDERLAY]);
    await killFand(host);
    await host.ip('link set eth0 down', 'link set eth0 name lan0', 'link set lan0 up');
    await host.fanctl(['restart']);
    expect(await showFans(host)).toMatchObject([{ state: 'up', device: 'lan0' }]);
    await ping(host.container(1), containerAddress(view, 1));
    await host.fanctl(['down', '-e', '--force']);
    await peer.fanctl(['down', '-e', '--force']);
    await host.ip('link set lan0 down', 'link set lan0 name eth0', 'link set eth0 up');
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
