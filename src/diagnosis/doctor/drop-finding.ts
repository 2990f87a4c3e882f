/**
 * The drops that a packet meets on its way, as findings: what both inner-drops.ts and outer-drops.ts say of one. A drop
 * that is not certain, because a rule could not be read or understood, is a warning.
 */
import { containsPrefix } from '../../addr/prefix.js';
import { isOwnTable } from '../../host/firewall/nft.js';
import {
  type BaseChain,
  type Drop,
  type FirewallRule,
  findDrop,
  isNamed,
  type PacketKind,
} from '../../host/firewall/packet-verdict.js';
import type { FanPlan } from '../../host/steps/fan-steps.js';
import { FIX, type Finding, fail, type Mend, ok, warn } from './finding.js';

/** Its chains but the one that is for the operator, before what names the rule. */
const DOCKERS_OWN = / DOCKER(?!-USER)[\w-]* /;

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
  if (!drop.isSure) return { ...warn(`perhaps dropped by ${drop.by}: ${what}`, fix), drop };
  const mend: Mend | undefined = canMend ? { repairs: ['firewall'] } : undefined;
  return { ...fail(`dropped by ${drop.by}: ${what}`, fix, mend), drop };
}

/**
 * Whether somebody wrote this drop for packets of the fan: a rule that leads there asks for its devices, for addresses
 * inside its overlay, or for protocol 4. What Docker writes for each of its bridges is nobody's wish.
 */
export function isMeantFor(drop: Drop, plan: FanPlan): boolean {
  return !DOCKERS_OWN.test(drop.by) && drop.trail.some((rule) => namesFan(rule, plan));
}

/** The same of all rules that drop in tables with a chain at one of `hooks`, whatever else they ask for. */
export function anyMeantFor(bases: readonly BaseChain[], hooks: readonly string[], plan: FanPlan): boolean {
  const tables = new Set(bases.filter(({ hook }) => hooks.includes(hook)).map(({ table }) => table));
  const chains = [...tables].flatMap((table) => [...table.values()]);
  return chains.some(
    ({ label, rules }) =>
      !DOCKERS_OWN.test(`${label} `) &&
      rules.some((rule) => rule.action?.kind === 'drop' && !isOurs(rule) && namesFan(rule, plan)),
  );
}

/** One of the fan's own table names what it drops, too. */
function isOurs({ remedy }: FirewallRule): boolean {
  return remedy.split(' ').some(isOwnTable);
}

function namesFan(
  { devices, networks, asksForIpip }: FirewallRule,
  { bridge, tun, mapping }: FanPlan,
): boolean {
  const isDevice = (pattern: string) =>
    pattern !== '*' && [bridge, tun].some((name) => isNamed(name, pattern, '*') === 'yes');
  return (
    asksForIpip ||
    devices.some(isDevice) ||
    networks.some((network) => containsPrefix(mapping.overlay, network))
  );
}
