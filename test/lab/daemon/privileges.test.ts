/**
 * What fand may do once it runs: the same in every thread, nothing that it has no need of, and no more for what it starts.
 * With that, every mode, DHCP, doctor and probe work; and where fand has less from the start, it goes on.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { containerAddress, raiseFan, showFans } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { ping } from '../../../bench/lab/ping.js';
import { groupNumber } from '../../../src/daemon/socket-group.js';
import { FAN, fandPid } from '../fan-lab.js';

/** KILL, SETGID, SETUID, NET_BIND_SERVICE, NET_ADMIN, NET_RAW, PERFMON, BPF (linux/capability.h). */
const KEPT = [5, 6, 7, 10, 12, 13, 38, 39].reduce((sum, number) => sum + 2 ** number, 0);
/** Where this clone is a user's own, fand goes on reading its program. */
const DAC_READ_SEARCH = 4;
/** A group that every Debian has. */
const GROUP = 'daemon';

let lab: Lab;
beforeAll(async () => {
  lab = await createLab();
});
afterAll(() => lab?.remove());

function statusOf(path: string): Record<string, string> {
  const lines = readFileSync(path, 'latin1').split('\n');
  return Object.fromEntries(lines.map((line) => line.split(/:\s*/, 2)));
}

const bitsOf = (text = '0') => Number.parseInt(text, 16);

function threadsOf(pid: number): Record<string, string>[] {
  return readdirSync(`/proc/${pid}/task`).map((tid) => statusOf(`/proc/${pid}/task/${tid}/status`));
}

async function dnsmasqOf(host: Host): Promise<number> {
  const [fan] = await showFans(host);
  return Number(readFileSync(join(host.dir, `dnsmasq-${fan?.bridge}.pid`), 'utf8'));
}

describe.each(['raw', 'packet', 'bpf', 'auto'])('io %s', (io) => {
  it('works with what fand keeps, in all of its threads', async () => {
    for (const host of lab.hosts) await raiseFan(host, [...FAN, 'dhcp', '--io', io]);
    const [one, two] = [lab.host(1), lab.host(2)];
    const threads = threadsOf(fandPid(one));
    expect(threads.length).toBeGreaterThan(5);
    for (const { CapEff, CapPrm, CapBnd, CapInh, CapAmb, NoNewPrivs } of threads) {
      expect(bitsOf(CapEff) - (bitsOf(CapEff) & DAC_READ_SEARCH)).toBe(KEPT);
      expect([CapPrm, CapBnd]).toEqual([CapEff, CapEff]);
      expect([bitsOf(CapInh), bitsOf(CapAmb), NoNewPrivs]).toEqual([0, 0, '1']);
    }
    const [fan] = await showFans(two);
    expect(fan).toMatchObject(io === 'auto' ? { io: 'bpf', ioNotes: [] } : { io });
    const { received } = await ping(one.container(1), containerAddress(fan!, 1), { count: 3 });
    expect(received).toBe(3);
    const doctor = await one.fanctl(['doctor', '--json']);
    expect(JSON.parse(doctor.stdout).filter(({ status }: { status: string }) => status === 'fail')).toEqual(
      [],
    );
    expect((await one.fanctl(['probe', two.address])).stdout).not.toContain('fail');
    for (const host of lab.hosts) await host.fanctl(['down', '-e', '--force']);
  });
});

it('dnsmasq is not root, and can become nothing more', async () => {
  const host = lab.host(1);
  await host.fanctl(['up', ...FAN, 'dhcp']);
  const status = statusOf(`/proc/${await dnsmasqOf(host)}/status`);
  expect(status.Uid?.split('\t')).not.toContain('0');
  expect(status.NoNewPrivs).toBe('1');
  expect(bitsOf(status.CapBnd) - (bitsOf(status.CapBnd) & DAC_READ_SEARCH)).toBe(KEPT);
  await host.fanctl(['down', '-e', '--force']);
});

it('leases that a fand with more privileges left to the user of its dnsmasq are taken over', async () => {
  const host = lab.host(1);
  const lease = '0 02:00:00:00:00:99 250.0.28.99 box *\n';
  await host.fanctl(['up', ...FAN, 'dhcp']);
  const [fan] = await showFans(host);
  const file = join(`${host.dir}-state`, `dnsmasq-${fan?.bridge}.leases`);
  process.kill(fandPid(host), 'SIGKILL');
  process.kill(await dnsmasqOf(host), 'SIGKILL');
  await host.exec(['sh', '-c', `printf '${lease}' > "$0" && chown nobody "$0"`, file]);
  await host.fanctl(['up', ...FAN, 'dhcp']);
  expect(readFileSync(file, 'utf8')).toContain('02:00:00:00:00:99');
  expect(statSync(file).uid).toBe(0);
  expect((await host.fanctl(['doctor'])).stdout).toContain(' 0 failed');
  await host.fanctl(['down', '-e', '--force']);
});

it('a fand that is started with less goes on with that', async () => {
  const without = ['setpriv', '--bounding-set=-sys_admin,-setpcap,-sys_ptrace,-bpf'];
  for (const host of lab.hosts) await raiseFan(host, FAN, without);
  const [fan] = await showFans(lab.host(2));
  expect(fan?.ioNotes.join()).toContain('bpf: the probe failed');
  const { received } = await ping(lab.host(1).container(1), containerAddress(fan!, 1), { count: 3 });
  expect(received).toBe(3);
  for (const host of lab.hosts) await host.fanctl(['down', '-e', '--force']);
});

it("the control socket is root's, and the group's where there is one", async () => {
  const host = lab.host(1);
  const modeOf = () => (statSync(join(host.dir, 'fand.sock')).mode & 0o777).toString(8);
  const asGroup = ['env', `UFAN_GROUP=${GROUP}`];
  await raiseFan(host, FAN, asGroup);
  const number = groupNumber(readFileSync('/etc/group', 'utf8'), GROUP);
  expect({ mode: modeOf(), group: statSync(join(host.dir, 'fand.sock')).gid }).toEqual({
    mode: '660',
    group: number,
  });
  await host.fanctl(['down', '-e', '--force']);
  await raiseFan(host, FAN, ['env', 'UFAN_GROUP=nobody-has-this']);
  expect({ mode: modeOf(), group: statSync(join(host.dir, 'fand.sock')).gid }).toEqual({
    mode: '600',
    group: 0,
  });
  await host.fanctl(['down', '-e', '--force']);
});
