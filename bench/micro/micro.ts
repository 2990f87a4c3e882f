/**
 * `npm run bench:micro`: nanoseconds and heap bytes a packet of each step of the packet path, beside a slow oracle; then
 * what a packet costs with many hosts and many fans. Raw figures go to bench/results as JSON, with plots as SVG.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { errorText } from '../../src/base/error.js';
import { REPOSITORY } from '../lab/repository.js';
import { lineChart } from '../report/chart.js';
import { machineFacts } from '../report/machine.js';
import { table } from '../report/table.js';
import { type MicroCase, microCases } from './cases.js';
import { allocatedBy, timeOf } from './measure.js';
import { measureScaling, type Scaling } from './scaling.js';

const USAGE = `usage: npm run bench:micro -- [--seconds N] [--json]
  --seconds  for the timing of each function, 0.1 to 60; 1 unless told
  --json     the raw figures on stdout instead of the tables`;

interface MicroResult {
  name: string;
  title: string;
  nsPerPacket: number;
  errorPercent: number;
  bytesPerPacket: number;
  slowNsPerPacket: number;
}

function measure({ name, title, packets, fast, slow, check }: MicroCase, seconds: number): MicroResult {
  check();
  const timing = timeOf(fast, seconds);
  return {
    name,
    title,
    nsPerPacket: timing.ns / packets,
    errorPercent: timing.errorPercent,
    bytesPerPacket: allocatedBy(fast) / packets,
    slowNsPerPacket: timeOf(slow, seconds / 4).ns / packets,
  };
}

function stepTable(results: readonly MicroResult[]): string {
  const rows = results.map(({ title, nsPerPacket, errorPercent, bytesPerPacket, slowNsPerPacket }) => [
    title,
    nsPerPacket.toFixed(1),
    `${errorPercent.toFixed(1)} %`,
    bytesPerPacket.toFixed(1),
    slowNsPerPacket.toFixed(0),
    `${(slowNsPerPacket / nsPerPacket).toFixed(0)} ×`,
  ]);
  return table(['step', 'ns a packet', '±', 'heap bytes', 'oracle, ns', 'slower'], rows);
}

function scalingTable({ what, direction, points }: Scaling): string {
  const rows = points.map(({ count, nsPerPacket }) => [`${count}`, nsPerPacket.toFixed(1)]);
  return table([`${direction}: ${what}`, 'ns a packet'], rows);
}

function scalingChart(scalings: readonly Scaling[], what: Scaling['what']): string {
  const lines = scalings
    .filter((one) => one.what === what)
    .map(({ direction, points }) => ({
      label: direction,
      tone: direction === 'encap' ? ('fan' as const) : ('kernel' as const),
      points: points.map(({ count, nsPerPacket }) => ({ x: count, y: nsPerPacket })),
    }));
  return lineChart(`Cost of a packet with more ${what}`, 'ns a packet, TypeScript only', what, lines);
}

async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      json: { type: 'boolean', default: false },
      seconds: { type: 'string', default: '1' },
    },
  });
  if (values.help) return console.log(USAGE);
  const seconds = Number(values.seconds);
  if (!(seconds >= 0.1 && seconds <= 60))
    throw new Error(`--seconds takes 0.1 to 60, not "${values.seconds}"`);
  const machine = await machineFacts();
  const steps = microCases().map((one) => measure(one, seconds));
  if (!values.json) console.log(stepTable(steps));
  const scaling = measureScaling();
  const result = { machine, steps, scaling };
  if (values.json) console.log(JSON.stringify(result, null, 2));
  else for (const one of scaling) console.log(`\n${scalingTable(one)}`);
  write(result);
}

function write(result: { machine: { date: string }; scaling: readonly Scaling[] }): void {
  const dir = join(REPOSITORY, 'bench/results');
  mkdirSync(dir, { recursive: true });
  const stem = join(dir, `${result.machine.date.replaceAll(':', '')}-micro`);
  writeFileSync(`${stem}.json`, `${JSON.stringify(result, null, 2)}\n`);
  for (const what of ['hosts', 'fans'] as const) {
    writeFileSync(`${stem}-${what}.svg`, `${scalingChart(result.scaling, what)}\n`);
  }
  console.error(`\nresults: ${stem}.json, ${stem}-hosts.svg, ${stem}-fans.svg`);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(`bench:micro: ${errorText(error)}; npm run bench:micro -- --help lists the options`);
  process.exitCode = 1;
}
