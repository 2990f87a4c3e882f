/**
 * What a run of the harness measures: arguments to environments (profile and MTU), in each the paths and workloads, and
 * how long that will take.
 */
import { parseArgs } from 'node:util';
import { PROFILES, type Profile } from './lab/underlay.js';
import { BASIC_PATHS, PATHS, QUICK_PATHS, USUAL_PATHS } from './paths/all.js';
import type { BenchPath } from './paths/path.js';
import { scaleSeconds } from './scale.js';
import { WORKLOADS } from './workloads/all.js';
import type { Workload } from './workloads/workload.js';

export interface EnvironmentPlan {
  profile: Profile;
  mtu: number;
  /** In the order of measurement. */
  work: readonly { workload: Workload; paths: readonly BenchPath[] }[];
}

export interface Plan {
  environments: readonly EnvironmentPlan[];
  /** Whether to measure a lab of more and more hosts. */
  scale: boolean;
  seconds: number;
  repeats: number;
  json: boolean;
}

const MTUS = [1500, 9001];
/** A lab is built, its path set up, answered and removed. */
const SET_UP_SECONDS = 2;
/** Between two runs: processes are started, looked for and ended. */
const BETWEEN_SECONDS = 0.15;

const names = (list: readonly { name: string }[]) => list.map(({ name }) => name).join(', ');

export const USAGE = `usage: npm run bench -- [--quick | --all | --scale] [--only PATH]… [--work WORKLOAD]… [--profile PROFILE]… [--mtu BYTES]…
                       [--seconds N] [--repeats N] [--json]
       npm run bench -- --render FILE | --more-cores FILE
  Without a choice: every path as far as vtun, and every workload on a nic-like underlay of MTU 1500, the most telling ones on the others, and
  a lab of 2 to 64 hosts.
  --quick    one TCP stream on the known paths, 3 repeats of 3 s
  --all      all these paths and workloads on every underlay
  --scale    a lab of 2 to 64 hosts, and nothing else unless chosen too
  --only     PATH is one of ${names(PATHS)}
  --work     WORKLOAD is one of ${names(WORKLOADS)}
  --profile  of the underlay: ${PROFILES.join(' or ')}
  --mtu      of the underlay, 576 to 65535; 1500 unless told
  --seconds  of one run, from 1 (the default without --quick)
  --repeats  rounds in which the paths take turns, from 1 (5 is the default without --quick)
  --json     the raw results on stdout instead of the tables
  --render   makes the report of FILE, the raw results of an earlier run, anew
  --more-cores  what a model says of hosts with more cores, from FILE, the raw results of a run with tcp-1`;

interface Choice {
  quick: boolean;
  all: boolean;
  scale: boolean;
  paths: readonly BenchPath[];
  workloads: readonly Workload[];
  profiles: readonly Profile[];
  mtus: readonly number[];
}

/** What the arguments ask for. */
export type Request =
  | { do: 'help' }
  | { do: 'render'; file: string }
  | { do: 'more-cores'; file: string }
  | { do: 'measure'; plan: Plan };

/** Throws an Error with what is wrong with the arguments. */
export function parseRequest(args: readonly string[]): Request {
  const text = { type: 'string' } as const;
  const list = { type: 'string', multiple: true, default: [] as string[] } as const;
  const flag = { type: 'boolean', default: false } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { ...flag, short: 'h' },
      quick: flag,
      all: flag,
      scale: flag,
      json: flag,
      profile: list,
      mtu: list,
      only: list,
      work: list,
      seconds: text,
      repeats: text,
      render: text,
      'more-cores': text,
    },
  });
  if (values.help) return { do: 'help' };
  if (values.render !== undefined) return { do: 'render', file: values.render };
  if (values['more-cores'] !== undefined) return { do: 'more-cores', file: values['more-cores'] };
  if (values.quick && values.all) throw new Error('--quick and --all exclude each other');
  const choice: Choice = {
    quick: values.quick,
    all: values.all,
    scale: values.scale,
    paths: chosen('path', PATHS, values.only),
    workloads: chosen('workload', WORKLOADS, values.work),
    profiles: values.profile.map(parseProfile),
    mtus: values.mtu.map((mtu) => wholeNumber('--mtu', mtu, 576, 65_535)),
  };
  const plan: Plan = {
    environments: environmentsOf(choice),
    scale: choice.scale || choice.all || !isNarrowed(choice),
    seconds: wholeNumber('--seconds', values.seconds ?? (values.quick ? '3' : '1'), 1, 3600),
    repeats: wholeNumber('--repeats', values.repeats ?? (values.quick ? '3' : '5'), 1, 1000),
    json: values.json,
  };
  return { do: 'measure', plan };
}

/** The paths that an environment needs, each once, in the order of the report. */
export function pathsOf({ work }: EnvironmentPlan): BenchPath[] {
  return PATHS.filter((path) => work.some(({ paths }) => paths.includes(path)));
}

/** Seconds that the plan takes, about. */
export function estimateSeconds({ environments, scale, seconds, repeats }: Plan): number {
  const parts = environments.map((environment) => {
    const runs = environment.work.map(({ workload, paths }) => {
      return paths.length * repeats * (workload.duration(seconds) + BETWEEN_SECONDS);
    });
    return runs.reduce((sum, one) => sum + one, pathsOf(environment).length * SET_UP_SECONDS);
  });
  return parts.reduce((sum, one) => sum + one, scale ? scaleSeconds(seconds) : 0);
}

/** How many runs the plan has. */
export function countRuns({ environments, repeats }: Plan): number {
  const cells = environments.flatMap(({ work }) => work.map(({ paths }) => paths.length));
  return cells.reduce((sum, paths) => sum + paths, 0) * repeats;
}

function isNarrowed({ quick, paths, workloads, profiles, mtus }: Choice): boolean {
  return quick || [paths, workloads, profiles, mtus].some((list) => list.length > 0);
}

function environmentsOf(choice: Choice): EnvironmentPlan[] {
  const { quick, all, scale, paths, workloads, profiles, mtus } = choice;
  if (!isNarrowed(choice) && !all) return scale ? [] : STANDARD;
  const or = <T>(list: readonly T[], otherwise: readonly T[]) => (list.length > 0 ? list : otherwise);
  return or<Profile>(profiles, all ? PROFILES : ['nic-like']).flatMap((profile) =>
    or(mtus, all ? MTUS : [1500]).map((mtu) => ({
      profile,
      mtu,
      work: onPaths(
        or(paths, quick ? QUICK_PATHS : USUAL_PATHS),
        or(workloads, quick ? HEADLINE : WORKLOADS),
      ),
    })),
  );
}

function onPaths(paths: readonly BenchPath[], workloads: readonly Workload[]): EnvironmentPlan['work'] {
  return workloads.map((workload) => ({ workload, paths }));
}

const HEADLINE = chosen('workload', WORKLOADS, ['tcp-1']);
const TELLING = chosen('workload', WORKLOADS, ['tcp-1', 'tcp-8', 'udp-64', 'rtt']);
/** What a reader would not learn more from with other projects' tunnels. */
const FOR_BASIC_PATHS = ['tcp-1-bbr', 'iperf2', 'tcp-8', 'tcp-bidir', 'udp-512'];
/** What a reader asks first, from the widest matrix to the narrowest. */
const STANDARD: EnvironmentPlan[] = [
  {
    profile: 'nic-like',
    mtu: 1500,
    work: WORKLOADS.map((workload) => {
      return { workload, paths: FOR_BASIC_PATHS.includes(workload.name) ? BASIC_PATHS : USUAL_PATHS };
    }),
  },
  { profile: 'offload', mtu: 1500, work: onPaths(BASIC_PATHS, TELLING) },
  { profile: 'nic-like', mtu: 9001, work: onPaths(BASIC_PATHS, HEADLINE) },
  { profile: 'offload', mtu: 9001, work: onPaths(BASIC_PATHS, HEADLINE) },
];

/** Those of `all` that are named, in its order. */
function chosen<T extends { name: string }>(what: string, all: readonly T[], wanted: readonly string[]): T[] {
  const unknown = wanted.find((name) => !all.some((one) => one.name === name));
  if (unknown !== undefined) throw new Error(`no such ${what}: ${unknown} (there are ${names(all)})`);
  return all.filter(({ name }) => wanted.includes(name));
}

function parseProfile(text: string): Profile {
  const profile = PROFILES.find((name) => name === text);
  if (!profile) throw new Error(`no such profile: ${text} (there are ${PROFILES.join(', ')})`);
  return profile;
}

function wholeNumber(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most) {
    throw new Error(`${option} takes a whole number from ${least} to ${most}, not "${text}"`);
  }
  return value;
}
