/**
 * The table of one workload: a row a path, with its ratio to the two paths that every reader knows.
 */
import type { Profile } from '../lab/underlay.js';
import type { Measurement, Workload } from '../workloads/workload.js';
import { median, pairedRatio, spread } from './statistics.js';
import { table } from './table.js';

export interface Series {
  /** Of the path. */
  name: string;
  title: string;
  runs: Measurement[];
}

export function resultTable(workload: Workload, profile: Profile, series: readonly Series[]): string {
  const values = (name: string) =>
    series.find((one) => one.name === name)?.runs.map(({ value }) => value) ?? [];
  const header = ['path', workload.unit, 'spread', 'of untunnelled', 'of VXLAN'];
  const rows = series.map(({ name, title }) => [
    title,
    median(values(name)).toFixed(2),
    `${(spread(values(name)) * 100).toFixed(0)} %`,
    ratio(values(name), values('untunnelled')),
    ratio(values(name), values('vxlan')),
  ]);
  const runs = series[0]?.runs.length ?? 0;
  const title = `${workload.title}; ${profile} underlay; median of ${runs}`;
  return `\n${title}\n\n${table(header, rows)}`;
}

function ratio(values: readonly number[], base: readonly number[]): string {
  return base.length === 0 ? '–' : pairedRatio(values, base).toFixed(2);
}
