/**
 * `--dry-run`: what fand would do for an `up` or a `down`, by fanctl itself from the record of the fans, so that no fand
 * is started. It refuses what fand would refuse, and changes nothing.
 */
import { availableParallelism } from 'node:os';
import { formatPrefix } from '../addr/prefix.js';
import { FanError } from '../base/error.js';
import { defaultWorkers, parseWorkers } from '../config/worker-count.js';
import { readPorts } from '../host/bridge-ports.js';
import { shellLine } from '../host/rehearsal.js';
import { fanSteps, hostSteps, STEP_KINDS } from '../host/steps/fan-steps.js';
import { type RehearsedStep, rehearseAgain, rehearseSteps, rehearseUndo } from '../host/steps/step.js';
import { Attachments, withLeasesKept } from './attachments.js';
import { FandClient } from './client.js';
import { planFan } from './fan-plan.js';
import { findFan } from './find-fan.js';
import { flagsKept, keep } from './known-fan.js';
import type { DownRequest, RunPaths, UpRequest } from './protocol.js';
import { type FanRecord, type State, StateStore } from './state-store.js';

export interface Rehearsal {
  /** Of the fans that it is about. */
  readonly bridges: readonly string[];
  /** Each in words, and as command lines of a shell. */
  readonly steps: readonly { readonly what: string; readonly commands: readonly string[] }[];
  readonly notes: readonly string[];
}

/** `workers` as of ensureDaemon. Throws FanError as `up` would. */
export async function rehearseUp(paths: RunPaths, request: UpRequest, workers?: number): Promise<Rehearsal> {
  const status = await new FandClient(paths).status();
  const { fans, host } = await readState(paths, status !== undefined);
  const known = await findFan(fans, request);
  if (known?.view.state === 'dead') {
    const steps = await rehearseAgain(STEP_KINDS, [...host, ...fans.flatMap((fan) => fan.steps)]);
    const notes = ['a fand is started, which restores every fan', ...flagsKept(known, request)];
    return { bridges: fans.map(({ view }) => view.bridge), steps: steps.map(inShell), notes };
  }
  if (known) return { bridges: [known.view.bridge], steps: [], notes: keep(known, request) };
  const plan = await planFan(
    request,
    fans.map((fan) => fan.plan),
    { runDir: paths.dir, stateDir: paths.stateDir, workers: status?.workers ?? workers ?? ownWorkers() },
  );
  const records = [...(fans.length === 0 ? hostSteps() : []), ...fanSteps(plan)];
  const notes = [
    status ? `fand (pid ${status.pid}) forwards for it then` : 'a fand is started, which forwards for it',
  ];
  const steps = await rehearseSteps(STEP_KINDS, records);
  const attachments = new Attachments(paths.stateDir);
  steps.push(...(await attachments.rehearse(formatPrefix(plan.mapping.slice), plan.bridge)));
  return { bridges: [plan.bridge], steps: steps.map(inShell), notes };
}

/** Throws FanError as `down` would. */
export async function rehearseDown(paths: RunPaths, request: DownRequest): Promise<Rehearsal> {
  const status = await new FandClient(paths).status();
  const { fans, host } = await readState(paths, status !== undefined);
  const gone = request.every ? fans : [await requireFan(fans, request)];
  if (!request.force) await new Attachments(paths.stateDir).requireNone(gone);
  const isLast = gone.length === fans.length;
  const steps: RehearsedStep[] = [];
  for (const { view, steps: records } of gone) {
    const hasPorts = (await readPorts(view.bridge)).length > 0;
    steps.push(...(await rehearseUndo(STEP_KINDS, hasPorts ? withLeasesKept(records) : records)));
  }
  if (isLast) steps.push(...(await rehearseUndo(STEP_KINDS, host)));
  const notes = isLast && status ? [`fand (pid ${status.pid}) leaves`] : [];
  return { bridges: gone.map(({ view }) => view.bridge), steps: steps.map(inShell), notes };
}

function inShell({ what, commands }: RehearsedStep): Rehearsal['steps'][number] {
  return { what, commands: commands.map(shellLine) };
}

async function readState(paths: RunPaths, isAlive: boolean): Promise<State> {
  const state = await new StateStore(paths.state).load();
  if (!isAlive) for (const fan of state.fans) fan.view.state = 'dead';
  return state;
}

async function requireFan(
  fans: readonly FanRecord[],
  { overlay = '', underlay = '' }: DownRequest,
): Promise<FanRecord> {
  const fan = await findFan(fans, { overlay, underlay });
  if (fan) return fan;
  throw new FanError('not-configured', `${overlay} on ${underlay} is not configured`);
}

/** As many as the fand would have that `up` starts. */
function ownWorkers(): number {
  const set = process.env.UFAN_WORKERS || undefined;
  return set === undefined ? defaultWorkers(availableParallelism()) : parseWorkers('UFAN_WORKERS', set);
}
