/**
 * nftables' rules as packet-verdict.ts walks them, from `nft -j list ruleset` (libnftables-json(5)). What is not
 * understood, such as a set that stands elsewhere or a limit, may match.
 *
 * Two things the JSON leaves out, and they are read from nft's text: what `ct state` an xt match of iptables asks for,
 * and (of nft 1.0.6) the devices of a chain at ingress.
 */
import { parseAddress } from '../addr/ipv4-address.js';
import { type Prefix, prefixOf } from '../addr/prefix.js';
import { type NftChain, type NftRule, type Ruleset, readRuleset } from './nft.js';
import {
  type Action,
  type BaseChain,
  both,
  either,
  type FirewallChain,
  type FirewallRule,
  isExactly,
  isNamed,
  isWithin,
  type Match,
  not,
  type PacketKind,
  protocolNumber,
} from './packet-verdict.js';
import { run } from './run.js';

type Json = Readonly<Record<string, unknown>>;
/** What only the text of a ruleset says. */
export interface NftText {
  /** "FAMILY TABLE HANDLE" of a rule → the connection states that it asks for. */
  readonly states: ReadonlyMap<string, readonly string[]>;
  /** "FAMILY TABLE CHAIN" → the devices that it is hooked to. */
  readonly devices: ReadonlyMap<string, readonly string[]>;
}

/** Families whose chains see IPv4 packets, or frames of a device. */
const FAMILIES = ['ip', 'inet', 'netdev'];
const VERDICTS = ['accept', 'drop', 'reject', 'return', 'queue'];
const XT_DROPS = ['DROP', 'REJECT'];
const XT_STATES = ['conntrack', 'state'];
const TABLE_LINE = /^table (\w+) (\S+) \{/;
const CHAIN_LINE = /^\tchain (\S+) \{/;
const DEVICE_LINE = /^\t\ttype .* devices? (?:= \{)?([^;}]*?)\}? priority/;
const STATE_RULE = /\bct state ([\w,]+) .*# handle (\d+)$/;

/** The base chains of this host that an IPv4 packet passes. */
export async function readNftBases(): Promise<BaseChain[]> {
  const ruleset = await readRuleset();
  const needsText =
    ruleset.rules.some(({ expr }) => expr.some(isXtState)) ||
    ruleset.chains.some(({ family }) => family === 'netdev');
  return nftBases(ruleset, parseNftText(needsText ? await run('nft', ['-a', 'list', 'ruleset']) : ''));
}

/** The text of `nft -a list ruleset`. */
export function parseNftText(text: string): NftText {
  const states = new Map<string, string[]>();
  const devices = new Map<string, string[]>();
  let table = '';
  let chain = '';
  for (const line of text.split('\n')) {
    const opening = TABLE_LINE.exec(line);
    if (opening) table = `${opening[1]} ${opening[2]}`;
    chain = CHAIN_LINE.exec(line)?.[1] ?? chain;
    const [, names] = DEVICE_LINE.exec(line) ?? [];
    if (names !== undefined) devices.set(`${table} ${chain}`, names.match(/[^", ]+/g) ?? []);
    const [, list, handle] = STATE_RULE.exec(line) ?? [];
    if (list !== undefined) states.set(`${table} ${handle}`, list.split(','));
  }
  return { states, devices };
}

export function nftBases(ruleset: Ruleset, text: NftText): BaseChain[] {
  const chains = ruleset.chains.filter(({ family }) => FAMILIES.includes(family));
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
        hook: chain.hook!,
        policy: chain.policy === 'drop' ? 'drop' : 'accept',
        policyRemedy: `nft chain ${key} ${chain.name} '{ policy accept; }'`,
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
  return {
    label: `chain ${family} ${table} ${name}`,
    rules: rules.flatMap((rule) => rulesOf(rule, text.states.get(`${family} ${table} ${rule.handle}`))),
  };
}

/** One rule, or, of one that ends in a verdict map, one for each of its elements. */
function rulesOf(rule: NftRule, states: readonly string[] | undefined): FirewallRule[] {
  const label = `rule handle ${rule.handle}${rule.comment === undefined ? '' : ` "${rule.comment}"`}`;
  const remedy = `nft delete rule ${rule.family} ${rule.table} ${rule.chain} handle ${rule.handle}`;
  const matches = (packet: PacketKind): Match =>
    rule.expr.map((statement) => matchOf(statement, packet, states)).reduce(both, 'yes');
  const map = rule.expr.find((statement) => 'vmap' in statement)?.vmap as Json | undefined;
  if (map)
    return elementsOf(map).map(([value, verdict]) =>
      element(map.key, value, verdict, { matches, label, remedy }),
    );
  const action = rule.expr.map(actionOf).find((found) => found !== undefined);
  return [{ matches, label, remedy, ...(action ? { action } : {}) }];
}

function elementsOf(map: Json): [unknown, Json][] {
  const { set } = (map.data ?? {}) as Json;
  return Array.isArray(set) ? (set as [unknown, Json][]) : [];
}

function element(key: unknown, value: unknown, verdict: Json, whole: FirewallRule): FirewallRule {
  const action = actionOf(verdict);
  return {
    ...whole,
    matches: (packet) => both(whole.matches(packet), compare(key as Json, value, packet)),
    ...(action ? { action } : {}),
  };
}

function actionOf(statement: Json): Action | undefined {
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

function isXtState({ xt }: Json): boolean {
  const { type, name } = (xt ?? {}) as Json;
  return type === 'match' && XT_STATES.includes(String(name));
}

function matchOf(statement: Json, packet: PacketKind, states: readonly string[] | undefined): Match {
  if ('limit' in statement || 'ct count' in statement || 'quota' in statement) return 'maybe';
  if ('xt' in statement) {
    if (isXtState(statement)) return states ? isExactly(states.includes(packet.state)) : 'maybe';
    return (statement.xt as Json).type === 'match' ? 'maybe' : 'yes';
  }
  if (!('match' in statement)) return 'yes';
  const { op, left, right } = statement.match as Json;
  const equal = compare(left as Json, right, packet);
  if (op === '==' || op === 'in') return equal;
  return op === '!=' ? not(equal) : 'maybe';
}

/** Whether what `left` reads of the packet is (among) `right`. */
function compare(left: Json, right: unknown, packet: PacketKind): Match {
  const options = optionsOf(right);
  if (!options) return 'maybe';
  return either(options.map((value) => compareOne(left, value, packet)));
}

/** Undefined for what stands elsewhere: "@set". */
function optionsOf(right: unknown): unknown[] | undefined {
  if (typeof right === 'string' && right.startsWith('@')) return undefined;
  if (Array.isArray(right)) return right;
  const { set } = (typeof right === 'object' && right !== null ? right : {}) as Json;
  if (set === undefined) return [right];
  return Array.isArray(set) ? set.map(unwrap) : [set];
}

/** Elements with a timeout or a counter come wrapped. */
function unwrap(element: unknown): unknown {
  const { elem } = (typeof element === 'object' && element !== null ? element : {}) as Json;
  return elem === undefined ? element : (elem as Json).val;
}

function compareOne({ meta, payload, ct }: Json, value: unknown, packet: PacketKind): Match {
  if (meta) return compareMeta(String((meta as Json).key), value, packet);
  if (ct) return (ct as Json).key === 'state' ? isExactly(value === packet.state) : 'maybe';
  if (payload) return comparePayload(payload as Json, value, packet);
  return 'maybe';
}

function compareMeta(key: string, value: unknown, packet: PacketKind): Match {
  if (key === 'iifname' || key === 'iif') return isNamed(packet.input, String(value), '*');
  if (key === 'oifname' || key === 'oif') return isNamed(packet.output, String(value), '*');
  if (key === 'l4proto') return isExactly(protocolNumber(value as string) === packet.protocol);
  if (key === 'nfproto') return isExactly(value === 'ipv4');
  if (key === 'protocol') return isExactly(value === 'ip');
  return 'maybe';
}

function comparePayload(payload: Json, value: unknown, packet: PacketKind): Match {
  const { protocol, field } = payload as { protocol?: string; field?: string };
  if (protocol === undefined) return 'maybe';
  if (protocol === 'ip') {
    if (field === 'saddr') return compareAddress(packet.source, value);
    if (field === 'daddr') return compareAddress(packet.destination, value);
    if (field === 'protocol') return isExactly(protocolNumber(value as string) === packet.protocol);
    return 'maybe';
  }
  if (protocol === 'ether' || protocol === 'vlan' || protocol === 'th') return 'maybe';
  if (protocolNumber(protocol) !== packet.protocol) return 'no';
  const port = field === 'dport' ? packet.destinationPort : undefined;
  return port !== undefined && typeof value === 'number' ? isExactly(port === value) : 'maybe';
}

function compareAddress(packet: Prefix, value: unknown): Match {
  if (typeof value === 'string') return isWithin(packet, prefixOf(parseAddress(value), 32));
  const { prefix, range } = (value ?? {}) as {
    prefix?: { addr: string; len: number };
    range?: [string, string];
  };
  if (prefix) return isWithin(packet, prefixOf(parseAddress(prefix.addr), prefix.len));
  return range ? compareRange(packet, parseAddress(range[0]), parseAddress(range[1])) : 'maybe';
}

function compareRange({ base, length }: Prefix, first: number, last: number): Match {
  const end = base + 2 ** (32 - length) - 1;
  if (first <= base && end <= last) return 'yes';
  return end < first || last < base ? 'no' : 'maybe';
}
