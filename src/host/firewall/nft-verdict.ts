/**
 * nftables' rules as packet-verdict.ts walks them, from `nft -j list ruleset` (libnftables-json(5)): chains, rules,
 * verdicts; what a rule matches is in nft-match.ts.
 *
 * Some things the JSON leaves out, and they are read from nft's text: what an xt match of iptables asks for (`ct state`,
 * `fib daddr type`), what address an xt target translates to, and (of nft 1.0.6) the devices of a chain at ingress.
 */

import { formatPrefix } from '../../addr/prefix.js';
import { run } from '../run.js';
import { GUARD_TABLE } from './guard.js';
import type { NftChain, NftRule, Ruleset } from './nft.js';
import {
  asksForIpip,
  type Beside,
  compare,
  devicesAt,
  devicesIn,
  elementsOf,
  type Json,
  matchOf,
  networksIn,
} from './nft-match.js';
import { natMapOf, translationOf } from './nft-nat.js';
import {
  type Action,
  type BaseChain,
  both,
  type FirewallChain,
  type FirewallRule,
  type Match,
  type PacketKind,
} from './packet-verdict.js';

/** What only the text of a ruleset says. */
export interface NftText {
  /** "FAMILY TABLE HANDLE" of a rule → the rule. */
  readonly rules: ReadonlyMap<string, string>;
  /** "FAMILY TABLE CHAIN" → the devices that it is hooked to. */
  readonly devices: ReadonlyMap<string, readonly string[]>;
}

/** Families whose chains see IPv4 packets, or frames of a device. */
const FAMILIES = ['ip', 'inet', 'netdev'];
const VERDICTS = ['accept', 'drop', 'reject', 'return', 'queue'];
const XT_DROPS = ['DROP', 'REJECT'];
const AT_A_DEVICE = ['ingress', 'egress'];
/** A verdict map that could not be read may hold any verdict. */
const UNREAD: Action = { kind: 'drop' };
const TABLE_LINE = /^table (\w+) (\S+) \{/;
const CHAIN_LINE = /^\tchain (\S+) \{/;
const DEVICE_LINE = /^\t\ttype .* devices? (?:= \{)?([^;}]*?)\}? priority/;
const RULE_LINE = /^\t\t(.*) # handle (\d+)$/;
const STATES = /\bct state ([\w,]+) /;
const DESTINATION_TYPE = /\bfib daddr type ((?:!= )?\w+) /;

/** The base chains of this host that an IPv4 packet passes. */
export async function readNftBases(ruleset: Ruleset): Promise<BaseChain[]> {
  const needsText =
    ruleset.rules.some(({ expr }) => expr.some((statement) => 'xt' in statement)) ||
    ruleset.chains.some(({ hook }) => AT_A_DEVICE.includes(hook ?? ''));
  return nftBases(ruleset, parseNftText(needsText ? await run('nft', ['-a', 'list', 'ruleset']) : ''));
}

/** The text of `nft -a list ruleset`. */
export function parseNftText(text: string): NftText {
  const rules = new Map<string, string>();
  const devices = new Map<string, string[]>();
  let table = '';
  let chain = '';
  for (const line of text.split('\n')) {
    const opening = TABLE_LINE.exec(line);
    if (opening) table = `${opening[1]} ${opening[2]}`;
    chain = CHAIN_LINE.exec(line)?.[1] ?? chain;
    const [, names] = DEVICE_LINE.exec(line) ?? [];
    if (names !== undefined) devices.set(`${table} ${chain}`, names.match(/[^", ]+/g) ?? []);
    const [, rule, handle] = RULE_LINE.exec(line) ?? [];
    if (rule !== undefined) rules.set(`${table} ${handle}`, rule);
  }
  return { rules, devices };
}

export function nftBases(ruleset: Ruleset, text: NftText): BaseChain[] {
  // The guard drops by device and source what no packet of a fan has; guard.ts judges it.
  const chains = ruleset.chains.filter(
    ({ family, table }) => FAMILIES.includes(family) && table !== GUARD_TABLE,
  );
  const tables = new Map<string, Map<string, FirewallChain>>();
  for (const chain of chains) {
    const key = `${chain.family} ${chain.table}`;
    const table = tables.get(key) ?? new Map<string, FirewallChain>();
    tables.set(key, table.set(chain.name, chainOf(chain, ruleset, text)));
  }
  return chains
    .filter(({ hook }) => hook !== undefined)
    .map((chain) => {
      const key = `${chain.family} ${chain.table}`;
      const table = tables.get(key)!;
      return {
        ...table.get(chain.name)!,
        type: chain.type ?? 'filter',
        hook: chain.hook!,
        priority: chain.prio ?? 0,
        policy: chain.policy === 'drop' ? 'drop' : 'accept',
        policyRemedy: `nft chain ${key} ${chain.name} '{ policy accept; }'`,
        // With a counter, as iptables reads it back where the chain is its own.
        admission: (input, output) =>
          `nft insert rule ${key} ${chain.name} 'iifname "${input}" oifname "${output}" counter accept'`,
        exemption: (source, destination) =>
          `nft insert rule ${key} ${chain.name} ip saddr ${formatPrefix(source)} ip daddr ${formatPrefix(destination)} counter accept`,
        devices: text.devices.get(`${key} ${chain.name}`) ?? [],
        table,
      };
    });
}

function chainOf(chain: NftChain, ruleset: Ruleset, text: NftText): FirewallChain {
  const { family, table, name } = chain;
  const rules = ruleset.rules.filter(
    (rule) => rule.family === family && rule.table === table && rule.chain === name,
  );
  const sets = new Map(
    ruleset.sets
      .filter((set) => set.family === family && set.table === table)
      .map((set) => [set.name, set.elem ?? []]),
  );
  return {
    label: `chain ${family} ${table} ${name}`,
    rules: rules.flatMap((rule) => rulesOf(rule, sets, text.rules.get(`${family} ${table} ${rule.handle}`))),
  };
}

/** One rule, or, of one that ends in a verdict map, one for each of its elements. */
function rulesOf(rule: NftRule, sets: Beside['sets'], text = ''): FirewallRule[] {
  const [, states] = STATES.exec(text) ?? [];
  const [, destinationType] = DESTINATION_TYPE.exec(text) ?? [];
  const beside: Beside = { sets, states: states?.split(','), destinationType };
  const matches = (packet: PacketKind): Match =>
    rule.expr.map((statement) => matchOf(statement, packet, beside)).reduce(both, 'yes');
  const whole = {
    matches,
    label: `rule handle ${rule.handle}${rule.comment === undefined ? '' : ` "${rule.comment}"`}`,
    remedy: `nft delete rule ${rule.family} ${rule.table} ${rule.chain} handle ${rule.handle}`,
    networks: networksIn(rule.expr, beside),
    devices: rule.expr.flatMap((statement) => devicesIn(statement, beside)),
    asksForIpip: rule.expr.some((statement) => asksForIpip(statement, beside)),
  };
  const map = rule.expr.find((statement) => 'vmap' in statement)?.vmap as Json | undefined;
  if (!map) {
    const action = rule.expr
      .map((statement) => actionOf(statement, text))
      .find((found) => found !== undefined);
    return [withAction({ ...whole, matches: withNatMap(rule, matches, beside) }, action)];
  }
  const elements = elementsOf(map.data, beside);
  if (!elements) return [{ ...whole, matches: (packet) => both(matches(packet), 'unread'), action: UNREAD }];
  return elements.map(([key, verdict]) => {
    const isElement = (packet: PacketKind) => compare(map.key as Json, key, packet, beside);
    const one = {
      ...whole,
      matches: (packet: PacketKind) => both(matches(packet), isElement(packet)),
      devices: [...whole.devices, ...devicesAt(map.key as Json, [key])],
    };
    return withAction(one, actionOf(verdict, text));
  });
}

/** A rule that finds the new address in a map translates only what the map knows. */
function withNatMap(
  rule: NftRule,
  matches: FirewallRule['matches'],
  beside: Beside,
): FirewallRule['matches'] {
  const map = natMapOf(rule.expr);
  if (!map) return matches;
  const keys = elementsOf(map.data, beside)?.map(([key]) => key);
  if (!keys) return (packet) => both(matches(packet), 'maybe');
  return (packet) => both(matches(packet), compare(map.key as Json, { set: keys }, packet, beside));
}

function withAction(rule: Omit<FirewallRule, 'action'>, action: Action | undefined): FirewallRule {
  return action ? { ...rule, action } : rule;
}

function actionOf(statement: Json, text: string): Action | undefined {
  const translation = translationOf(statement, text);
  if (translation) return { kind: 'nat', translation };
  for (const [key, value] of Object.entries(statement)) {
    if (key === 'reject' || isXtDrop(key, value)) return { kind: 'drop' };
    if (key === 'jump' || key === 'goto') return { kind: key, target: String((value as Json).target) };
    // What waits for a program in userspace is that program's to decide.
    if (VERDICTS.includes(key)) return { kind: key === 'queue' ? 'accept' : (key as 'accept') };
  }
  return undefined;
}

function isXtDrop(key: string, value: unknown): boolean {
  const { type, name } = (value ?? {}) as Json;
  return key === 'xt' && type === 'target' && XT_DROPS.includes(String(name));
}
