/**
 * Step: the fan's part of the guard, the table of nftables that lets only those put packets into the fan who may
 * (guard-rules.ts has the rules). The table is shared: it comes with the first fan and goes with the last.
 *
 * Rules bear the fan's bridge as comment; its chain and its counters bear its key. Counters keep their values when the
 * rules are put back.
 */
import { parseAddress } from '../../addr/ipv4-address.js';
import { FanError } from '../../base/error.js';
import { GUARD_FAMILY, GUARD_REASONS, GUARD_TABLE, guardCounter } from '../firewall/guard.js';
import { changeRuleset, type NftRule, type Ruleset, readRuleset } from '../firewall/nft.js';
import { readDevices } from '../links.js';
import { arrivalDevice } from '../underlay.js';
import {
  ARRIVALS,
  type Arrival,
  arrivalsOf,
  BASE_CHAINS,
  bridgeChain,
  chainsOf,
  ELSEWHERE,
  type GuardedFan,
  type GuardRule,
  inGuard,
  inwardChain,
  rulesOf,
  SERVICES,
  SHARED_RULES,
} from './guard-rules.js';
import type { StepKind } from './step.js';

export interface GuardData extends Omit<GuardedFan, 'arrival'> {
  readonly underlayDevice: string;
}

const SHARED = 'every fan';

export const guardStep: StepKind<GuardData> = {
  describe: ({ bridge }) => `guard ${bridge}`,

  async apply(data) {
    const fan: GuardedFan = { ...data, arrival: await arrivalOf(data) };
    const before = await readRuleset();
    const shared = rulesIn(before).filter(({ comment }) => comment === SHARED);
    await changeRuleset([...frame(fan), ...deletions(shared), ...removal(before, data), ...addition(fan)]);
    const [missing] = missingFromGuard(await readRuleset(), data);
    if (missing !== undefined) throw new FanError('step-failed', `table ip ${GUARD_TABLE} lacks ${missing}`);
  },

  async undo(data) {
    const ruleset = await readRuleset();
    if (!isThere(ruleset)) return undefined;
    const others = rulesIn(ruleset).some(
      ({ comment }) => ![undefined, SHARED, data.bridge].includes(comment),
    );
    if (others) await changeRuleset([...removal(ruleset, data), ...remains(ruleset, data)]);
    else await changeRuleset([{ delete: { table: { family: GUARD_FAMILY, name: GUARD_TABLE } } }]);
    return undefined;
  },
};

/** What of the fan's part is not there, in words; empty where all of it is. */
export function missingFromGuard(ruleset: Ruleset, data: GuardData): string[] {
  if (!isThere(ruleset)) return ['everything: it is gone'];
  const fan: GuardedFan = { ...data, arrival: undefined };
  const wanted = [...SHARED_RULES, ...rulesOf(fan)].map(({ chain }) => chain);
  const standing = rulesIn(ruleset)
    .filter(({ comment }) => comment === SHARED || comment === data.bridge)
    .map(({ chain }) => chain);
  const rules = [...new Set(wanted)].flatMap((chain) => {
    const [want, have] = [wanted, standing].map((all) => all.filter((each) => each === chain).length);
    return have! < want! ? [`${want! - have!} of ${want} rules of ${chain}`] : [];
  });
  const targets = new Map(elementsOf(ruleset).map(([device, verdict]) => [device, targetOf(verdict)]));
  const unknown = arrivalsOf(fan).flatMap(([device, verdict]) =>
    targets.has(device) && targets.get(device) === targetOf(verdict) ? [] : [`device ${device}`],
  );
  return [...rules, ...unknown];
}

async function arrivalOf({ address, underlayDevice }: GuardData): Promise<Arrival | undefined> {
  const devices = await readDevices();
  const device = arrivalDevice(parseAddress(address), underlayDevice, devices);
  if (device === undefined) return undefined;
  return { device, isThere: devices.links.some(({ name }) => name === device) };
}

/** What the rules stand in; adding what is there changes nothing. */
function frame({ key }: GuardedFan): object[] {
  return [
    { add: { table: { family: GUARD_FAMILY, name: GUARD_TABLE } } },
    { add: inGuard('map', { name: ARRIVALS, type: 'ifname', map: 'verdict' }) },
    ...BASE_CHAINS.map((chain) => ({ add: inGuard('chain', chain) })),
    ...[ELSEWHERE, SERVICES, ...chainsOf(key)].map((name) => ({ add: inGuard('chain', { name }) })),
    ...GUARD_REASONS.map((reason) => ({ add: inGuard('counter', { name: guardCounter(reason, key) }) })),
  ];
}

function addition(fan: GuardedFan): object[] {
  const add = (comment: string) => (rule: GuardRule) => ({ add: inGuard('rule', { ...rule, comment }) });
  return [
    ...SHARED_RULES.map(add(SHARED)),
    ...rulesOf(fan).map(add(fan.bridge)),
    { add: inGuard('element', { name: ARRIVALS, elem: arrivalsOf(fan) }) },
  ];
}

/** Of the fan's rules and elements. */
function removal(ruleset: Ruleset, { key, bridge, tun }: GuardData): object[] {
  const own = rulesIn(ruleset).filter(
    ({ comment, chain }) => comment === bridge || chainsOf(key).includes(chain),
  );
  const elements = elementsOf(ruleset).filter(
    ([device, verdict]) =>
      [bridge, tun].includes(device) ||
      [bridgeChain(key), inwardChain(key)].includes(targetOf(verdict) ?? ''),
  );
  return [
    ...deletions(own),
    ...(elements.length > 0 ? [{ delete: inGuard('element', { name: ARRIVALS, elem: elements }) }] : []),
  ];
}

/** What `removal` leaves: the chains and the counters, which no rule refers to any more. */
function remains({ chains, counters }: Ruleset, { key }: GuardData): object[] {
  const names = GUARD_REASONS.map((reason) => guardCounter(reason, key));
  return [
    ...chains
      .filter((chain) => isOurs(chain) && chainsOf(key).includes(chain.name))
      .map(({ name }) => ({ delete: inGuard('chain', { name }) })),
    ...counters
      .filter((counter) => isOurs(counter) && names.includes(counter.name))
      .map(({ name }) => ({ delete: inGuard('counter', { name }) })),
  ];
}

function deletions(rules: readonly NftRule[]): object[] {
  return rules.map(({ chain, handle }) => ({ delete: inGuard('rule', { chain, handle }) }));
}

function isThere({ tables }: Ruleset): boolean {
  return tables.some(({ family, name }) => family === GUARD_FAMILY && name === GUARD_TABLE);
}

function isOurs({ family, table }: { family: string; table: string }): boolean {
  return family === GUARD_FAMILY && table === GUARD_TABLE;
}

function rulesIn({ rules }: Ruleset): NftRule[] {
  return rules.filter(isOurs);
}

function elementsOf({ sets }: Ruleset): [string, unknown][] {
  const map = sets.find((set) => isOurs(set) && set.name === ARRIVALS);
  return (map?.elem ?? []) as [string, unknown][];
}

function targetOf(verdict: unknown): string | undefined {
  return (verdict as { goto?: { target: string } }).goto?.target;
}
