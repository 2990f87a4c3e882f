/**
 * `npm run bench`: paths and workloads as planned (plan.ts), measured (campaign.ts), and reported. Tables go to stdout,
 * progress to stderr, raw results to bench/results/; an interruption keeps what was measured.
 *
 * Exit code 1 when something failed that is not another project's tunnel, 128 + the signal's number when interrupted.
 */
import { errorText } from '../src/base/error.js';
import { defaultWorkers } from '../src/config/worker-count.js';
import { Campaign } from './campaign.js';
import { countRuns, estimateSeconds, type Plan, parseRequest, type Request, USAGE } from './plan.js';
import { goalOutcomes } from './report/goals.js';
import { describeMachine, disturbance, machineFacts } from './report/machine.js';
import { moreCoresTable } from './report/more-cores.js';
import { formatDuration, Progress } from './report/progress.js';
import type { Result } from './report/result.js';
import { memoryTable, resultTable, scaleTable } from './report/result-table.js';
import { table } from './report/table.js';
import { readResult, renderResult, writeResult } from './report/write-result.js';
import { measureScale, scaleSeconds } from './scale.js';

async function bench(plan: Plan): Promise<Result> {
  const estimate = estimateSeconds(plan);
  const rest = plan.scale ? scaleSeconds(plan.seconds) : 0;
  const runs = countRuns(plan);
  const scale = plan.scale ? ' and a lab of many hosts' : '';
  console.error(`${runs} runs of ${plan.seconds} s${scale}, about ${formatDuration(estimate)}`);
  const result: Result = {
    machine: await machineFacts(),
    seconds: plan.seconds,
    repeats: plan.repeats,
    complete: false,
    environments: [],
    scale: [],
    failures: [],
  };
  keepOnSignal(result);
  const progress = new Progress(runs, estimate - rest, rest);
  const campaign = new Campaign(plan, result, progress, (work, environment) => {
    if (plan.json) return;
    progress.end();
    console.log(resultTable(work, environment));
  });
  for (const environment of plan.environments) {
    await campaign.measure(environment);
    const memory = memoryTable(result.environments.at(-1)!);
    if (memory && !plan.json) console.log(memory);
  }
  if (plan.scale) {
    await measureScale(plan.seconds, progress, result.scale);
    progress.end();
    if (!plan.json) console.log(scaleTable(result.scale));
  }
  progress.end();
  result.complete = true;
  return result;
}

/** Comes before the labs' own handlers, which remove them and end the process by the signal. */
function keepOnSignal(result: Result): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.prependOnceListener(signal, () => {
      console.error(`\nbench: ${signal}: ${writeResult(result).join(', ')} has what was measured`);
    });
  }
}

function report(plan: Plan, result: Result): void {
  const files = writeResult(result);
  if (plan.json) console.log(JSON.stringify(result, null, 2));
  else printGoals(result);
  console.error(`\nresults: ${files.join(', ')}`);
  console.error(describeMachine(result.machine));
  const disturbed = disturbance(result.machine);
  if (disturbed) console.error(disturbed);
  if (result.failures.length > 0) {
    console.error('\nleft out, or cut short:');
    for (const { path, workload, reason, profile, mtu } of result.failures) {
      console.error(`  ${[path, workload, profile, mtu].filter(Boolean).join(', ')}: ${reason}`);
    }
  }
}

function printGoals(result: Result): void {
  const rows = goalOutcomes(result)
    .filter(({ measured }) => measured !== undefined)
    .map(({ title, goal, measured, reached }) => [title, measured!, goal, reached ? 'reached' : '']);
  if (rows.length > 0) console.log(`\n${table(['what we work for', 'measured', 'goal', ''], rows)}`);
}

function requestOrExit(args: readonly string[]): Request {
  try {
    return parseRequest(args);
  } catch (error) {
    console.error(`bench: ${errorText(error)}; npm run bench -- --help lists the options`);
    process.exit(1);
  }
}

async function answer(request: Request): Promise<void> {
  if (request.do === 'help') console.log(USAGE);
  else if (request.do === 'render') console.log(renderResult(request.file).join('\n'));
  else if (request.do === 'more-cores') console.log(moreCoresTable(readResult(request.file), defaultWorkers));
  else {
    const result = await bench(request.plan);
    report(request.plan, result);
    process.exitCode = result.failures.some(({ peer }) => !peer) ? 1 : 0;
  }
}

const request = requestOrExit(process.argv.slice(2));
try {
  await answer(request);
} catch (error) {
  console.error(`bench: ${errorText(error)}`);
  process.exitCode = 1;
}
