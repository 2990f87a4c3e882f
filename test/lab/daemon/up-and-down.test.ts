/**
 * fanctl up and down on a real host of a lab: up leaves what it should, down leaves nothing, and neither does an up that
 * fails half-way.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { CommandError } from '../../../bench/lab/command.js';
import { showFans } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { FANCTL } from '../../../bench/lab/repository.js';
import { makeRunDir } from '../../../src/control/made-run-dir.js';
import { runPaths } from '../../../src/control/protocol.js';
import { leaveNothing, OVERLAY, refused, snapshot, UNDERLAY } from './life-lab.js';

let lab: Lab;
let host: Host;
beforeAll(async () => {
  lab = await createLab({ hosts: 1, containers: 1 });
  host = lab.host(1);
});
afterEach(() => leaveNothing(lab));
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
