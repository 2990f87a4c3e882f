/**
 * `npm run bench`: every path in a lab of its own, a workload on each in turn, a table and the raw results.
 *
 * To add a path or a workload, write its module and put it in the list here.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { errorText } from '../src/base/error.js';
import { createLab, type Lab } from './lab/lab.js';
import { REPOSITORY } from './lab/repository.js';
import { PROFILES, type Profile } from './lab/underlay.js';
import { onePacket } from './paths/one-packet.js';
import type { BenchPath, PathEnds } from './paths/path.js';
import { ufan } from './paths/ufan.js';
import { untunnelled } from './paths/untunnelled.js';
import { vxlan } from './paths/vxlan.js';
import { machineFacts } from './report/machine.js';
import { resultTable, type Series } from './report/result-table.js';
import { tcpStream } from './workloads/tcp-stream.js';
import type { Workload } from './workloads/workload.js';

const PATHS: readonly BenchPath[] = [untunnelled, vxlan, ufan('raw'), ufan('packet'), ufan('bpf'), onePacket];
const WORKLOADS: readonly Workload[] = [tcpStream];

const USAGE = `usage: npm run bench -- [--quick] [--profile ${PROFILES.join('|')}] [--only NAME]… [--seconds N] [--repeats N] [--json]
  NAME is one of ${PATHS.map(({ name }) => name).join(', ')}; --quick is 3 repeats of 3 s, without it 5 of 10 s.`;

interface Plan {
  profile: Profile;
  paths: readonly BenchPath[];
  seconds: number;
  repeats: number;
  json: boolean;
}

interface Result {
  machine: Awaited<ReturnType<typeof machineFacts>>;
  profile: Profile;
  seconds: number;
  results: { workload: string; unit: string; series: Series[] }[];
}

interface Prepared {
  path: BenchPath;
  lab: Lab;
  ends: PathEnds;
}

/** Throws an Error with what is wrong with the arguments. */
function parsePlan(args: string[]): Plan {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const { values } = parseArgs({
    args,
    options: {
      quick: flag,
      json: flag,
      profile: { ...text, default: 'nic-like' },
      only: { ...text, multiple: true, default: [] },
      seconds: text,
      repeats: text,
    },
  });
  const profile = PROFILES.find((name) => name === values.profile);
  if (!profile) throw new Error(`no such profile: ${values.profile}`);
  const unknown = values.only.find((name) => !PATHS.some((path) => path.name === name));
  if (unknown !== undefined) throw new Error(`no such path: ${unknown}`);
  const seconds = Number(values.seconds ?? (values.quick ? 3 : 10));
  const repeats = Number(values.repeats ?? (values.quick ? 3 : 5));
  if (!(seconds >= 1) || !(repeats >= 1)) throw new Error('--seconds and --repeats take a number from 1');
  const paths = PATHS.filter(({ name }) => values.only.length === 0 || values.only.includes(name));
  return { profile, paths, seconds, repeats, json: values.json };
}

async function measureAll(plan: Plan, workload: Workload, prepared: readonly Prepared[]): Promise<Series[]> {
  const series = prepared.map(({ path }): Series => ({ name: path.name, title: path.title, runs: [] }));
  for (let repeat = 1; repeat <= plan.repeats; repeat++) {
    for (const [i, { path, ends }] of prepared.entries()) {
      const run = await workload.measure(ends, plan.seconds);
      series[i]?.runs.push(run);
      const figure = `${run.value.toFixed(2)} ${workload.unit}`;
      console.error(`${repeat}/${plan.repeats}  ${path.title.padEnd(22)} ${figure}`);
    }
  }
  return series;
}

async function bench(plan: Plan): Promise<void> {
  const machine = await machineFacts();
  const labs: Lab[] = [];
  try {
    const prepared: Prepared[] = [];
    for (const path of plan.paths) {
      const lab = await createLab({ hosts: 2, containers: 1, profile: plan.profile });
      labs.push(lab);
      prepared.push({ path, lab, ends: await path.setUp(lab) });
    }
    const results: Result['results'] = [];
    for (const workload of WORKLOADS) {
      const series = await measureAll(plan, workload, prepared);
      results.push({ workload: workload.name, unit: workload.unit, series });
      if (!plan.json) console.log(resultTable(workload, plan.profile, series));
    }
    report(plan, { machine, profile: plan.profile, seconds: plan.seconds, results });
  } finally {
    for (const lab of labs) lab.remove();
  }
}

function report(plan: Plan, result: Result): void {
  const dir = join(REPOSITORY, 'bench/results');
  const file = join(dir, `${result.machine.date.replaceAll(':', '')}-${plan.profile}.json`);
  const text = `${JSON.stringify(result, null, 2)}\n`;
  mkdirSync(dir, { recursive: true });
  writeFileSync(file, text);
  if (plan.json) process.stdout.write(text);
  else console.log(`\nraw results: ${file}`);
  if (result.machine.load > 0.5) {
    console.error(
      `the machine was not idle (load ${result.machine.load.toFixed(2)}): take the figures with care`,
    );
  }
}

function planOrUsage(args: string[]): Plan {
  try {
    return parsePlan(args);
  } catch (error) {
    console.error(`bench: ${errorText(error)}\n${USAGE}`);
    process.exit(1);
  }
}

const plan = planOrUsage(process.argv.slice(2));
try {
  await bench(plan);
} catch (error) {
  console.error(`bench: ${errorText(error)}`);
  process.exitCode = 1;
}
