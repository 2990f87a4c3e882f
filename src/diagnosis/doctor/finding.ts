/**
 * What a check is and what it finds. One more check: a module here, and its line in checks.ts.
 */
import type { CheckResult, Repair, UpRequest } from '../../control/protocol.js';
import type { Drop } from '../../host/firewall/packet-verdict.js';
import type { Patient } from './patient.js';

export type Severity = CheckResult['severity'];

/** What `--fix` does: ask fand for repairs, bring fans up again that died, or write a setting under /proc/sys/net. */
export type Mend =
  | { readonly repairs: readonly Repair[] }
  | { readonly revive: UpRequest }
  | { readonly setting: string; readonly value: string };

export interface Finding {
  readonly status: CheckResult['status'];
  readonly evidence: string;
  readonly fix: string;
  readonly mend?: Mend;
  readonly direction?: 'out' | 'in';
  /** Where it differs from the check's own. */
  readonly severity?: Severity;
  /** The fan of this bridge; absent where it is of the host, and so of all. */
  readonly bridge?: string;
  /** The drop of the firewall that it tells of. */
  readonly drop?: Drop;
}

export interface Check {
  /** The name of the trouble. */
  readonly name: string;
  /** Of a failure. */
  readonly severity: Severity;
  /** True: it asks fand, and cannot be made where none runs. */
  readonly asksFand?: boolean;
  /** True: it costs more the more containers there are, so fand makes it now and then only. */
  readonly isCostly?: boolean;
  /** None: there was nothing to look at. Reads only. */
  examine(patient: Patient): Promise<Finding[]>;
}

export function ok(evidence: string): Finding {
  return { status: 'ok', evidence, fix: '' };
}

export function warn(evidence: string, fix: string): Finding {
  return { status: 'warn', evidence, fix };
}

export function fail(evidence: string, fix: string, mend?: Mend): Finding {
  return { status: 'fail', evidence, fix, ...(mend ? { mend } : {}) };
}

/** The command by which the operator has ufan's own part put back. */
export const FIX = 'fanctl doctor --fix';
