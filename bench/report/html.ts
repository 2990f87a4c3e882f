/**
 * The report as one HTML file that needs nothing else: the machine, the goals, and for each environment and workload a
 * plot and the table.
 */
import { barChart, lineChart, type Tone } from './chart.js';
import { type GoalOutcome, goalOutcomes } from './goals.js';
import type { EnvironmentResult, Result, ScalePoint, WorkloadResult } from './result.js';
import { memoryTable, resultTable, scaleTable, valuesOf } from './result-table.js';
import { median } from './statistics.js';
import { escapeMarkup } from './text.js';

const STYLE = `
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2.5rem}svg{max-width:100%;height:auto;display:block;margin-top:1.5rem}
table{border-collapse:collapse}td,th{padding:.2rem .8rem .2rem 0;text-align:left;vertical-align:top}
pre{overflow-x:auto;font-size:12px}.no{color:#c93c37}.yes{color:#2d8a4e}details{margin:.3rem 0}`;

export function htmlReport(result: Result): string {
  const parts = [
    `<h1>ufan beside other ways from container to container</h1>`,
    result.complete ? '' : '<p class="no">The run was interrupted: this is what it had measured.</p>',
    facts(result),
    goals(goalOutcomes(result)),
    failures(result),
    ...result.environments.map(environment),
    scale(result.scale),
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>ufan bench ${escapeMarkup(result.machine.date)}</title><style>${STYLE}</style></head>
<body>${parts.join('\n')}</body></html>
`;
}

/** The plot of one workload, for the report and as a file of its own; undefined where nothing was measured. */
export function workloadChart(
  work: WorkloadResult,
  { paths, profile, mtu }: EnvironmentResult,
): string | undefined {
  const bars = work.series
    .filter(({ runs }) => runs.length > 0)
    .map((series) => {
      const tone: Tone = paths.find(({ name }) => name === series.name)?.kind ?? 'plain';
      return { label: series.title, tone, value: median(valuesOf(series)), runs: valuesOf(series) };
    });
  if (bars.length === 0) return undefined;
  const better = work.compare === 'ratio' ? 'more is better' : 'less is better';
  return barChart(work.title, `${work.unit}, ${better}; ${profile}, MTU ${mtu}`, bars);
}

function facts({ machine, seconds, repeats }: Result): string {
  const rows = Object.entries({ ...machine, 'seconds a run': seconds, rounds: repeats });
  const cells = rows.map(
    ([name, value]) => `<tr><th>${escapeMarkup(name)}</th><td>${escapeMarkup(`${value}`)}</td></tr>`,
  );
  return `<details><summary>${escapeMarkup(`${machine.cores} × ${machine.cpu}, Linux ${machine.kernel}`)}</summary>
<table>${cells.join('')}</table></details>`;
}

function goals(outcomes: readonly GoalOutcome[]): string {
  const known = outcomes.filter(({ measured }) => measured !== undefined);
  if (known.length === 0) return '';
  const rows = known.map(({ title, goal, measured, reached }) => {
    const mark = reached ? '<td class="yes">reached</td>' : '<td></td>';
    return `<tr><td>${escapeMarkup(title)}</td><td>${escapeMarkup(measured ?? '')}</td><td>${escapeMarkup(goal)}</td>${mark}</tr>`;
  });
  return `<h2>What we work for</h2><table><tr><th></th><th>measured</th><th>goal</th></tr>${rows.join('')}</table>`;
}

function failures({ failures }: Result): string {
  if (failures.length === 0) return '';
  const items = failures.map(({ path, workload, profile, mtu, reason }) => {
    return `<li>${escapeMarkup(`${[path, workload, profile, mtu].filter(Boolean).join(', ')}: ${reason}`)}</li>`;
  });
  return `<h2>Left out, or cut short</h2><ul>${items.join('')}</ul>`;
}

function environment(result: EnvironmentResult): string {
  const notes = result.paths
    .filter(({ notes }) => notes.length > 0)
    .map(({ title, notes }) => `<li>${escapeMarkup(`${title}: ${notes.join('; ')}`)}</li>`);
  const workloads = result.workloads.map((work) => {
    const chart = workloadChart(work, result);
    return chart ? `${chart}${numbers(resultTable(work, result))}` : '';
  });
  const memory = memoryTable(result);
  return `<h2>${escapeMarkup(`${result.profile} underlay, MTU ${result.mtu}`)}</h2>
<details><summary>how the paths were set up</summary><ul>${notes.join('')}</ul></details>
${workloads.join('\n')}
${memory ? numbers(memory) : ''}`;
}

function scale(points: readonly ScalePoint[]): string {
  const table = scaleTable(points);
  if (!table) return '';
  const line = (label: string, tone: Tone, y: (point: ScalePoint) => number) => {
    return { label, tone, points: points.map((point) => ({ x: point.hosts, y: y(point) })) };
  };
  const speed = line('TCP', 'fan', ({ gigabits }) => median(gigabits));
  const delay = line('ping', 'kernel', ({ pingMs }) => pingMs);
  return `<h2>More hosts</h2>
${lineChart('One TCP stream with more hosts', 'Gbit/s, median of sampled pairs', 'hosts with a fan', [speed])}
${lineChart('Ping with more hosts', 'ms, median of sampled pairs', 'hosts with a fan', [delay])}
${numbers(table)}`;
}

function numbers(table: string): string {
  const [title = ''] = table.trim().split('\n');
  return `<details><summary>figures</summary><pre>${escapeMarkup(table.trim().slice(title.length).trim())}</pre></details>`;
}
