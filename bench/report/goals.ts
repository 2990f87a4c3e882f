/**
 * What the project promises of its speed, each promise against a result: ratios and differences within one run, so that
 * they hold on any machine.
 */
import type { Profile } from '../lab/underlay.js';
import type { EnvironmentResult, Result, WorkloadResult } from './result.js';
import { costsOf, mostMemory, valuesOf } from './result-table.js';
import { median, pairedDifference, pairedRatio } from './statistics.js';

export interface GoalOutcome {
  title: string;
  goal: string;
  /** Undefined where the run didn't measure it. */
  measured: string | undefined;
  reached: boolean | undefined;
}

interface Goal {
  title: string;
  bound: number;
  most: boolean;
  unit: string;
  measure(result: Result): number;
}

const MTU = 1500;

export function goalOutcomes(result: Result): GoalOutcome[] {
  return GOALS.map(({ title, bound, most, unit, measure }) => {
    const value = measure(result);
    const known = Number.isFinite(value);
    return {
      title,
      goal: `${most ? '≤' : '≥'} ${bound}${unit}`,
      measured: known ? `${value.toFixed(bound < 10 ? 2 : 1)}${unit}` : undefined,
      reached: known ? (most ? value <= bound : value >= bound) : undefined,
    };
  });
}

function ratio(path: string, profile: Profile, base: string, bound: number, work = 'tcp-1'): Goal {
  return {
    title: `${path} of ${base}, ${work}, ${profile}`,
    bound,
    most: false,
    unit: '',
    measure: (result) => compare(pairedRatio, result, profile, work, path, base),
  };
}

function added(path: string, bound: number, base = 'untunnelled'): Goal {
  return {
    title: `round trip that ${path} adds to ${base}, nic-like`,
    bound,
    most: true,
    unit: ' µs',
    measure: (result) => compare(pairedDifference, result, 'nic-like', 'rtt', path, base),
  };
}

function cost(path: string, base: string, bound: number): Goal {
  const costs = (work: WorkloadResult, name: string) => {
    return costsOf(work.series.find((one) => one.name === name)?.runs ?? [])[0];
  };
  return {
    title: `CPU seconds a gigabyte, ${path} of ${base}, tcp-1, nic-like`,
    bound,
    most: true,
    unit: '',
    measure(result) {
      const work = workloadOf(result, 'nic-like', 'tcp-1');
      return work ? costs(work, path) / costs(work, base) : Number.NaN;
    },
  };
}

const GOALS: readonly Goal[] = [
  ratio('ufan-auto', 'nic-like', 'untunnelled', 0.95),
  ratio('ufan-auto', 'nic-like', 'vxlan', 1.1),
  ratio('ufan-auto', 'nic-like', 'untunnelled', 0.95, 'tcp-8'),
  ratio('ufan-auto', 'nic-like', 'vxlan', 1.1, 'tcp-8'),
  ratio('ufan-auto', 'offload', 'untunnelled', 0.92),
  ratio('ufan-packet', 'nic-like', 'vxlan', 1),
  ratio('ufan-packet', 'nic-like', 'untunnelled', 0.8),
  ratio('ufan-packet', 'offload', 'untunnelled', 0.7),
  cost('ufan-packet', 'vxlan', 1.3),
  ratio('ufan-packet-nobpf', 'nic-like', 'untunnelled', 0.45),
  ratio('ufan-raw', 'nic-like', 'untunnelled', 0.5),
  {
    title: 'ufan-raw of the best userspace peer, tcp-1, nic-like',
    bound: 5,
    most: false,
    unit: '',
    measure: ofBestPeer,
  },
  ratio('ufan-vxlan-bpf', 'nic-like', 'vxlan', 1),
  ratio('ufan-vxlan-bpf', 'offload', 'vxlan', 1),
  ratio('ufan-vxlan-raw', 'nic-like', 'vxlan', 0.6),
  ratio('ufan-auto', 'nic-like', 'untunnelled', 0.7, 'udp-64'),
  ratio('ufan-packet', 'nic-like', 'untunnelled', 1, 'udp-64'),
  ratio('ufan-raw', 'nic-like', 'untunnelled', 0.9, 'udp-64'),
  added('ufan-auto', 3, 'vxlan'),
  added('ufan-vxlan-bpf', 3, 'vxlan'),
  added('ufan-packet', 40),
  added('ufan-raw', 45),
  {
    title: 'fand idle, of one core',
    bound: 0.3,
    most: true,
    unit: ' %',
    measure: (result) => most(result, ({ paths }) => fansOf(paths).map(({ idle }) => idle.cpuPercent)),
  },
  {
    title: 'fand after load, resident',
    bound: 120,
    most: true,
    unit: ' MB',
    measure: (result) =>
      most(result, ({ paths, workloads }) =>
        fansOf(paths).map(({ name }) => mostMemory(workloads, name) / 1e6),
      ),
  },
];

function fansOf(paths: EnvironmentResult['paths']) {
  return paths.filter(({ kind }) => kind === 'fan');
}

/** NaN where no environment has a figure. */
function most(result: Result, figures: (environment: EnvironmentResult) => number[]): number {
  const all = result.environments.flatMap(figures);
  return all.length === 0 ? Number.NaN : Math.max(...all);
}

function compare(
  how: (values: readonly number[], base: readonly number[]) => number,
  result: Result,
  profile: Profile,
  work: string,
  path: string,
  base: string,
): number {
  const found = workloadOf(result, profile, work);
  return found ? how(seriesOf(found, path), seriesOf(found, base)) : Number.NaN;
}

function ofBestPeer(result: Result): number {
  const found = workloadOf(result, 'nic-like', 'tcp-1');
  const paths = environmentOf(result, 'nic-like')?.paths ?? [];
  const peers = paths
    .filter(({ kind }) => kind === 'peer')
    .map(({ name }) => (found ? seriesOf(found, name) : []))
    .filter((values) => values.length > 0)
    .sort((a, b) => median(b) - median(a));
  return found && peers[0] ? pairedRatio(seriesOf(found, 'ufan-raw'), peers[0]) : Number.NaN;
}

function environmentOf(result: Result, profile: Profile): EnvironmentResult | undefined {
  return result.environments.find((one) => one.profile === profile && one.mtu === MTU);
}

function workloadOf(result: Result, profile: Profile, work: string): WorkloadResult | undefined {
  return environmentOf(result, profile)?.workloads.find(({ name }) => name === work);
}

function seriesOf(work: WorkloadResult, path: string): number[] {
  return valuesOf(work.series.find(({ name }) => name === path));
}
