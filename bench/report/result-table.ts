/**
 * The table of one workload: a row a path, with its place beside the two paths that every reader knows, the workload's
 * own columns, and what it cost.
 */
import type { EnvironmentResult, Run, ScalePoint, Series, WorkloadResult } from './result.js';
import { median, pairedDifference, pairedRatio, spread } from './statistics.js';
import { table } from './table.js';

const GIGABYTE = 1e9;
const MEGABYTE = 1e6;
const NONE = '–';

export function resultTable(work: WorkloadResult, { profile, mtu }: EnvironmentResult): string {
  const { series, unit, columns } = work;
  const over = work.compare === 'ratio' ? 'of' : 'over';
  const costs = series.some(({ runs }) => runs.some(({ bytes }) => bytes !== undefined));
  const header = [
    'path',
    unit,
    'spread',
    `${over} untunnelled`,
    `${over} VXLAN`,
    ...columns.map(({ title }) => title),
    ...(costs ? ['CPU s/GB', 'tunnel: client', 'server', 'calls/GB', 'switches/GB'] : []),
  ];
  const rows = series.map((one) => {
    return one.runs.length === 0
      ? [one.title, 'failed']
      : [...mainCells(work, one), ...(costs ? costCells(one) : [])];
  });
  const repeats = Math.max(...series.map(({ runs }) => runs.length));
  return `\n${work.title}\n${profile} underlay, MTU ${mtu}; median of ${repeats}\n\n${table(header, rows)}`;
}

function mainCells(work: WorkloadResult, one: Series): string[] {
  const values = valuesOf(one);
  return [
    one.title,
    median(values).toFixed(work.digits),
    `${(spread(values) * 100).toFixed(0)} %`,
    comparison(work, values, 'untunnelled'),
    comparison(work, values, 'vxlan'),
    ...work.columns.map(({ key, digits }) =>
      number(median(one.runs.map(({ details }) => details[key] ?? Number.NaN)), digits),
    ),
  ];
}

function comparison(work: WorkloadResult, values: readonly number[], base: string): string {
  const others = valuesOf(work.series.find(({ name }) => name === base));
  if (work.compare === 'ratio') return number(pairedRatio(values, others), 2);
  const difference = pairedDifference(values, others);
  return `${difference > 0 ? '+' : ''}${number(difference, work.digits)}`;
}

/** CPU seconds a gigabyte that arrived: of the machine, and of the tunnel's processes at each side. */
export function costsOf(runs: readonly Run[]): [number, number, number] {
  const perGigabyte = (seconds: (run: Run) => number | undefined) => {
    return median(runs.map((run) => ((seconds(run) ?? Number.NaN) * GIGABYTE) / (run.bytes ?? Number.NaN)));
  };
  return [
    perGigabyte(({ cost }) => cost.machineCpuSeconds),
    perGigabyte(({ cost }) => cost.tunnel[0]?.cpuSeconds),
    perGigabyte(({ cost }) => cost.tunnel[1]?.cpuSeconds),
  ];
}

/** The tunnel's system calls and context switches are of both hosts together. */
function costCells({ runs, systemCallsPerGigabyte }: Series): string[] {
  const switches = runs.map(({ bytes, cost }) => {
    const count = cost.tunnel.reduce((sum, { contextSwitches }) => sum + contextSwitches, 0);
    return (count * GIGABYTE) / (bytes ?? Number.NaN);
  });
  return [
    ...costsOf(runs).map((seconds) => number(seconds, 2)),
    number(systemCallsPerGigabyte ?? Number.NaN, 0),
    number(median(switches), 0),
  ];
}

/** Memory and idle CPU of the tunnels' processes, where there are any; undefined when there are none. */
export function memoryTable({ paths, workloads, profile, mtu }: EnvironmentResult): string | undefined {
  const rows = paths
    .filter(({ idle }) => idle.rssBytes > 0)
    .map(({ name, title, idle }) => [
      title,
      (idle.rssBytes / MEGABYTE).toFixed(1),
      (mostMemory(workloads, name) / MEGABYTE).toFixed(1),
      idle.cpuPercent.toFixed(2),
    ]);
  if (rows.length === 0) return undefined;
  const header = ['path', 'RSS before, MB', 'most after work, MB', 'idle CPU, % of one'];
  return `\nProcesses of the tunnel, on the larger or busier host\n${profile} underlay, MTU ${mtu}\n\n${table(header, rows)}`;
}

/** A row for each number of hosts; undefined where none was measured. */
export function scaleTable(points: readonly ScalePoint[]): string | undefined {
  if (points.length === 0) return undefined;
  const header = ['hosts', 'pings answered', 'ping, ms', 'TCP, Gbit/s', 'spread', 'fand, MB', 'up, s a host'];
  const rows = points.map(({ hosts, pings, answered, pingMs, gigabits, rssBytes, upSeconds }) => [
    `${hosts}`,
    `${answered} of ${pings}`,
    number(pingMs, 3),
    number(median(gigabits), 2),
    `${(spread(gigabits) * 100).toFixed(0)} %`,
    (rssBytes / MEGABYTE).toFixed(1),
    number(upSeconds, 2),
  ]);
  return `\nHosts of one lab that have a fan; sampled pairs of containers, one TCP stream\nnic-like underlay, MTU 1500\n\n${table(header, rows)}`;
}

/** Bytes, of the larger host after any run. */
export function mostMemory(workloads: readonly WorkloadResult[], path: string): number {
  const runs = workloads.flatMap(({ series }) => series.find(({ name }) => name === path)?.runs ?? []);
  return Math.max(0, ...runs.flatMap(({ cost }) => cost.tunnel.map(({ rssBytes }) => rssBytes)));
}

export function valuesOf(series: Series | undefined): number[] {
  return series?.runs.map(({ value }) => value) ?? [];
}

function number(value: number, digits: number): string {
  return Number.isFinite(value) ? value.toFixed(digits) : NONE;
}
