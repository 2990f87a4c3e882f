/**
 * The policy rules that have a say on a fan's packets: those that name a destination, and those that refuse packets instead
 * of routing them (`ip rule … prohibit`, blackhole, unreachable), by what they select. Reads only; whether one applies to a
 * packet, the kernel is asked (route-lookup.ts).
 */
import { parseAddress } from '../addr/ipv4-address.js';
import { contains, formatPrefix, type Prefix, prefixOf } from '../addr/prefix.js';
import { ipJson } from './run.js';

interface RuleRow {
  priority?: number;
  /** Present where the rule is for all that it does not select. */
  not?: null;
  src?: string;
  srclen?: number;
  dst?: string;
  dstlen?: number;
  iif?: string;
  action?: string;
  table?: string;
}

const REFUSING = ['prohibit', 'blackhole', 'unreachable'];

/** `ip rule … to …` */
export interface DestinationRule {
  readonly priority: number;
  readonly destination: Prefix;
  readonly table: string;
}

export interface RefusingRule {
  readonly priority: number;
  /** "prohibit" */
  readonly action: string;
  readonly isNegated: boolean;
  readonly source: Prefix;
  readonly destination: Prefix;
  /** By which a packet comes in, "lo" where this host sends it; undefined for any. */
  readonly input: string | undefined;
  /** "policy rule 100 from 250.0.28.0/24 to 250.0.0.0/8 (prohibit)" */
  readonly text: string;
}

/** The rows of `ip -json -4 rule show`, in the order in which the kernel asks them. */
export function readRules(): Promise<object[]> {
  return ipJson<RuleRow>(['-4', 'rule', 'show']);
}

export function parseDestinationRules(rows: readonly object[]): DestinationRule[] {
  return (rows as RuleRow[])
    .filter(({ dst }) => dst !== undefined && dst !== 'all')
    .map(({ priority = 0, dst, dstlen, table = '' }) => {
      return { priority, destination: prefix(dst, dstlen), table };
    });
}

export function parseRefusingRules(rows: readonly object[]): RefusingRule[] {
  return (rows as RuleRow[]).flatMap((row) => {
    const { priority = 0, action = '', iif: input } = row;
    if (!REFUSING.includes(action)) return [];
    const [source, destination] = [prefix(row.src, row.srclen), prefix(row.dst, row.dstlen)];
    const isNegated = row.not !== undefined;
    const words = [
      `policy rule ${priority}`,
      ...(isNegated ? ['not'] : []),
      ...(source.length > 0 ? [`from ${formatPrefix(source)}`] : []),
      ...(destination.length > 0 ? [`to ${formatPrefix(destination)}`] : []),
      ...(input === undefined ? [] : [`iif ${input}`]),
      `(${action})`,
    ];
    return [{ priority, action, isNegated, source, destination, input, text: words.join(' ') }];
  });
}

/** Whether the rule selects such a packet, as far as addresses and device tell. `input`: undefined where this host sends it. */
export function mayRefuse(rule: RefusingRule, source: number, destination: number, input?: string): boolean {
  const isSelected =
    contains(rule.source, source) &&
    contains(rule.destination, destination) &&
    (rule.input === undefined || rule.input === (input ?? 'lo'));
  return isSelected !== rule.isNegated;
}

function prefix(address: string | undefined, length = 32): Prefix {
  if (address === undefined || address === 'all') return { base: 0, length: 0 };
  return prefixOf(parseAddress(address), length);
}
