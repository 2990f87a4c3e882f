/**
 * The guard: the table of nftables in which `up` says who may put packets into the fans of this host (fan-spec: what a fan
 * promises about packets). One table for all fans; what belongs to one bears its key. host/steps/guard-step.ts puts it
 * there, fand reads its counters, doctor sees whether it is there.
 */
import { formatAddress } from '../../addr/ipv4-address.js';
import { broadcastOf, contains, formatPrefix } from '../../addr/prefix.js';
import type { DropReasonName } from '../../base/drop-reason.js';
import type { FanMapping } from '../../fan/mapping.js';

export const GUARD_FAMILY = 'ip';
export const GUARD_TABLE = 'ufan-guard';

/** Each with a counter for each fan. */
export const GUARD_REASONS = [
  'overlay-source-astray',
  'bridge-source',
  'container-tunnel',
  'tunnel-astray',
  'outer-not-unicast',
  'outer-source-local',
  'outer-options',
  'source-unroutable',
  'service-astray',
] as const satisfies readonly DropReasonName[];
/** Of a layer-2 fan, in a table of its own that names its counters alike (host/steps/layer2-guard-step.ts). */
export const LAYER2_REASONS = ['local-mac', 'bridge-source'] as const satisfies readonly DropReasonName[];
export type GuardReason = (typeof GUARD_REASONS)[number] | (typeof LAYER2_REASONS)[number];

/** Of the fan whose slice starts at `sliceBase`: "fa001c00". */
export function guardKey(sliceBase: number): string {
  return sliceBase.toString(16).padStart(8, '0');
}

/** The counter of a reason: "bridge-source-fa001c00". */
export function guardCounter(reason: GuardReason, key: string): string {
  return `${reason}-${key}`;
}

/** What the guard knows of a fan. */
export interface GuardedPlan {
  readonly mapping: FanMapping;
  readonly bridge: string;
  readonly tun: string;
  readonly hostReserve: number;
  readonly foreignSources?: boolean;
}

/** A drop of the guard, and why in words. */
export interface GuardVerdict {
  readonly reason: GuardReason;
  readonly why: string;
}

/**
 * What the guard says of the source of a plain packet (u32) that comes in by `device`, where `fans` are all of this host;
 * undefined where it lets it pass. The same as its rules in prerouting but for the route back.
 */
export function judgeSource(
  fans: readonly GuardedPlan[],
  device: string,
  source: number,
): GuardVerdict | undefined {
  if (device === 'lo' || fans.some(({ tun }) => tun === device)) return undefined;
  const own = fans.find(({ bridge }) => bridge === device);
  const address = formatAddress(source);
  if (own) {
    const { slice, overlay } = own.mapping;
    const [first, last] = [slice.base + own.hostReserve + 1, broadcastOf(slice) - 1];
    if (source >= first && source <= last) return undefined;
    const why = `${address} comes in by ${device}, where containers have ${formatAddress(first)} to ${formatAddress(last)}`;
    if (!own.foreignSources || contains(overlay, source)) return { reason: 'bridge-source', why };
  }
  const claimed = fans.find(({ mapping }) => contains(mapping.overlay, source));
  if (!claimed) return undefined;
  const { bridge, tun, mapping } = claimed;
  const why = `${address} is in ${formatPrefix(mapping.overlay)}, and comes in by ${device}, neither ${bridge} nor ${tun}`;
  return { reason: 'overlay-source-astray', why };
}
