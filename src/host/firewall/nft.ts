/**
 * nftables in JSON, both ways (libnftables-json(5)): no quoting, so any device name can stand in a rule, and what
 * comes back needs no parsing of text. A list of commands is one transaction: all of it happens or none.
 */
import { run } from '../run.js';

export interface NftTable {
  readonly family: string;
  readonly name: string;
}

export interface NftChain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  /** Base chains only. */
  readonly type?: string;
  readonly hook?: string;
  readonly prio?: number;
  readonly policy?: string;
}

export type NftExpression = Readonly<Record<string, unknown>>;

export interface NftRule {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly handle: number;
  readonly comment?: string;
  readonly expr: readonly NftExpression[];
}

/** A named set, or a named map. */
export interface NftSet {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  /** Absent: it is empty. Of a map: [key, value]. */
  readonly elem?: readonly unknown[];
}

/** A named counter. */
export interface NftCounter {
  readonly family: string;
  readonly table: string;
  readonly name: string;
}

export interface Ruleset {
  readonly tables: readonly NftTable[];
  readonly chains: readonly NftChain[];
  readonly rules: readonly NftRule[];
  readonly sets: readonly NftSet[];
  readonly counters: readonly NftCounter[];
}

/** Every table of ours starts so. */
const OWN_TABLE = 'ufan-';

export function isOwnTable(name: string): boolean {
  return name.startsWith(OWN_TABLE);
}

/** The table of the fan whose slice starts at `sliceBase`: "ufan-fa001c00". */
export function ownTable(sliceBase: number): string {
  return OWN_TABLE + sliceBase.toString(16).padStart(8, '0');
}

/** Protocols come as numbers: their names are those of the host's /etc/protocols. */
export async function readRuleset(): Promise<Ruleset> {
  return parseRuleset(await run('nft', ['-j', '-p', 'list', 'ruleset']));
}

/** The text of `nft -j -p list ruleset`. */
export function parseRuleset(text: string): Ruleset {
  const { nftables } = JSON.parse(text) as { nftables: Record<string, unknown>[] };
  const all = <T>(kind: string) => nftables.filter((entry) => kind in entry).map((entry) => entry[kind] as T);
  const rules = all<NftRule>('rule').map((rule) => ({ ...rule, expr: rule.expr ?? [] }));
  const sets = [...all<NftSet>('set'), ...all<NftSet>('map')];
  const [tables, chains] = [all<NftTable>('table'), all<NftChain>('chain')];
  return { tables, chains, rules, sets, counters: all<NftCounter>('counter') };
}

/**
 * Runs the commands as one transaction. They go as an argument: nft opens /dev/stdin by name, which Linux refuses
 * where stdin is a socket, as Node makes it.
 */
export async function changeRuleset(commands: readonly object[]): Promise<void> {
  if (commands.length > 0) await run('nft', ['-j', JSON.stringify({ nftables: commands })]);
}

export function match(left: NftExpression, right: unknown, op = '=='): NftExpression {
  return { match: { op, left, right } };
}

export function meta(key: string): NftExpression {
  return { meta: { key } };
}

export function field(protocol: string, name: string): NftExpression {
  return { payload: { protocol, field: name } };
}
