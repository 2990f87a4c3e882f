/**
 * A workload is what is measured on a path: it gives one figure a run, and the tool's own report.
 */
import type { PathEnds } from '../paths/path.js';

export interface Measurement {
  value: number;
  /** Kept in the results as it is. */
  report: unknown;
}

export interface Workload {
  name: string;
  title: string;
  unit: string;
  /** One run of about `seconds`. */
  measure(ends: PathEnds, seconds: number): Promise<Measurement>;
}
