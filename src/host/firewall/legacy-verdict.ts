/**
 * The old iptables' rules as packet-verdict.ts walks them, from `iptables-legacy -S` of each table.
 * An option that is not known here may match.
 */
import { parseAddress } from '../../addr/ipv4-address.js';
import { formatPrefix, type Prefix, prefixOf } from '../../addr/prefix.js';
import { legacyListing } from './legacy.js';
import { NAT_TARGETS } from './nft-nat.js';
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
  '--dst-type': ({ isForwarded }, value) => (isForwarded ? isExactly(value === 'UNICAST') : 'maybe'),
  '--ctstate': ({ state }, value) => isExactly(value.toLowerCase().split(',').includes(state)),
  '--state': ({ state }, value) => isExactly(value.toLowerCase().split(',').includes(state)),
  '--sport': ({ sourcePort }, value) => isPort(sourcePort, value),
  '--dport': ({ destinationPort }, value) => isPort(destinationPort, value),
};
/** Options that name a network, or a device. */
const NETWORKS = ['-s', '-d'];
const DEVICES = ['-i', '-o'];
const IPIP = 4;

/** Tables in the order of their hooks, each with its priority (linux/netfilter_ipv4.h). */
const TABLES: readonly (readonly [string, number])[] = [
  ['raw', -300],
  ['mangle', -150],
  ['nat', -100],
  ['filter', 0],
];
/** Where the table nat translates sources. */
const SOURCE_NAT = { chains: ['POSTROUTING', 'INPUT'], priority: 100 } as const;

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
  const listed = TABLES.map(async ([table, priority]) =>
    legacyBases(await legacyListing(table), table, priority),
  );
  return (await Promise.all(listed)).flat();
}

/** The text of `iptables-legacy -t table -S`. */
export function legacyBases(text: string, tableName = 'filter', priority = 0): BaseChain[] {
  const lines = text.split('\n').map(wordsOf);
  const table = new Map<string, FirewallChain & { rules: FirewallRule[] }>();
  const policies: [string, string][] = [];
  const inTable = tableName === 'filter' ? '' : ` -t ${tableName}`;
  for (const [what, name = '', ...rest] of lines) {
    if (what === '-P') policies.push([name, rest[0] ?? '']);
    if (what === '-P' || what === '-N')
      table.set(name, { label: `iptables-legacy${inTable} chain ${name}`, rules: [] });
    const at = (table.get(name)?.rules.length ?? 0) + 1;
    if (what === '-A')
      table.get(name)?.rules.push(ruleOf(rest, at, `iptables-legacy${inTable} -D ${name} ${at}`));
  }
  return policies.map(([name, policy]) => ({
    ...table.get(name)!,
    type: tableName === 'nat' ? 'nat' : 'filter',
    hook: name.toLowerCase(),
    priority: tableName === 'nat' && isOfSources(name) ? SOURCE_NAT.priority : priority,
    policy: policy === 'DROP' ? 'drop' : 'accept',
    policyRemedy: `iptables-legacy${inTable} -P ${name} ACCEPT`,
    admission: (input, output) => `iptables-legacy${inTable} -I ${name} -i ${input} -o ${output} -j ACCEPT`,
    exemption: (source, destination) =>
      `iptables-legacy${inTable} -I ${name} -s ${formatPrefix(source)} -d ${formatPrefix(destination)} -j ACCEPT`,
    devices: [],
    table,
  }));
}

function isOfSources(chain: string): boolean {
  return (SOURCE_NAT.chains as readonly string[]).includes(chain);
}

function wordsOf(line: string): string[] {
  return [...line.matchAll(WORD)].map(([, quoted, plain]) => quoted ?? plain ?? '');
}

function ruleOf(words: readonly string[], at: number, remedy: string): FirewallRule {
  const networks: Prefix[] = [];
  const tests: ((packet: PacketKind) => Match)[] = [];
  const devices: string[] = [];
  let asksForIpip = false;
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
      const jump = { kind: word === '-j' ? 'jump' : 'goto', target: value } as const;
      action = TARGETS[value] ?? translate(value, words.slice(i + 2)) ?? jump;
      break; // What follows are the target's own options.
    }
    if (!word.startsWith('-')) continue;
    if (NETWORKS.includes(word)) networks.push(parseNetwork(value));
    if (DEVICES.includes(word) && !isNegated) devices.push(value.replace(/\+$/, '*'));
    if (word === '-p' && !isNegated) asksForIpip ||= protocolNumber(value) === IPIP;
    const test = TESTS[word] ?? UNKNOWN;
    const wanted = isNegated ? not : (match: Match) => match;
    tests.push((packet) => wanted(test(packet, value)));
    isNegated = false;
  }
  const matches = (packet: PacketKind) => tests.map((test) => test(packet)).reduce(both, 'yes');
  const names = { networks, devices, asksForIpip };
  return { matches, label: `rule ${at}`, remedy, ...names, ...(action ? { action } : {}) };
}

/** Of `-j SNAT --to-source 10.0.0.1` and its like; without an address (MASQUERADE, `--to-ports`) it is the device's. */
function translate(target: string, options: readonly string[]): Action | undefined {
  if (!NAT_TARGETS.includes(target)) return undefined;
  const words = options.join(' ');
  const [, to] = /--to(?:-source|-destination)? (\d+\.[\d.]+)/.exec(words) ?? [];
  return { kind: 'nat', translation: to === undefined ? {} : { to } };
}

function isPort(port: number | undefined, value: string): Match {
  return port === undefined || !/^\d+$/.test(value) ? 'maybe' : isExactly(port === Number(value));
}

function parseNetwork(text: string): Prefix {
  const [address = '', length = '32'] = text.split('/');
  return prefixOf(parseAddress(address), Number(length));
}
