/**
 * The drops that a packet meets on its way, as findings: what both inner-drops.ts and outer-drops.ts say of one. A drop
 * that is not certain, because a rule could not be read or understood, is a warning.
 */
import { type BaseChain, type Drop, findDrop, type PacketKind } from '../../host/firewall/packet-verdict.js';
import { FIX, type Finding, fail, ok, warn } from './finding.js';

/** The first drop at `hooks`, which are those that the packet passes in their order; a sure one if there is any. */
export function dropAmong(
  bases: readonly BaseChain[],
  hooks: readonly string[],
  packet: PacketKind,
): Drop | undefined {
  return surest(hooks.map((hook) => findDrop(bases, hook, packet)));
}

export function surest(drops: readonly (Drop | undefined)[]): Drop | undefined {
  return drops.find((drop) => drop?.isSure) ?? drops.find((drop) => drop !== undefined);
}

/** `canMend`: an accept of ours helps there, at forward and input, where `up` puts some; else the drop itself must go. */
export function judged(drop: Drop | undefined, what: string, canMend: boolean): Finding {
  if (!drop) return ok(`nothing drops ${what}`);
  const fix = canMend ? FIX : drop.remedy;
  if (!drop.isSure) return warn(`perhaps dropped by ${drop.by}: ${what}`, fix);
  return fail(`dropped by ${drop.by}: ${what}`, fix, canMend ? { repairs: ['firewall'] } : undefined);
}
