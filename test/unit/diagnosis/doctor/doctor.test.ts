/** Parts of doctor that no host of a lab has: kernels, tunnels of a kernel with ipip; and how it all is printed. */
import { readlinkSync } from 'node:fs';
import { describe, expect, it, test, vi } from 'vitest';
import { FanError } from '../../../../src/base/error.js';
import { formatChecks, formatGroups, withTitles } from '../../../../src/cli/output/check-output.js';
import { CHECK_GROUPS, titleOf } from '../../../../src/cli/output/check-titles.js';
import { paintFor } from '../../../../src/cli/output/paint.js';
import { type CheckResult, type DaemonStatus, runPaths } from '../../../../src/control/protocol.js';
import { CHECKS } from '../../../../src/diagnosis/doctor/checks.js';
import { fandDead } from '../../../../src/diagnosis/doctor/daemon.js';
import { examineKernel } from '../../../../src/diagnosis/doctor/machine.js';
import { type Fand, Patient } from '../../../../src/diagnosis/doctor/patient.js';
import { kernelTunnel, underlayMtu } from '../../../../src/diagnosis/doctor/underlay.js';
import { PROBE_CHECKS } from '../../../../src/diagnosis/probe/checks.js';
import { parseLinks } from '../../../../src/host/links.js';

describe('kernel-regression', () => {
  it.each([
    ['6.6.44-1-lts', 'warn'],
    ['6.6.44', 'warn'],
    ['6.6.45-1-lts', 'ok'],
    ['6.6.4', 'ok'],
    ['7.0.0-rc3', 'warn'],
    ['7.0.12', 'warn'],
    ['7.1.0', 'ok'],
    ['6.18.44-custom', 'ok'],
  ])('%s: %s', (kernel, status) => {
    expect(examineKernel(kernel).status).toBe(status);
  });
});

test('kernel-tunnel: tunl0 that is up takes our packets too', async () => {
  const tunl0 = (flags: string[]) => {
    const linkinfo = { info_kind: 'ipip', info_data: { proto: 'any', remote: 'any', local: 'any' } };
    const fan = { plan: { mapping: { address: 0xac1e001c } } };
    const links = async () => parseLinks([{ ifname: 'tunl0', flags, linkinfo }]);
    return {
      links,
      eachFan: (examine: (one: object) => unknown) => Promise.all([fan].map(examine)),
    } as unknown as Patient;
  };
  expect(await kernelTunnel.examine(tunl0(['NOARP', 'UP']))).toMatchObject([
    { status: 'fail', fix: 'ip link set dev tunl0 down', evidence: expect.stringContaining('172.30.0.28') },
  ]);
  expect(await kernelTunnel.examine(tunl0(['NOARP']))).toMatchObject([{ status: 'ok' }]);
});

test('underlay-mtu-changed: a fan that will follow is no failure', async () => {
  const fan = { plan: { underlayDevice: 'eth0', mtu: 1480 }, view: { bridge: 'fan-250-0-28' } };
  const examine = (mtu: number) =>
    underlayMtu.examine({
      link: async () => parseLinks([{ ifname: 'eth0', mtu }])[0],
      eachFan: (one: (fan: object) => unknown) => Promise.all([fan].map(one)),
    } as unknown as Patient);
  expect(await examine(1500)).toMatchObject([{ status: 'ok' }]);
  for (const mtu of [576, 1499, 9001]) {
    expect(await examine(mtu)).toMatchObject([
      { status: 'warn', evidence: expect.stringContaining('fand follows'), fix: 'fanctl doctor' },
    ]);
  }
  expect(await examine(575)).toMatchObject([{ status: 'fail', fix: 'ip link set dev eth0 mtu 1500' }]);
});

test('every check has a name of its own', () => {
  expect(new Set(CHECKS.map(({ name }) => name)).size).toBe(CHECKS.length);
  for (const { name } of CHECKS) expect(name).toMatch(/^[a-z][a-z0-9-]+$/);
});

test('the text: a line each, and under troubles what was seen and what mends it', () => {
  const text = formatChecks([
    { check: 'fand-dead', status: 'ok', severity: 'info', evidence: 'fand answers', fix: '' },
    {
      check: 'rp-filter',
      status: 'fail',
      severity: 'critical',
      evidence: 'it is 1',
      fix: 'echo 2',
      direction: 'in',
    },
    { check: 'slow-clock', status: 'warn', severity: 'minor', evidence: 'hpet', fix: '' },
  ]);
  expect(text).toBe(
    [
      'ok    fand answers where there are fans (fand-dead): fand answers',
      "FAIL  the reverse-path filter passes the fan's packets (rp-filter): critical, direction in",
      '        it is 1',
      '        fix: echo 2',
      'warn  the clock is fast to read (slow-clock): minor',
      '        hpet',
      '',
      '3 checks, 1 failed, 1 warned',
    ].join('\n'),
  );
});

describe('on a terminal', () => {
  const one = (check: string, status: CheckResult['status']): CheckResult => {
    return { check, status, severity: status === 'ok' ? 'info' : 'major', evidence: 'seen', fix: '' };
  };
  const results = [
    one('program-missing', 'ok'),
    one('slow-clock', 'ok'),
    one('forward-drop', 'fail'),
    one('dhcp-blocked', 'ok'),
    one('of-tomorrow', 'warn'),
  ];

  it('groups, and folds what is well to a line each', () => {
    expect(formatGroups(results, paintFor({ NO_COLOR: '1' }), false).split('\n')).toEqual([
      'ok    this machine: 2 checks',
      'firewall and NAT',
      'FAIL  packets pass between bridge and fan (forward-drop): major',
      '        seen',
      'ok    1 check',
      'others',
      'warn  of-tomorrow: major',
      '        seen',
      '',
      '5 checks, 1 failed, 1 warned',
    ]);
  });

  it('shows every one where it is asked to', () => {
    const text = formatGroups(results, paintFor({ TERM: 'dumb' }), true);
    expect(text).toContain(
      'this machine\nok    the programs that a fan needs are there (program-missing): seen\n',
    );
  });

  it('in colours, unless NO_COLOR is set to anything', () => {
    const text = (environment: NodeJS.ProcessEnv) => formatGroups(results, paintFor(environment), false);
    expect(text({ TERM: 'xterm' })).toContain('\x1b[1;31mFAIL  \x1b[0m');
    expect(text({ TERM: 'xterm', NO_COLOR: '' })).toContain('\x1b[');
    expect(text({ TERM: 'xterm', NO_COLOR: '1' })).not.toContain('\x1b[');
  });
});

test('each check of doctor and probe has a title that holds where it is well', () => {
  const names = [...CHECKS.map(({ name }) => name), ...PROBE_CHECKS];
  expect(names.filter((name) => titleOf(name) === undefined)).toEqual([]);
  const titled = CHECK_GROUPS.flatMap(({ checks }) => Object.keys(checks));
  expect([...new Set(titled)].sort()).toEqual([...new Set([...names, 'unreadable'])].sort());
  expect(withTitles([{ check: 'rp-filter', status: 'ok', severity: 'info', evidence: '', fix: '' }])).toEqual(
    [
      expect.objectContaining({
        check: 'rp-filter',
        title: "the reverse-path filter passes the fan's packets",
      }),
    ],
  );
});

describe('a fand that leaves while doctor comes', () => {
  const paths = runPaths('/nonexistent/ufan');
  const status: DaemonStatus = { pid: 1, version: '', netns: readlinkSync('/proc/self/ns/net'), workers: 1 };
  const gone = new FanError('daemon', 'fand is not running');

  it('is one that does not run', async () => {
    const asked = vi.fn().mockResolvedValueOnce(status).mockResolvedValue(undefined);
    const fand = { status: asked, fans: () => Promise.reject(gone) } as unknown as Fand;
    const patient = await Patient.meet(paths, fand);
    expect(patient.status).toBeUndefined();
    expect(await fandDead.examine(patient)).toMatchObject([{ status: 'ok' }]);
  });

  it('is no trouble before its first fan has left a record', async () => {
    const fand = { status: async () => status, fans: async () => [] } as unknown as Fand;
    expect(await fandDead.examine(await Patient.meet(paths, fand))).toMatchObject([{ status: 'ok' }]);
  });
});
