/** Parts of doctor that no host of a lab has: kernels, tunnels of a kernel with ipip; and how it all is printed. */
import { readlinkSync } from 'node:fs';
import { describe, expect, it, test, vi } from 'vitest';
import { FanError } from '../../../../src/base/error.js';
import { formatChecks } from '../../../../src/cli/output/check-output.js';
import { type DaemonStatus, runPaths } from '../../../../src/control/protocol.js';
import { CHECKS } from '../../../../src/diagnosis/doctor/checks.js';
import { fandDead } from '../../../../src/diagnosis/doctor/daemon.js';
import { examineKernel } from '../../../../src/diagnosis/doctor/machine.js';
import { type Fand, Patient } from '../../../../src/diagnosis/doctor/patient.js';
import { kernelTunnel, underlayMtu } from '../../../../src/diagnosis/doctor/underlay.js';
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
      'ok    fand-dead   fand answers',
      'FAIL  rp-filter   critical, direction in',
      '        it is 1',
      '        fix: echo 2',
      'warn  slow-clock  minor',
      '        hpet',
      '',
      '3 checks, 1 failed, 1 warned',
    ].join('\n'),
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
