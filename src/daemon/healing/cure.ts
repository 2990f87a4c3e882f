/**
 * Which of the troubles that doctor's checks find are put back unasked: what is ufan's own and can be mended by the
 * steps of `up`. Not where the fan was told `no-heal`, and nothing that would overrule a drop which names its packets.
 */
import type { Repair } from '../../control/protocol.js';
import type { FanRecord } from '../../control/state-store.js';
import type { Troubles } from '../../diagnosis/doctor/doctor.js';
import { isMeantFor } from '../../diagnosis/doctor/drop-finding.js';

/** What is done at once, in one change. */
export interface Cure {
  /** Of the fan; undefined for what all share. */
  readonly id: string | undefined;
  /** By which the log and the record of attempts know it: the bridge's name, or "host". */
  readonly of: string;
  readonly checks: readonly string[];
  readonly because: readonly string[];
  readonly repairs: readonly Repair[];
  readonly settings: readonly { readonly setting: string; readonly value: string }[];
  /** The fan died, and is to be brought up again. */
  readonly isToRevive: boolean;
}

/** Not where it was told `no-heal`; a fand before 0.2.0 recorded nothing of it. */
export function heals({ request }: FanRecord): boolean {
  return request.options.heal !== false;
}

/**
 * One for each fan that has something to be put back, and one for the host. `isLost`: it died, and may be revived;
 * `isDue` is asked once for each thing that is to be put back, of a bridge or "host".
 */
export function curesFor(
  { found, opposed }: Troubles,
  fans: readonly FanRecord[],
  isLost: (fan: FanRecord) => boolean,
  isDue: (of: string, check: string, thing: string) => boolean,
): Cure[] {
  const due = new Map<string, boolean>();
  const willing = fans.filter(heals);
  const cures = new Map<string, Cure>();
  for (const { check, finding } of found) {
    const { mend, bridge, drop, evidence } = finding;
    const fan = willing.find(({ plan }) => plan.bridge === bridge);
    if (!mend || willing.length === 0 || (bridge !== undefined && !fan)) continue;
    if (fan && drop && isMeantFor(drop, fan.plan)) continue;
    const isToRevive = 'revive' in mend && fan !== undefined && isLost(fan);
    const settings = 'setting' in mend ? [mend] : [];
    const repairs = 'repairs' in mend ? mend.repairs.filter((kind) => mayRedo(kind, bridge, opposed)) : [];
    if (!isToRevive && settings.length === 0 && repairs.length === 0) continue;
    const of = bridge ?? 'host';
    const thing = `${of} ${check} ${withoutNumbers(evidence)}`;
    due.set(thing, due.get(thing) ?? isDue(of, check, thing));
    if (!due.get(thing)) continue;
    const known = cures.get(of);
    cures.set(of, {
      id: fan?.id,
      of,
      checks: [...(known?.checks ?? []), check],
      because: [...(known?.because ?? []), evidence],
      repairs: [...new Set([...(known?.repairs ?? []), ...repairs])],
      settings: [...(known?.settings ?? []), ...settings],
      isToRevive: isToRevive || (known?.isToRevive ?? false),
    });
  }
  return [...cures.values()];
}

/** A rule that is written again has another handle, and counters grow: it is still the same that is wrong. */
function withoutNumbers(evidence: string): string {
  return evidence.replace(/\d+/g, '#');
}

/** Its accepts would stand before the rule that somebody wrote for the fan. */
function mayRedo(kind: Repair, bridge: string | undefined, opposed: ReadonlySet<string>): boolean {
  return kind !== 'firewall' || bridge === undefined || !opposed.has(bridge);
}
