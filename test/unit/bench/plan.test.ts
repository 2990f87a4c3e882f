/** Arguments of the harness: what they choose, and which are refused. */
import { describe, expect, it } from 'vitest';
import { countRuns, estimateSeconds, type Plan, parseRequest, pathsOf } from '../../../bench/plan.js';

function parsePlan(args: readonly string[]): Plan {
  const request = parseRequest(args);
  if (request.do !== 'measure') throw new Error(`that is ${request.do}`);
  return request.plan;
}

function shape(...args: string[]) {
  const plan = parsePlan(args);
  return plan.environments.map((environment) => ({
    where: `${environment.profile} ${environment.mtu}`,
    paths: pathsOf(environment).map(({ name }) => name),
    workloads: environment.work.map(({ workload }) => workload.name),
  }));
}

describe('parsePlan', () => {
  it('--quick is the headline on the known paths', () => {
    expect(shape('--quick')).toMatchObject([{ where: 'nic-like 1500', workloads: ['tcp-1'] }]);
    const { paths } = shape('--quick')[0]!;
    for (const name of ['untunnelled', 'vxlan', 'ufan-auto', 'ufan-raw', 'ufan-packet', 'one-packet']) {
      expect(paths).toContain(name);
    }
    expect(estimateSeconds(parsePlan(['--quick']))).toBeLessThan(120);
  });

  it('without a choice measures all of it under nic-like, and some of it elsewhere', () => {
    const all = shape();
    expect(all.map(({ where }) => where)).toEqual([
      'nic-like 1500',
      'offload 1500',
      'nic-like 9001',
      'offload 9001',
    ]);
    expect(all[0]!.workloads).toContain('udp-64');
    expect(parsePlan([])).toMatchObject({ seconds: 1, repeats: 5 });
    expect(estimateSeconds(parsePlan([]))).toBeLessThan(30 * 60);
  });

  it('--all is every path and workload in every environment', () => {
    const all = shape('--all');
    expect(all.length).toBe(4);
    for (const one of all) expect(one).toMatchObject({ paths: all[0]!.paths, workloads: all[0]!.workloads });
    expect(countRuns(parsePlan(['--all']))).toBeGreaterThan(countRuns(parsePlan([])));
  });

  it('--only, --work, --profile and --mtu narrow it, each as often as given', () => {
    const args = [
      '--only',
      'vxlan',
      '--only',
      'untunnelled',
      '--work',
      'rtt',
      '--profile',
      'offload',
      '--mtu',
      '9001',
    ];
    expect(shape(...args, '--mtu', '1400')).toEqual([
      { where: 'offload 9001', paths: ['untunnelled', 'vxlan'], workloads: ['rtt'] },
      { where: 'offload 1400', paths: ['untunnelled', 'vxlan'], workloads: ['rtt'] },
    ]);
    expect(shape('--work', 'rtt')[0]!.paths).toEqual(shape()[0]!.paths);
  });

  it('measures many hosts by itself, or with everything, or when asked', () => {
    expect(parsePlan(['--scale'])).toMatchObject({ scale: true, environments: [] });
    expect(parsePlan(['--scale', '--work', 'rtt'])).toMatchObject({
      scale: true,
      environments: [{ mtu: 1500 }],
    });
    expect([[], ['--all'], ['--quick'], ['--work', 'rtt']].map((args) => parsePlan(args).scale)).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  it('knows help and rendering from measuring', () => {
    expect(parseRequest(['--help'])).toEqual({ do: 'help' });
    expect(parseRequest(['--render', 'a.json'])).toEqual({ do: 'render', file: 'a.json' });
    expect(parseRequest(['--more-cores', 'a.json'])).toEqual({ do: 'more-cores', file: 'a.json' });
  });

  it.each([
    [['--only', 'carrier-pigeon'], 'no such path: carrier-pigeon (there are untunnelled, '],
    [['--work', 'rest'], 'no such workload: rest (there are tcp-1, '],
    [['--profile', 'wifi'], 'no such profile: wifi (there are nic-like, offload)'],
    [['--mtu', '68'], '--mtu takes a whole number from 576 to 65535, not "68"'],
    [['--seconds', '0.5'], '--seconds takes a whole number from 1 to 3600, not "0.5"'],
    [['--repeats', 'five'], '--repeats takes a whole number from 1 to 1000, not "five"'],
    [['--quick', '--all'], '--quick and --all exclude each other'],
    [['--fast'], "Unknown option '--fast'"],
    [['fast'], 'Unexpected argument'],
  ])('refuses %j', (args, reason) => {
    expect(() => parsePlan(args)).toThrow(reason);
  });
});
