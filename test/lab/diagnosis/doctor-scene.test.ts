/**
 * `fanctl doctor` in the middle of things: while an `up` is under way, in the network namespace of another host, on a
 * terminal and off it.
 */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { showFans } from '../../../bench/lab/fan.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { FANCTL } from '../../../bench/lab/repository.js';
import { FAN, FanLab, until } from '../fan-lab.js';
import { diagnose, named } from './doctor-lab.js';

describe('while an up is under way', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({ hosts: 1, containers: 0 });
  });
  afterAll(() => lab?.remove());

  it('nothing is called lost, and show has no fan before it is up', async () => {
    const host = lab.host(1);
    // The last of its steps, and it takes its time: until the test lets it go on.
    const bin = join(lab.dir, 'bin');
    mkdirSync(bin);
    const dnsmasq = join(bin, 'dnsmasq');
    writeFileSync(
      dnsmasq,
      `#!/bin/sh\n[ "$1" = --version ] || while ! [ -e ${lab.dir}/go ]; do sleep 0.1; done\nexec /usr/sbin/dnsmasq "$@"\n`,
    );
    chmodSync(dnsmasq, 0o755);
    const env = { PATH: `${bin}:${process.env.PATH}` };
    const up = host.spawn([process.execPath, FANCTL, 'up', ...FAN, 'dhcp'], { env });
    try {
      const links = async () => (await host.exec(['ip', '-br', 'link'])).stdout;
      await until(links, (text) => text.includes('tun-250-0-28'));
      await until(
        async () => (await host.exec(['nft', 'list', 'tables'])).stdout,
        (text) => text.includes('ufan-'),
      );
      expect(await showFans(host)).toEqual([]);
      const diagnosis = diagnose(host);
      // Long enough that it meets the change.
      await expect(
        Promise.race([diagnosis, new Promise((done) => setTimeout(done, 1500, 'waits'))]),
      ).resolves.toBe('waits');
      await host.exec(['touch', `${lab.dir}/go`]);
      expect(named((await diagnosis).results, 'fail')).toEqual([]);
      await up.finish();
      expect(await showFans(host)).toMatchObject([{ state: 'up' }]);
      expect(named((await diagnose(host)).results, 'fail')).toEqual([]);
    } finally {
      await host.exec(['touch', `${lab.dir}/go`]);
      await up.stop();
    }
  });
});

describe('two hosts with a fan', () => {
  let net: FanLab;
  beforeAll(async () => {
    net = await FanLab.open({ hosts: 2 }, [...FAN, 'no-heal', 'io', 'packet']);
  });
  afterAll(() => net?.remove());

  it('in the network namespace of another one says that, and nothing that follows from it', async () => {
    const [one, two] = [net.host(1), net.host(2)];
    const env = { UFAN_RUN_DIR: one.dir };
    const { code, stdout } = await two.exec([process.execPath, FANCTL, 'doctor', '--json'], {
      env,
      anyExit: true,
    });
    expect(code).toBe(1);
    const results = JSON.parse(stdout) as { check: string; status: string; evidence: string }[];
    expect(results.filter(({ status }) => status !== 'ok')).toMatchObject([
      {
        check: 'fand-dead',
        status: 'fail',
        evidence: expect.stringContaining('serves another network namespace'),
      },
    ]);
    expect(results.map(({ check }) => check)).not.toContain('route-missing');
  });

  it('off a terminal: a line each, that reads right; no "no fan is up" while one is', async () => {
    const { stdout } = await net.host(1).fanctl(['doctor']);
    expect(stdout).toMatch(/^ok {4}IP protocol 4 passes \(protocol-4-blocked\): no chain drops/m);
    expect(stdout).toMatch(/^ok {4}relays lead bursts on \(relay-broken\): /m);
    expect(stdout).not.toContain('no fan is up');
    expect(stdout).not.toContain('\x1b');
    const { stdout: json } = await net.host(1).fanctl(['doctor', '--json']);
    const [first] = JSON.parse(json) as object[];
    expect(Object.keys(first!)).toEqual(['check', 'title', 'status', 'severity', 'evidence', 'fix']);
  });

  it('on a terminal: groups, what is well folded, colours unless NO_COLOR', async () => {
    const doctor = async (flags: string, env: Record<string, string>) => {
      const command = `${process.execPath} ${FANCTL} doctor ${flags}`;
      const argv = ['script', '-qefc', command, '/dev/null'];
      return (await net.host(1).exec(argv, { env: { TERM: 'xterm', ...env }, anyExit: true })).stdout;
    };
    const plain = await doctor('', { NO_COLOR: '1' });
    expect(plain).toMatch(/^ok {4}this machine: 4 checks\r$/m);
    expect(plain).not.toContain('protocol-4-blocked');
    expect(plain).not.toContain('\x1b[3');
    expect(await doctor('--all', { NO_COLOR: '1' })).toContain('(protocol-4-blocked): no chain drops');
    await net.host(1).exec(['sysctl', '-qw', 'net.ipv4.ip_forward=0']);
    const coloured = await doctor('', { NO_COLOR: '' });
    await net.host(1).exec(['sysctl', '-qw', 'net.ipv4.ip_forward=1']);
    expect(coloured).toContain(
      '\x1b[1;31mFAIL  \x1b[0m\x1b[1mthe host forwards (ip-forward-off)\x1b[0m: critical',
    );
  });
});
