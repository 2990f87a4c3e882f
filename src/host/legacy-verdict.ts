/**
 * The old iptables' rules as packet-verdict.ts walks them, from `iptables-legacy -S` (its filter table).
 * An option that is not known here may match.
 */
import { parseAddress } from '../addr/ipv4-address.js';
import { type Prefix, prefixOf } from '../addr/prefix.js';
import { legacyListing } from './firewall-legacy.js';
import {
  type Action,
  type BaseChain,
  both,
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

type Test = (packet: PacketKind, value: string) => Match;

/** Words of a rule; a comment may hold blanks, in quotes. */
const WORD = /"((?:[^"\\]|\\.)*)"|(\S+)/g;

/** Options that say nothing by themselves. */
const SILENT: Test = () => 'yes';
const UNKNOWN: Test = () => 'maybe';

const TESTS: Readonly<Record<string, Test>> = {
  '-i': ({ input }, value) => isNamed(input, value, '+'),
  '-o': ({ output }, value) => isNamed(output, value, '+'),
  '-s': ({ source }, value) => isWithin(source, parseNetwork(value)),
  '-d': ({ destination }, value) => isWithin(destination, parseNetwork(value)),
  '-p': ({ protocol }, value) => isExactly(protocolNumber(value) === protocol),
  '-m': SILENT,
  '--comment': SILENT,
  '--ctstate': ({ state }, value) => isExactly(value.toLowerCase().split(',').includes(state)),
  '--state': ({ state }, value) => isExactly(value.toLowerCase().split(',').includes(state)),
  '--dport': ({ destinationPort }, value) =>
    destinationPort === undefined || !/^\d+$/.test(value)
      ? 'maybe'
      : isExactly(destinationPort === Number(value)),
};

const TARGETS: Readonly<Record<string, Action>> = {
  ACCEPT: { kind: 'accept' },
  QUEUE: { kind: 'accept' },
  NFQUEUE: { kind: 'accept' },
  DROP: { kind: 'drop' },
  REJECT: { kind: 'drop' },
  RETURN: { kind: 'return' },
};

/** The base chains of the old iptables on this host; none where it is not in use. */
export async function readLegacyBases(): Promise<BaseChain[]> {
  return legacyBases(await legacyListing());
}

/** The text of `iptables-legacy -S`. */
export function legacyBases(text: string): BaseChain[] {
  const lines = text.split('\n').map(wordsOf);
  const table = new Map<string, FirewallChain & { rules: FirewallRule[] }>();
  const policies: [string, string][] = [];
  for (const [what, name = '', ...rest] of lines) {
    if (what === '-P') policies.push([name, rest[0] ?? '']);
    if (what === '-P' || what === '-N')
      table.set(name, { label: `iptables-legacy chain ${name}`, rules: [] });
    if (what === '-A') table.get(name)?.rules.push(ruleOf(name, rest, table.get(name)?.rules.length ?? 0));
  }
  return policies.map(([name, policy]) => ({
    ...table.get(name)!,
    hook: name.toLowerCase(),
    policy: policy === 'DROP' ? 'drop' : 'accept',
    policyRemedy: `iptables-legacy -P ${name} ACCEPT`,
    devices: [],
    table,
  }));
}

function wordsOf(line: string): string[] {
  return [...line.matchAll(WORD)].map(([, quoted, plain]) => quoted ?? plain ?? '');
}

function ruleOf(chain: string, words: readonly string[], at: number): FirewallRule {
  const tests: ((packet: PacketKind) => Match)[] = [];
  let action: Action | undefined;
  let isNegated = false;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (word === '!') {
      isNegated = true;
      continue;
    }
    const value = words[i + 1] ?? '';
    if (word === '-j' || word === '-g') {
      action = TARGETS[value] ?? { kind: word === '-j' ? 'jump' : 'goto', target: value };
      break; // What follows are the target's own options.
    }
    if (!word.startsWith('-')) continue;
    const test = TESTS[word] ?? UNKNOWN;
    const wanted = isNegated ? not : (match: Match) => match;
    tests.push((packet) => wanted(test(packet, value)));
    isNegated = false;
  }
  const matches = (packet: PacketKind) => tests.map((test) => test(packet)).reduce(both, 'yes');
  const remedy = `iptables-legacy -D ${chain} ${at + 1}`;
  return { matches, label: `rule ${at + 1}`, remedy, ...(action ? { action } : {}) };
}

function parseNetwork(text: string): Prefix {
  const [address = '', length = '32'] = text.split('/');
  return prefixOf(parseAddress(address), Number(length));
}
