/**
 * What a run of the harness leaves behind, as JSON: machine, plan, and every single measurement. All else (tables,
 * plots) is made from it.
 */

import type { Profile } from '../lab/underlay.js';
import type { ProcessUsage } from '../lab/usage.js';
import type { BenchPath } from '../paths/path.js';
import type { Measurement, Workload } from '../workloads/workload.js';
import type { MachineFacts } from './machine.js';

export interface Cost {
  /** CPU seconds that the whole machine was busy: both hosts, the tools, softirqs. */
  machineCpuSeconds: number;
  /** Of the tunnel's processes on the client's host and on the server's: during the run, but memory after it. */
  tunnel: readonly ProcessUsage[];
}

export interface Run extends Measurement {
  cost: Cost;
}

/** The runs of one path, in the order of the rounds. */
export interface Series {
  /** Of the path. */
  name: string;
  title: string;
  runs: Run[];
  /** Of the tunnel's processes on both hosts for each gigabyte, in a run of its own; where it could be counted. */
  systemCallsPerGigabyte?: number;
}

export interface WorkloadResult
  extends Pick<Workload, 'name' | 'title' | 'unit' | 'digits' | 'compare' | 'columns'> {
  series: Series[];
}

/** A tunnel's processes over both hosts, before any work. */
export interface IdleUsage {
  /** Of the busier host: percent of one CPU. */
  cpuPercent: number;
  /** Of the larger host. */
  rssBytes: number;
}

export interface PathFacts extends Pick<BenchPath, 'name' | 'title' | 'kind'> {
  notes: readonly string[];
  idle: IdleUsage;
}

export interface EnvironmentResult {
  profile: Profile;
  mtu: number;
  paths: PathFacts[];
  workloads: WorkloadResult[];
}

/** A lab with so many fans up. */
export interface ScalePoint {
  hosts: number;
  /** Between sampled pairs of containers. */
  pings: number;
  answered: number;
  /** Median of the answered ones. */
  pingMs: number;
  /** A TCP stream each between sampled pairs. */
  gigabits: number[];
  /** Of the first host's fand. */
  rssBytes: number;
  /** To bring up one more host, several at once. */
  upSeconds: number;
}

/** A path that couldn't be set up, or a workload that failed on it. */
export interface Failure {
  profile: Profile;
  mtu: number;
  path: string;
  workload?: string;
  reason: string;
  /** Another project's tunnel: reported, but no fault of this one. */
  peer: boolean;
}

export interface Result {
  machine: MachineFacts;
  seconds: number;
  repeats: number;
  /** False where the run was interrupted: then it holds what was measured until then. */
  complete: boolean;
  environments: EnvironmentResult[];
  /** Empty where it wasn't asked for. */
  scale: ScalePoint[];
  failures: Failure[];
}
