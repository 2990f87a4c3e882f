/** Prometheus' text: each counter under its name, the documentation's table, and addresses that are refused. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { DROP_REASONS } from '../../../src/base/drop-reason.js';
import { formatMetrics, METRICS_TYPE } from '../../../src/daemon/metrics.js';
import { parseMetricsAddress } from '../../../src/daemon/metrics-port.js';
import { countersOf, parsePrometheus } from './prometheus-text.js';
import { sampleActivity } from './sample-activity.js';

const metrics = parsePrometheus(await formatMetrics(sampleActivity()));

function read(path: string): string {
  return readFileSync(fileURLToPath(new URL(`../../../${path}`, import.meta.url)), 'utf8');
}

/** Value of the only sample of a metric that has these labels. */
function sampleOf(name: string, labels: Record<string, string> = {}): number {
  const samples = metrics
    .get(name)!
    .samples.filter((sample) => Object.entries(labels).every(([key, text]) => sample.labels[key] === text));
  expect(samples).toHaveLength(1);
  return samples[0]!.value;
}

describe('metrics', () => {
  it('are in the text format', () => {
    expect(METRICS_TYPE).toBe('text/plain; version=0.0.4; charset=utf-8');
  });

  it('have every counter of each fan and of the host, none other', () => {
    const { stats } = sampleActivity();
    expect(countersOf(metrics, 'fan-250-0-28')).toEqual(stats.fans[0]!.counters);
    expect(countersOf(metrics, 'host')).toEqual(stats.host.counters);
  });

  it('have the reasons by the very names of the list', () => {
    const reasons = metrics.get('ufan_drop_packets_total')!.samples.map(({ labels }) => labels.reason);
    expect([...new Set(reasons)]).toEqual(DROP_REASONS.map(([name]) => name));
  });

  it('say which fan', () => {
    expect(metrics.get('ufan_encap_rx_packets_total')!.samples[0]!.labels).toEqual({
      fan: 'fan-250-0-28',
      overlay: '250.0.0.0/8',
      underlay: '172.30.0.28/16',
      io: 'raw',
    });
  });

  it('have gauges of what there is', () => {
    expect(sampleOf('ufan_fans', { state: 'up' })).toBe(1);
    expect(sampleOf('ufan_fans', { state: 'dead' })).toBe(1);
    expect(sampleOf('ufan_peers', { fan: 'fan-250-0-28' })).toBe(2);
    expect(sampleOf('ufan_peers', { fan: 'fan-99-0-28' })).toBe(0);
    expect(sampleOf('ufan_path_mtu_entries')).toBe(1);
    expect(sampleOf('ufan_workers')).toBe(1);
    expect(sampleOf('ufan_worker_cpu_seconds_total', { worker: '0' })).toBe(1);
    expect(sampleOf('ufan_worker_packets_total', { worker: '0' })).toBe(4000);
    expect(sampleOf('ufan_info', { version: '1.2.3' })).toBe(1);
    expect(sampleOf('process_cpu_seconds_total')).toBe(1.5);
    expect(sampleOf('process_resident_memory_bytes')).toBe(80_000_000);
    expect(sampleOf('process_open_fds')).toBe(23);
    expect(sampleOf('process_start_time_seconds')).toBe(1_700_000_000);
  });

  it('are those that docs/metrics.md lists, with their types', () => {
    const rows = [
      ...read('docs/metrics.md').matchAll(/^\| `([a-z_]+)` \| (counter|gauge) \| ([a-z, ]*) ?\| \S.* \|$/gm),
    ];
    const documented = rows.map(([, name, type]) => `${name} ${type}`);
    expect(documented.sort()).toEqual([...metrics].map(([name, { type }]) => `${name} ${type}`).sort());
    for (const [, name, , labels] of rows) {
      const known = Object.keys(metrics.get(name!)!.samples[0]!.labels);
      expect({ name, labels: labels!.trim().split(', ').filter(Boolean) }).toEqual({ name, labels: known });
    }
  });
});

describe('docs/grafana-dashboard.json', () => {
  interface Panel {
    title: string;
    targets?: { expr: string }[];
    panels?: Panel[];
  }
  const dashboard = JSON.parse(read('docs/grafana-dashboard.json')) as {
    panels: Panel[];
    templating: { list: { query: string | { query: string } }[] };
  };
  const panels = dashboard.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]);
  const queries = [
    ...panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
    ...dashboard.templating.list.map(({ query }) => (typeof query === 'string' ? query : query.query)),
  ];

  it('has a query in each panel', () => {
    expect(panels.length).toBeGreaterThan(5);
    for (const { title, targets = [] } of panels)
      expect({ title, targets: targets.length }).not.toEqual({ title, targets: 0 });
  });

  it('uses metrics and labels that exist', () => {
    const names = queries.flatMap((query) =>
      [...query.matchAll(/\b(?:ufan|process)_[a-z_]+/g)].map(([name]) => name),
    );
    expect(names).toContain('ufan_drop_packets_total');
    expect(names.filter((name) => !metrics.has(name))).toEqual([]);
    const labels = queries.flatMap((query) =>
      [...query.matchAll(/([a-z_]+)(?:=~|!=|=)"|by \(([a-z_, ]+)\)/g)].flatMap(([, one, several]) =>
        (one ?? several ?? '').split(', '),
      ),
    );
    const known = new Set(
      [...metrics.values()].flatMap(({ samples }) => Object.keys(samples[0]?.labels ?? {})),
    );
    expect(labels.filter((label) => !known.has(label) && label !== 'instance' && label !== 'job')).toEqual(
      [],
    );
  });
});

describe('the address for metrics', () => {
  it.each([
    ['127.0.0.1:9477', { host: '127.0.0.1', port: 9477 }],
    ['127.3.2.1:65535', { host: '127.3.2.1', port: 65_535 }],
    ['[::1]:80', { host: '::1', port: 80 }],
    ['[0:0::1]:80', { host: '0:0::1', port: 80 }],
  ])('%s is taken', (text, address) => {
    expect(parseMetricsAddress(text)).toEqual(address);
  });

  it.each([
    '0.0.0.0:9477',
    '128.0.0.1:9477',
    '10.0.0.1:9477',
    '[::]:9477',
    '[fe80::1]:9477',
    '[::ffff:10.0.0.1]:9477',
    '::1:9477',
    'localhost:9477',
    '127.1:9477',
    '127.0.0.1',
    '127.0.0.1:',
    '127.0.0.1:0',
    '127.0.0.1:65536',
    '127.0.0.1:http',
    ':9477',
    '9477',
  ])('%s is refused', (text) => {
    expect(() => parseMetricsAddress(text)).toThrow(`metrics: "${text}" is no loopback address and port`);
  });
});
