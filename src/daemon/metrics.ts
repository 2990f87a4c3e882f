/**
 * What fand counts, in Prometheus' text format: one metric for each counter of `fanctl stats`, all drops in one with
 * the reason's name as a label, and gauges. docs/metrics.md lists them, a test compares.
 */
import { Counter, Gauge, Registry } from 'prom-client';
import { DROP_REASONS } from '../base/drop-reason.js';
import type { Activity, Counters, FanState } from '../control/protocol.js';
import { TRAFFIC } from '../dataplane/tables/counters.js';

export const METRICS_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

/** What can be put down to no fan has this as its `fan`, and the other labels empty. */
const HOST = 'host';
const STATES: readonly FanState[] = ['up', 'degraded', 'dead'];
const FAN_LABELS = ['fan', 'overlay', 'underlay', 'io'] as const;
type FanLabels = Record<(typeof FAN_LABELS)[number], string>;

/** A set of counters and whose it is. */
interface Row {
  readonly labels: FanLabels;
  readonly counters: Counters;
}

export async function formatMetrics(activity: Activity): Promise<string> {
  const registry = new Registry();
  const rows = rowsOf(activity);
  for (const [name, help] of TRAFFIC) addTraffic(registry, name, help, rows);
  addDrops(registry, rows);
  addFans(registry, activity);
  addProcess(registry, activity);
  return registry.metrics();
}

function rowsOf({ stats }: Activity): Row[] {
  const rows: Row[] = stats.fans.map(({ bridge, overlay, underlay, io, counters }) => ({
    labels: { fan: bridge, overlay, underlay, io },
    counters,
  }));
  rows.push({ labels: { fan: HOST, overlay: '', underlay: '', io: '' }, counters: stats.host.counters });
  return rows;
}

function addTraffic(registry: Registry, name: string, help: string, rows: readonly Row[]): void {
  const counter = new Counter({
    name: `ufan_${name.replaceAll('-', '_')}_total`,
    help: `${help.charAt(0).toUpperCase()}${help.slice(1)}`,
    labelNames: FAN_LABELS,
    registers: [registry],
  });
  for (const { labels, counters } of rows) counter.inc(labels, counters[name] ?? 0);
}

function addDrops(registry: Registry, rows: readonly Row[]): void {
  const counter = new Counter({
    name: 'ufan_drop_packets_total',
    help: 'Packets dropped, by the reason that docs/counters.md explains',
    labelNames: [...FAN_LABELS, 'reason'],
    registers: [registry],
  });
  for (const { labels, counters } of rows) {
    for (const [reason] of DROP_REASONS)
      counter.inc({ ...labels, reason }, counters[`drop-${reason}-packets`] ?? 0);
  }
}

function addFans(registry: Registry, { fans, peers, pathMtus }: Activity): void {
  const registers = [registry];
  const states = new Gauge({ name: 'ufan_fans', help: 'Fans, by state', labelNames: ['state'], registers });
  for (const state of STATES) states.set({ state }, fans.filter((fan) => fan.state === state).length);
  const troubles = new Gauge({
    name: 'ufan_fan_troubles',
    help: 'What degrades a fan, by the name of the check of fanctl doctor: 1 while it does',
    labelNames: ['fan', 'check'],
    registers,
  });
  for (const { bridge, health } of fans) {
    for (const { check } of health) troubles.set({ fan: bridge, check }, 1);
  }
  const seen = new Gauge({
    name: 'ufan_peers',
    help: 'Underlay hosts that packets went to or came from, as far as they are remembered',
    labelNames: ['fan'],
    registers,
  });
  for (const { bridge } of fans) seen.set({ fan: bridge }, 0);
  for (const { bridge } of peers) seen.inc({ fan: bridge });
  new Gauge({
    name: 'ufan_path_mtu_entries',
    help: 'Peers to whom the path is known to take less than the underlay device',
    registers,
  }).set(pathMtus.length);
}

function addProcess(registry: Registry, activity: Activity): void {
  const registers = [registry];
  const gauge = (name: string, help: string, value: number): void =>
    new Gauge({ name, help, registers }).set(value);
  new Gauge({ name: 'ufan_info', help: 'The version of fand', labelNames: ['version'], registers }).set(
    { version: activity.version },
    1,
  );
  gauge('ufan_workers', 'Forwarding threads', activity.workers.length);
  const cpu = new Counter({
    name: 'ufan_worker_cpu_seconds_total',
    help: 'CPU time of each forwarding thread',
    labelNames: ['worker'],
    registers,
  });
  const packets = new Counter({
    name: 'ufan_worker_packets_total',
    help: 'Packets that each forwarding thread read from a TUN or received from the underlay',
    labelNames: ['worker'],
    registers,
  });
  for (const [i, worker] of activity.workers.entries()) {
    cpu.inc({ worker: `${i}` }, worker.cpuMs / 1000);
    packets.inc({ worker: `${i}` }, worker.packets);
  }
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'CPU time of fand, all threads',
    registers,
  }).inc(activity.cpuMs / 1000);
  gauge('process_resident_memory_bytes', 'Resident memory of fand', activity.rssBytes);
  gauge('process_open_fds', 'Open file descriptors of fand', activity.openFiles);
  gauge('process_start_time_seconds', 'Start of fand, Unix time', activity.startedMs / 1000);
}
