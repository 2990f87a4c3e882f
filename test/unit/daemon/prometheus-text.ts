/** Reads Prometheus' text format 0.0.4: enough of it to tell whether a scraper would understand. */

export interface Metric {
  help: string;
  type: string;
  samples: { labels: Record<string, string>; value: number }[];
}

/** By name. Throws for a line that is none, and for a sample that no HELP and TYPE came before. */
export function parsePrometheus(text: string): Map<string, Metric> {
  const metrics = new Map<string, Metric>();
  for (const line of text.split('\n').filter((each) => each !== '')) {
    const [, kind, name, rest] = /^# (HELP|TYPE) ([a-z_]+) (.+)$/.exec(line) ?? [];
    if (kind === 'HELP') metrics.set(name!, { help: rest!, type: '', samples: [] });
    else if (kind === 'TYPE') metrics.get(name!)!.type = rest!;
    else addSample(metrics, line);
  }
  return metrics;
}

function addSample(metrics: Map<string, Metric>, line: string): void {
  const [, name, , labelText = '', value] = /^([a-z_]+)(\{(.*)\})? ([0-9.e+-]+)$/.exec(line) ?? [];
  const metric = metrics.get(name ?? '');
  if (!metric?.type) throw new Error(`no sample of a known metric: ${line}`);
  const labels = [...labelText.matchAll(/([a-z_]+)="([^"]*)"(?:,|$)/g)].map(([, key, text]) => [key, text]);
  metric.samples.push({ labels: Object.fromEntries(labels), value: Number(value) });
}

/** The counters of one fan by their names in `fanctl stats`, made of the metrics. */
export function countersOf(metrics: Map<string, Metric>, fan: string): Record<string, number> {
  const counters: Record<string, number> = {};
  for (const [name, { samples }] of metrics) {
    for (const { labels, value } of samples.filter((sample) => sample.labels.fan === fan)) {
      if (name === 'ufan_drop_packets_total') counters[`drop-${labels.reason}-packets`] = value;
      else if (name.endsWith('_total')) {
        counters[name.replace(/^ufan_(.*)_total$/, '$1').replaceAll('_', '-')] = value;
      }
    }
  }
  return counters;
}
