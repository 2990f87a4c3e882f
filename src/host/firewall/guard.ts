/**
 * The guard: the table of nftables in which `up` says who may put packets into the fans of this host (fan-spec: what a fan
 * promises about packets). One table for all fans; what belongs to one bears its key. host/steps/guard-step.ts puts it
 * there, fand reads its counters, doctor sees whether it is there.
 */
import type { DropReasonName } from '../../base/drop-reason.js';

export const GUARD_FAMILY = 'ip';
export const GUARD_TABLE = 'ufan-guard';

/** Each with a counter for each fan. */
export const GUARD_REASONS = [
  'overlay-source-astray',
  'bridge-source',
  'container-tunnel',
  'tunnel-astray',
  'source-unroutable',
  'service-astray',
] as const satisfies readonly DropReasonName[];
export type GuardReason = (typeof GUARD_REASONS)[number];

/** Of the fan whose slice starts at `sliceBase`: "fa001c00". */
export function guardKey(sliceBase: number): string {
  return sliceBase.toString(16).padStart(8, '0');
}

/** The counter of a reason: "bridge-source-fa001c00". */
export function guardCounter(reason: GuardReason, key: string): string {
  return `${reason}-${key}`;
}
