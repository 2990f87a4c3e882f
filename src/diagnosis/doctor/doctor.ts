/**
 * `fanctl doctor`: everything that can be wrong on this host. Runs inside fanctl, for it must work where fand is dead.
 *
 *   1. every check of checks.ts looks at the host and says ok, warn or fail, each with what it saw
 *   2. with --fix what is ufan's own is mended: by fand where fand did it, and a dead fand first
 *   3. and every check looks again
 */
import { errorText } from '../../base/error.js';
import type { CheckResult, Repair, RunPaths } from '../../control/protocol.js';
import { writeSysctl } from '../../host/sysctl.js';
import { ANYWHERE, CHECKS } from './checks.js';
import { anyMeantFor } from './drop-finding.js';
import type { Check, Finding, Mend } from './finding.js';
import { type Fand, Patient } from './patient.js';

export type { Fand } from './patient.js';

export interface Diagnosis {
  readonly results: readonly CheckResult[];
  /** Names of the checks that could not be made. */
  readonly notMade: readonly string[];
  /** What `--fix` did, or tried, in words. */
  readonly done: readonly string[];
}

interface Examination {
  readonly fand: Fand;
  readonly diagnosis: Diagnosis;
  readonly mends: readonly Mend[];
}

/** Stands for all checks where none can be made. */
const UNREADABLE: Pick<Check, 'name' | 'severity'> = { name: 'unreadable', severity: 'info' };
/** A dead fand is revived first, the rest is mended then. */
const ROUNDS = 2;
/** Where `up` puts accepts. */
const ACCEPTING_HOOKS = ['forward', 'input'];

/** Where nothing of what fand recorded can be read, most often for want of root, that is the one result. */
export async function diagnose(paths: RunPaths, fand: Fand, fix: boolean): Promise<Diagnosis> {
  const done: string[] = [];
  let examination = await examine(paths, fand);
  for (let round = 0; fix && round < ROUNDS && examination.mends.length > 0; round++) {
    done.push(...(await mendAll(examination)));
    examination = await examine(paths, fand);
  }
  return { ...examination.diagnosis, done };
}

/** What is wrong, as fand asks for it. */
export interface Troubles {
  /** Names of the checks that were made. */
  readonly made: readonly string[];
  /** What they found that is not well. */
  readonly found: readonly { readonly check: string; readonly finding: Finding }[];
  /** Bridges of the fans whose packets somebody drops on purpose, by a rule that names them. */
  readonly opposed: ReadonlySet<string>;
}

/**
 * The same checks for fand itself: those that take no time, or with `isThorough` all of them. Throws FanError where
 * nothing can be examined.
 */
export async function findTroubles(paths: RunPaths, fand: Fand, isThorough: boolean): Promise<Troubles> {
  const patient = await Patient.meet(paths, fand);
  const wanted = CHECKS.filter(({ asksFand, isCostly }) => isThorough || !(asksFand || isCostly));
  const [made, bases] = await Promise.all([
    Promise.all(wanted.map((check) => make(check, patient))),
    patient.firewall(),
  ]);
  const opposed = patient.fans.filter(({ plan }) => anyMeantFor(bases, ACCEPTING_HOOKS, plan));
  return {
    made: made.filter(({ wasMade }) => wasMade).map(({ check }) => check.name),
    found: made.flatMap(({ check, findings }) =>
      findings.filter(({ status }) => status !== 'ok').map((finding) => ({ check: check.name, finding })),
    ),
    opposed: new Set(opposed.map(({ plan }) => plan.bridge)),
  };
}

async function examine(paths: RunPaths, fand: Fand): Promise<Examination> {
  let patient: Patient;
  try {
    patient = await Patient.meet(paths, fand);
  } catch (error) {
    return sumUp(fand, [notMade(UNREADABLE, errorText(error))]);
  }
  // Of a fand of another network namespace nothing else here could be true.
  const checks = patient.isElsewhere ? ANYWHERE : CHECKS;
  return sumUp(fand, await Promise.all(checks.map((check) => make(check, patient))));
}

function sumUp(fand: Fand, made: readonly Made[]): Examination {
  return {
    fand,
    mends: made.flatMap(({ findings }) => findings.flatMap(({ mend }) => mend ?? [])),
    diagnosis: {
      results: made.flatMap(({ check, findings }) => findings.map((finding) => toResult(check, finding))),
      notMade: made.filter(({ wasMade }) => !wasMade).map(({ check }) => check.name),
      done: [],
    },
  };
}

interface Made {
  readonly check: Pick<Check, 'name' | 'severity'>;
  readonly findings: readonly Finding[];
  readonly wasMade: boolean;
}

/** What is well is one finding; each trouble is one of its own. */
async function make(check: Check, patient: Patient): Promise<Made> {
  if (check.asksFand && !patient.status && patient.fans.length > 0) return notMade(check, 'no fand runs');
  try {
    const all = check.asksFand && patient.fans.length === 0 ? [] : await check.examine(patient);
    const troubles = all.filter(({ status }) => status !== 'ok');
    if (troubles.length > 0) return { check, findings: troubles, wasMade: true };
    const nothing = patient.fans.length === 0 ? 'no fan is up' : 'nothing to look at';
    const evidence = all.map((finding) => finding.evidence).join('; ') || nothing;
    return { check, findings: [{ status: 'ok', evidence, fix: '' }], wasMade: true };
  } catch (error) {
    return notMade(check, errorText(error));
  }
}

function notMade(check: Made['check'], why: string): Made {
  const evidence = `not checked: ${why}`;
  return { check, findings: [{ status: 'warn', severity: 'info', evidence, fix: '' }], wasMade: false };
}

function toResult(check: Made['check'], finding: Finding): CheckResult {
  const { status, evidence, fix, direction } = finding;
  const usual = status === 'ok' ? 'info' : status === 'warn' ? 'minor' : check.severity;
  const severity = finding.severity ?? usual;
  return { check: check.name, status, severity, evidence, fix, ...(direction ? { direction } : {}) };
}

/** Whatever fails on the way stays a finding of the next examination; what it said is told. */
async function mendAll({ fand, mends }: Examination): Promise<string[]> {
  for (const mend of mends) {
    if ('revive' in mend) {
      const { overlay, underlay } = mend.revive;
      return attempt(async () => {
        await fand.revive(mend.revive);
        return [`brought ${overlay} on ${underlay} up again, and all that died with it`];
      });
    }
  }
  const done: string[] = [];
  for (const mend of mends) {
    if (!('setting' in mend)) continue;
    const { setting, value } = mend;
    done.push(
      ...(await attempt(async () => {
        await writeSysctl(setting, value);
        return [`wrote ${value} to /proc/sys/net/${setting}`];
      })),
    );
  }
  const repairs = new Set<Repair>(mends.flatMap((mend) => ('repairs' in mend ? [...mend.repairs] : [])));
  if (repairs.size > 0) {
    done.push(...(await attempt(async () => (await fand.repair({ repairs: [...repairs] })).done)));
  }
  return done;
}

async function attempt(act: () => Promise<string[]>): Promise<string[]> {
  try {
    return await act();
  } catch (error) {
    return [`could not mend: ${errorText(error)}`];
  }
}
