/**
 * What paths that were measured on few cores would carry on hosts with more, one host a machine: a model of three
 * limits, the least of which decides.
 *
 *   CPU      no host can be busier than its cores
 *   workers  a worker is one thread, and a flow has one worker
 *   ends     a flow's end is one thread
 *
 * Measured are the CPU seconds a gigabyte of the whole machine and of the tunnel's processes on each side. What is left
 * is the ends' and the kernel's, half of it on each host. Not in it: memory, the wire, locks, and that a packet socket's
 * sender pays for the other host's receive path where both are one machine, which a wire would spare it.
 */
import type { Result } from './result.js';
import { costsOf } from './result-table.js';
import { median } from './statistics.js';
import { table } from './table.js';

/** CPU seconds a gigabyte. */
export interface StageCosts {
  /** Of everything on both hosts. */
  machine: number;
  /** Of the tunnel's processes on the client's host and on the server's; 0 where the kernel is the tunnel. */
  tunnel: readonly [number, number];
}

export interface Hosts {
  /** Of each host, or of the one machine that both are. */
  cores: number;
  shared: boolean;
  workers: number;
  flows: number;
}

const CORES = [2, 4, 8, 16, 32];
const FLOWS = [1, 8];

/** In Gbit/s. */
export function predict({ machine, tunnel }: StageCosts, { cores, shared, workers, flows }: Hosts): number {
  const rest = (machine - tunnel[0] - tunnel[1]) / 2;
  const busierTunnel = Math.max(...tunnel);
  const cpu = shared ? cores / machine : cores / (busierTunnel + rest);
  return 8 * Math.min(cpu, workersUsed(workers, flows) / busierTunnel, flows / rest);
}

/** How many of `workers` are expected to have one of `flows` or more, where a hash spreads them. */
export function workersUsed(workers: number, flows: number): number {
  return workers * (1 - (1 - 1 / workers) ** flows);
}

/** Of one TCP stream nic-like; the workers are those that fand takes by itself, which `workersOf` tells. */
export function moreCoresTable(result: Result, workersOf: (cores: number) => number): string {
  const { cores } = result.machine;
  const columns = FLOWS.flatMap((flows) => CORES.map((each) => ({ flows, cores: each })));
  const rows = streams(result).map(({ title, runs }) => {
    const [machine, client, server] = costsOf(runs);
    const costs: StageCosts = { machine, tunnel: [client, server] };
    const model = predict(costs, { cores, shared: true, workers: workersOf(cores), flows: 1 });
    const part = median(runs.map(({ value }) => value)) / model;
    const more = columns.map((column) => {
      return part * predict(costs, { ...column, shared: false, workers: workersOf(column.cores) });
    });
    return [title, model.toFixed(2), part.toFixed(2), ...more.map((gigabits) => gigabits.toFixed(1))];
  });
  const header = columns.map(({ flows, cores: each }) => `${flows} on ${each}`);
  return [
    `Gbit/s by the model of bench/report/more-cores.ts: of one stream on the ${cores} cores that both hosts shared, and what`,
    'part of that was measured; then, times that part, of 1 and 8 streams between hosts of their own with 2 to 32 cores each.',
    'Not in it: the wire, memory, locks.',
    '',
    table(['path', 'here', 'measured', ...header], rows),
  ].join('\n');
}

function streams({ environments }: Result) {
  const work = environments
    .find(({ profile }) => profile === 'nic-like')
    ?.workloads.find(({ name }) => name === 'tcp-1');
  if (!work) throw new Error('the result has no tcp-1 on a nic-like underlay, from which the model computes');
  return work.series.filter(({ runs }) => runs.some(({ bytes }) => bytes !== undefined));
}
