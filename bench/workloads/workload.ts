/**
 * A workload is what is measured on a path: it gives one figure a run, figures beside it, and the tool's own report.
 */
import type { PathEnds } from '../paths/path.js';

export interface Measurement {
  value: number;
  /** Payload that arrived, where the workload is about moving bytes: for CPU seconds a gigabyte. */
  bytes?: number;
  /** By the keys of the workload's columns. */
  details: Readonly<Record<string, number>>;
  /** Kept in the results as it is. */
  report: unknown;
}

/** A figure beside the main one. */
export interface Column {
  key: string;
  title: string;
  digits: number;
}

export interface Workload {
  /** One word, for --work and the results. */
  name: string;
  title: string;
  unit: string;
  /** Decimal places of the figure. */
  digits: number;
  /** How paths compare: throughput by ratio, delay by what is added. */
  compare: 'ratio' | 'difference';
  columns: readonly Column[];
  /** Seconds that a run takes, its start and end included: for the estimate. */
  duration(seconds: number): number;
  /** One run of about `seconds`; `last` is the run before on the same path. */
  measure(ends: PathEnds, seconds: number, last?: Measurement): Promise<Measurement>;
}
