/**
 * One environment of the plan, measured: a lab for each path, all standing at once, and each workload in rounds in
 * which the paths take turns. What is measured goes into the result at once, so that an interruption keeps it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { errorText } from '../src/base/error.js';
import { createLab, type Lab } from './lab/lab.js';
import { ping } from './lab/ping.js';
import { countSystemCalls } from './lab/system-calls.js';
import { machineCpuSeconds, processesOf, usageOf } from './lab/usage.js';
import type { BenchPath, PathEnds } from './paths/path.js';
import { type EnvironmentPlan, type Plan, pathsOf } from './plan.js';
import type { Progress } from './report/progress.js';
import type {
  EnvironmentResult,
  Failure,
  IdleUsage,
  Result,
  Run,
  Series,
  WorkloadResult,
} from './report/result.js';
import type { Measurement, Workload } from './workloads/workload.js';

/** A tunnel's first packets may wait for a handshake. */
const ANSWER_TRIES = 20;
/**
 * Until what starting a path set off is over, and for how long it is then watched: longer than a collection of garbage
 * that V8 does once, some seconds after it has nothing else to do (20 ms), weighs in it.
 */
const SETTLE_MS = 2000;
const IDLE_MS = 10_000;

interface Prepared {
  path: BenchPath;
  lab: Lab;
  ends: PathEnds;
  /** The tunnel's processes: on the client's host, on the server's. */
  pids: readonly (readonly number[])[];
}

export class Campaign {
  readonly #plan: Plan;
  readonly #result: Result;
  readonly #progress: Progress;
  readonly #onWorkload: (work: WorkloadResult, environment: EnvironmentResult) => void;

  /** `onWorkload` is told of each workload that is done. */
  constructor(
    plan: Plan,
    result: Result,
    progress: Progress,
    onWorkload: (work: WorkloadResult, environment: EnvironmentResult) => void,
  ) {
    this.#plan = plan;
    this.#result = result;
    this.#progress = progress;
    this.#onWorkload = onWorkload;
  }

  async measure(plan: EnvironmentPlan): Promise<void> {
    const environment: EnvironmentResult = { profile: plan.profile, mtu: plan.mtu, paths: [], workloads: [] };
    this.#result.environments.push(environment);
    const prepared: Prepared[] = [];
    try {
      for (const path of pathsOf(plan)) {
        const ready = await this.#prepare(plan, path);
        if (ready) prepared.push(ready);
      }
      const idle = await idleUsage(prepared);
      environment.paths = prepared.map(({ path: { name, title, kind }, ends }, i) => {
        return { name, title, kind, notes: ends.notes ?? [], idle: idle[i]! };
      });
      for (const { workload, paths } of plan.work) {
        const asked = prepared.filter(({ path }) => paths.includes(path));
        if (asked.length > 0) await this.#measureAll(environment, workload, asked);
      }
    } finally {
      for (const { lab } of prepared) lab.remove();
    }
  }

  /** A lab with the path in it, which has carried a packet; undefined, and reported, where that can't be had. */
  async #prepare(plan: EnvironmentPlan, path: BenchPath): Promise<Prepared | undefined> {
    this.#progress.stage(`${plan.profile}, MTU ${plan.mtu}: setting up ${path.title}`);
    const lab = await createLab({ hosts: 2, containers: 1, profile: plan.profile, mtu: plan.mtu });
    try {
      const ends = await path.setUp(lab);
      await answers(ends);
      return { path, lab, ends, pids: lab.hosts.map(processesOf) };
    } catch (error) {
      this.#progress.skip(plan.work.filter(({ paths }) => paths.includes(path)).length * this.#plan.repeats);
      this.#fail(plan, path, error);
      lab.remove();
      return undefined;
    }
  }

  async #measureAll(
    environment: EnvironmentResult,
    workload: Workload,
    prepared: readonly Prepared[],
  ): Promise<void> {
    const { name, title, unit, digits, compare, columns } = workload;
    const series: Series[] = prepared.map(({ path }) => ({ name: path.name, title: path.title, runs: [] }));
    const result: WorkloadResult = { name, title, unit, digits, compare, columns, series };
    environment.workloads.push(result);
    const failed = new Set<Prepared>();
    for (let repeat = 1; repeat <= this.#plan.repeats; repeat++) {
      for (const [i, one] of prepared.entries()) {
        const { runs } = series[i]!;
        const where = `${name}, round ${repeat} of ${this.#plan.repeats}, ${one.path.title}`;
        if (failed.has(one)) {
          this.#progress.run(`${where}: left out, it failed before`);
          continue;
        }
        try {
          const run = await measureWithCost(one, workload, this.#plan.seconds, runs.at(-1));
          runs.push(run);
          this.#progress.run(`${where}: ${run.value.toFixed(digits)} ${unit}`);
        } catch (error) {
          failed.add(one);
          this.#progress.run(`${where}: failed`);
          this.#fail(environment, one.path, error, name);
        }
      }
    }
    for (const [i, one] of prepared.entries()) {
      if (failed.has(one) || one.pids.flat().length === 0) continue;
      if (series[i]!.runs.some(({ bytes }) => bytes === undefined)) continue;
      this.#progress.stage(`${name}: system calls of ${one.path.title}`);
      const count = await systemCallsPerGigabyte(one, workload);
      if (count !== undefined) series[i]!.systemCallsPerGigabyte = count;
    }
    this.#onWorkload(result, environment);
  }

  #fail(where: Pick<Failure, 'profile' | 'mtu'>, path: BenchPath, error: unknown, workload?: string): void {
    const reason = errorText(error);
    const { profile, mtu } = where;
    const what = workload === undefined ? 'cannot be set up' : `failed at ${workload}`;
    this.#progress.say(`bench: ${path.title} ${what} (${profile}, MTU ${mtu}): ${reason}`);
    this.#result.failures.push({
      profile,
      mtu,
      path: path.name,
      ...(workload !== undefined && { workload }),
      reason,
      peer: path.kind === 'peer',
    });
  }
}

async function measureWithCost(
  { ends, pids }: Prepared,
  workload: Workload,
  seconds: number,
  last?: Measurement,
): Promise<Run> {
  const before = { machine: machineCpuSeconds(), tunnel: pids.map(usageOf) };
  const measured = await workload.measure(ends, seconds, last);
  if (measured.value === 0) throw new Error('nothing arrived');
  const tunnel = pids.map(usageOf).map((after, i) => ({
    cpuSeconds: after.cpuSeconds - before.tunnel[i]!.cpuSeconds,
    contextSwitches: after.contextSwitches - before.tunnel[i]!.contextSwitches,
    rssBytes: after.rssBytes,
  }));
  return { ...measured, cost: { machineCpuSeconds: machineCpuSeconds() - before.machine, tunnel } };
}

/** In a run of a second that is not timed, as counting costs. */
async function systemCallsPerGigabyte(
  { ends, pids }: Prepared,
  workload: Workload,
): Promise<number | undefined> {
  let bytes: number | undefined;
  const calls = await countSystemCalls(pids.flat(), async () => {
    ({ bytes } = await workload.measure(ends, 1));
  });
  return calls === undefined || !bytes ? undefined : (calls * 1e9) / bytes;
}

/** Throws where the server never answers the client. */
async function answers({ client, serverAddress }: PathEnds): Promise<void> {
  for (let tries = 0; tries < ANSWER_TRIES; tries++) {
    const { received } = await ping(client, serverAddress, { count: 1, timeoutMs: 500 });
    if (received > 0) return;
    await sleep(100);
  }
  throw new Error(`${serverAddress} doesn't answer through it`);
}

/** Of all paths at once, as they stand and wait. */
async function idleUsage(prepared: readonly Prepared[]): Promise<IdleUsage[]> {
  await sleep(SETTLE_MS);
  const before = prepared.map(({ pids }) => pids.map(usageOf));
  const began = performance.now();
  await sleep(IDLE_MS);
  const seconds = (performance.now() - began) / 1000;
  return prepared.map(({ pids }, i) => {
    const after = pids.map(usageOf);
    const busy = after.map(({ cpuSeconds }, side) => cpuSeconds - before[i]![side]!.cpuSeconds);
    return {
      cpuPercent: (Math.max(...busy) / seconds) * 100,
      rssBytes: Math.max(...after.map(({ rssBytes }) => rssBytes)),
    };
  });
}
