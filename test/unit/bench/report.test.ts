/** Tables, goals, plots and the HTML report, made of a small result whose figures are known. */
import { describe, expect, it } from 'vitest';
import { barChart, lineChart } from '../../../bench/report/chart.js';
import { goalOutcomes } from '../../../bench/report/goals.js';
import { htmlReport, workloadChart } from '../../../bench/report/html.js';
import { describeMachine, disturbance } from '../../../bench/report/machine.js';
import { formatDuration } from '../../../bench/report/progress.js';
import type { Result, Run, WorkloadResult } from '../../../bench/report/result.js';
import {
  costsOf,
  memoryTable,
  mostMemory,
  resultTable,
  scaleTable,
} from '../../../bench/report/result-table.js';
import { escapeMarkup, formatFigure } from '../../../bench/report/text.js';

function run(value: number, details: Record<string, number> = {}): Run {
  const usage = (cpuSeconds: number, rssBytes: number) => ({ cpuSeconds, rssBytes, contextSwitches: 250 });
  return {
    value,
    bytes: 500e6,
    details,
    report: null,
    cost: { machineCpuSeconds: 2, tunnel: [usage(0.5, 80e6), usage(0.25, 90e6)] },
  };
}

const TCP: WorkloadResult = {
  name: 'tcp-1',
  title: 'one TCP stream <of many>',
  unit: 'Gbit/s',
  digits: 2,
  compare: 'ratio',
  columns: [{ key: 'retransmits', title: 'retransmits', digits: 0 }],
  series: [
    { name: 'untunnelled', title: 'untunnelled, routed', runs: [run(10), run(5)] },
    { name: 'vxlan', title: 'kernel VXLAN', runs: [run(5), run(2.5)] },
    {
      name: 'ufan-raw',
      title: 'ufan, --io raw',
      systemCallsPerGigabyte: 1234,
      runs: [run(4, { retransmits: 7 }), run(2, { retransmits: 9 })],
    },
    { name: 'tinc', title: 'tinc', runs: [run(0.5), run(0.5)] },
    { name: 'nebula', title: 'nebula', runs: [] },
  ],
};
const RTT: WorkloadResult = {
  ...TCP,
  name: 'rtt',
  title: 'round trip',
  unit: 'µs',
  digits: 1,
  compare: 'difference',
  columns: [],
  series: [
    { name: 'untunnelled', title: 'untunnelled, routed', runs: [run(20), run(40)] },
    { name: 'ufan-raw', title: 'ufan, --io raw', runs: [run(130), run(150)] },
  ],
};
const idle = { cpuPercent: 0.25, rssBytes: 70e6 };
const none = { cpuPercent: 0, rssBytes: 0 };
const RESULT: Result = {
  machine: {
    date: '2026-01-02T03:04:05.678Z',
    commit: 'abc',
    kernel: '6.18',
    cpu: 'A CPU',
    cores: 2,
    memoryBytes: 1e9,
    node: 'v20',
    congestionControl: 'cubic',
    systemCallNs: 80,
    pageTableIsolation: 'Not affected',
    hypervisor: 'no',
    clockSource: 'tsc',
    busyBefore: 0.01,
    pressureBefore: 0,
  },
  seconds: 1,
  repeats: 2,
  complete: true,
  environments: [
    {
      profile: 'nic-like',
      mtu: 1500,
      paths: [
        { name: 'untunnelled', title: 'untunnelled, routed', kind: 'limit', notes: [], idle: none },
        { name: 'vxlan', title: 'kernel VXLAN', kind: 'kernel', notes: [], idle: none },
        { name: 'ufan-raw', title: 'ufan, --io raw', kind: 'fan', notes: ['io raw'], idle },
        { name: 'tinc', title: 'tinc', kind: 'peer', notes: ['Cipher none'], idle },
      ],
      workloads: [TCP, RTT],
    },
  ],
  scale: [2, 64].map((hosts) => ({
    hosts,
    pings: 4,
    answered: 3,
    pingMs: 0.25,
    gigabits: [2, 3, 4],
    rssBytes: 80e6,
    upSeconds: 0.5,
  })),
  failures: [{ profile: 'nic-like', mtu: 1500, path: 'nebula', reason: 'it is <not> here', peer: true }],
};
const [ENVIRONMENT] = RESULT.environments;

describe('the table of a workload', () => {
  const lines = resultTable(TCP, ENVIRONMENT!).split('\n');

  it('has median, spread, the ratios of each round, columns and costs', () => {
    const row = lines.find((line) => line.startsWith('ufan'))!.split(/ {2,}/);
    const costs = ['4.00', '1.00', '0.50', '1234', '1000'];
    expect(row).toEqual(['ufan, --io raw', '3.00', '67 %', '0.40', '0.80', '8', ...costs]);
  });

  it('names a path that failed', () => {
    expect(lines.at(-1)).toMatch(/^nebula +failed$/);
  });

  it('shows what is added where differences count', () => {
    const row = resultTable(RTT, ENVIRONMENT!).split('\n').at(-1)!.split(/ {2,}/);
    expect(row.slice(0, 5)).toEqual(['ufan, --io raw', '140.0', '14 %', '+110.0', '–']);
  });

  it('gives CPU seconds a gigabyte that arrived', () => {
    expect(costsOf([run(1)])).toEqual([4, 1, 0.5]);
  });
});

it('the memory table has the tunnels with processes, on the larger host', () => {
  expect(mostMemory(ENVIRONMENT!.workloads, 'ufan-raw')).toBe(90e6);
  expect(
    memoryTable(ENVIRONMENT!)!
      .split('\n')
      .find((line) => line.startsWith('ufan'))!
      .split(/ {2,}/),
  ).toEqual(['ufan, --io raw', '70.0', '90.0', '0.25']);
  expect(memoryTable({ ...ENVIRONMENT!, paths: [] })).toBeUndefined();
});

it('the table of many hosts has a row for each number', () => {
  const rows = scaleTable(RESULT.scale)!.split('\n').slice(-2);
  expect(rows.map((row) => row.split(/ {2,}/))).toEqual([
    ['2', '3 of 4', '0.250', '3.00', '67 %', '80.0', '0.50'],
    ['64', '3 of 4', '0.250', '3.00', '67 %', '80.0', '0.50'],
  ]);
  expect(scaleTable([])).toBeUndefined();
});

describe('goals', () => {
  const outcome = (title: string) => goalOutcomes(RESULT).find((one) => one.title.startsWith(title));

  it('are judged by the ratio of each round', () => {
    expect(outcome('ufan-raw of untunnelled')).toMatchObject({
      goal: '≥ 0.5',
      measured: '0.40',
      reached: false,
    });
  });

  it('take the best peer that ran', () => {
    expect(outcome('ufan-raw of the best userspace peer')).toMatchObject({ measured: '6.00', reached: true });
  });

  it('may be missed', () => {
    expect(outcome('round trip that ufan-raw adds')).toMatchObject({ measured: '110.0 µs', reached: false });
  });

  it('have no outcome where nothing was measured', () => {
    expect(outcome('ufan-auto of vxlan')).toMatchObject({ measured: undefined, reached: undefined });
  });

  it('look at memory and idle CPU', () => {
    expect(outcome('fand idle')).toMatchObject({ measured: '0.25 %', reached: true });
    expect(outcome('fand after load')).toMatchObject({ measured: '90.0 MB', reached: true });
  });
});

describe('plots', () => {
  it('have a bar a path as long as its median, and a dot a run', () => {
    const chart = workloadChart(TCP, ENVIRONMENT!)!;
    const widths = [...chart.matchAll(/class="bar (\w+)".*? width="([\d.]+)"/g)].map((match) =>
      match.slice(1),
    );
    expect(widths).toEqual([
      ['limit', '360'],
      ['kernel', '180'],
      ['fan', '144'],
      ['peer', '24'],
    ]);
    expect(chart.match(/<circle class="run"/g)?.length).toBe(8);
    expect(chart).toContain('one TCP stream &lt;of many&gt;');
    expect(chart).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg"/);
  });

  it('are not made of nothing', () => {
    expect(workloadChart({ ...TCP, series: [] }, ENVIRONMENT!)).toBeUndefined();
    expect(barChart('t', 'n', [{ label: 'a', tone: 'fan', value: 0, runs: [0] }])).not.toMatch(
      /NaN|Infinity/,
    );
  });

  it('draw lines over a logarithmic axis', () => {
    const points = [1, 10, 100].map((x) => ({ x, y: x === 100 ? Number.NaN : x }));
    const chart = lineChart('t', 'n', 'hosts', [{ label: 'a', tone: 'fan', points }]);
    expect(chart).toMatch(/d="M60 232L315 34"/);
    expect(chart).not.toMatch(/NaN|Infinity/);
  });
});

describe('the HTML report', () => {
  const html = htmlReport(RESULT);

  it('needs nothing from elsewhere', () => {
    expect(html).not.toMatch(
      /<(script|link|img|iframe)|url\(|@import|https?:\/\/(?!www\.w3\.org\/2000\/svg)/,
    );
  });

  it('has machine, goals, failures, plots and figures, escaped', () => {
    for (const text of [
      'A CPU',
      'What we work for',
      'it is &lt;not&gt; here',
      'Cipher none',
      '</svg>',
      '110.0',
    ]) {
      expect(html).toContain(text);
    }
    expect(html).toContain('One TCP stream with more hosts');
    expect(html).not.toContain('interrupted');
    expect(htmlReport({ ...RESULT, complete: false })).toContain('interrupted');
  });
});

describe('the machine', () => {
  it('stands in a line with its kind', () => {
    expect(describeMachine(RESULT.machine)).toBe(
      'machine: 2 × A CPU, Linux 6.18; a system call takes 80 ns (Meltdown: Not affected), hypervisor: no, clock tsc, TCP cubic',
    );
  });

  it('was disturbed by what used the CPUs just before, and by nothing older', () => {
    expect(disturbance(RESULT.machine)).toBeUndefined();
    expect(disturbance({ ...RESULT.machine, busyBefore: 0.5 })).toMatch(/not idle .*0.50 CPUs busy/);
    expect(disturbance({ ...RESULT.machine, pressureBefore: 40 })).toMatch(/waited for one 40 % of the time/);
  });
});

it('figures have three significant digits', () => {
  expect([0.01234, 4.567, 78_912, 0, Number.NaN].map(formatFigure)).toEqual([
    '0.0123',
    '4.57',
    '78,912',
    '0',
    '–',
  ]);
});

it('durations are those of a clock', () => {
  expect([5, 750, 3723].map(formatDuration)).toEqual(['0:05', '12:30', '1:02:03']);
});

it('markup is escaped', () => {
  expect(escapeMarkup(`<a href="x">&`)).toBe('&lt;a href=&quot;x&quot;&gt;&amp;');
});
