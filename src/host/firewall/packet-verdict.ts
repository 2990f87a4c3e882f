/**
 * Would the host's firewall drop this packet, or translate it (translation.ts)? Walks the chains of a hook as the kernel does, for a kind of packet
 * of which only some things are known.
 *
 * So a rule matches, doesn't, or may. One that may match decides nothing, but leaves a doubt where it would have
 * saved the packet from a later drop. Where it may because what it asks for could not be read, a drop of its own is
 * a doubt too. Pure; nft-verdict.ts and legacy-verdict.ts bring the rules of either kind.
 */
import { containsPrefix, overlaps, type Prefix } from '../../addr/prefix.js';

/** "maybe": some packets of the kind, or by things that no address tells; "unread": perhaps all of them. */
export type Match = 'yes' | 'no' | 'maybe' | 'unread';

/** A kind of packet: any of these addresses. */
export interface PacketKind {
  /** Devices by which it comes in and goes out; absent where it has none at that point. */
  readonly input?: string;
  readonly output?: string;
  readonly source: Prefix;
  readonly destination: Prefix;
  /** IANA's number. */
  readonly protocol: number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  /** Of connection tracking. */
  readonly state: 'new' | 'untracked' | 'invalid';
  /** Its destination is on another machine, or in a container; absent where that is not said. */
  readonly isForwarded?: true;
}

/** What NAT makes of the packet's source, or, at prerouting and output, its destination. */
export interface Translation {
  /** "10.0.0.1", "one of 10.0.0.1-10.0.0.9"; absent: the address of the device, or of this host. */
  readonly to?: string;
  /** The address stays what it is, whatever chains come later. */
  readonly keeps?: true;
}

export type Action =
  | { readonly kind: 'accept' | 'drop' | 'return' }
  | { readonly kind: 'jump' | 'goto'; readonly target: string }
  | { readonly kind: 'nat'; readonly translation: Translation };

export interface FirewallRule {
  matches(packet: PacketKind): Match;
  /** Absent: the rule only counts, logs or marks. */
  readonly action?: Action;
  /** By which the operator finds it. */
  readonly label: string;
  /** The command that takes it away. */
  readonly remedy: string;
  /** Networks and addresses that it names; of a range, the first. */
  readonly networks: readonly Prefix[];
  /** Devices that it asks for, by name; one that ends in "*" stands for all that begin so. */
  readonly devices: readonly string[];
  /** It asks for protocol 4. */
  readonly asksForIpip: boolean;
}

export interface FirewallChain {
  /** "chain ip filter FORWARD" */
  readonly label: string;
  readonly rules: readonly FirewallRule[];
}

/** A chain that the kernel calls by itself, with those of its table. */
export interface BaseChain extends FirewallChain {
  /** As nft names types: "filter", "nat", "route". */
  readonly type: string;
  /** As nft names hooks: "forward", "input", "ingress". */
  readonly hook: string;
  /** The lower, the earlier; linux/netfilter_ipv4.h. */
  readonly priority: number;
  readonly policy: 'accept' | 'drop';
  /** The command that makes it accept. */
  readonly policyRemedy: string;
  /** The command by which it accepts, before all its rules, what goes from device `input` to `output`. */
  admission(input: string, output: string): string;
  /** The command by which it leaves alone, before all its rules, what goes from network `source` to `destination`. */
  exemption(source: Prefix, destination: Prefix): string;
  /** Hook ingress: its devices. */
  readonly devices: readonly string[];
  readonly table: ReadonlyMap<string, FirewallChain>;
}

export interface Drop {
  /** "chain ip filter FORWARD (policy drop)" */
  readonly by: string;
  /** The command that ends it. */
  readonly remedy: string;
  /** False where a rule before it may have let the packet pass, or the rule itself could not be read. */
  readonly isSure: boolean;
  /** The rules that lead there, the one that drops last; none where it is the policy of a chain. */
  readonly trail: readonly FirewallRule[];
}

interface Dropped {
  readonly kind: 'drop';
  readonly by: string;
  readonly remedy: string;
  readonly trail: readonly FirewallRule[];
}

interface Translated {
  readonly kind: 'nat';
  readonly by: string;
  readonly translation: Translation;
}

export type Outcome = { readonly kind: 'accept' | 'end' } | Dropped | Translated;

const ACCEPTED: Outcome = { kind: 'accept' };
const AT_END: Outcome = { kind: 'end' };
/** The kernel refuses deeper nesting (NFT_JUMP_STACK_SIZE). */
const MOST_JUMPS = 16;
/** NF_IP_PRI_CONNTRACK: a packet that comes by a chain before has no state yet, which counts as invalid. */
const CONNTRACK = -200;
/** Of ours, at the latest: what is not to be tracked is called so from there on. */
const NOTRACK = -300;
const BEFORE_CONNTRACK = ['ingress', 'prerouting', 'output'];

/** The drop that a packet meets at `hook`, a sure one if there is any; undefined where it passes. */
export function findDrop(bases: readonly BaseChain[], hook: string, packet: PacketKind): Drop | undefined {
  const drops = findDrops(bases, hook, packet).map(({ drop }) => drop);
  return drops.find(({ isSure }) => isSure) ?? drops[0];
}

/** Every base chain at `hook` that drops the packet, or may: each has its say, so all of them must let it pass. */
export function findDrops(
  bases: readonly BaseChain[],
  hook: string,
  packet: PacketKind,
): { base: BaseChain; drop: Drop }[] {
  return bases
    .filter((base) => base.hook === hook && isOnDevice(base, packet))
    .flatMap((base) => {
      const drop = judge(base, packet);
      return drop ? [{ base, drop }] : [];
    });
}

function isOnDevice({ hook, devices }: BaseChain, { input, output }: PacketKind): boolean {
  if (hook !== 'ingress' && hook !== 'egress') return true;
  return devices.includes((hook === 'ingress' ? input : output) ?? '');
}

/** Whatever the rules at `hooks` name inside `network`, each once, at most `most`. */
export function networksInside(
  bases: readonly BaseChain[],
  hooks: readonly string[],
  network: Prefix,
  most: number,
): Prefix[] {
  const found = new Map<string, Prefix>();
  const tables = new Set(bases.filter(({ hook }) => hooks.includes(hook)).map(({ table }) => table));
  for (const table of tables) {
    for (const { rules } of table.values()) {
      for (const named of rules.flatMap(({ networks }) => networks)) {
        if (found.size === most) return [...found.values()];
        if (named.length > network.length && containsPrefix(network, named))
          found.set(`${named.base}/${named.length}`, named);
      }
    }
  }
  return [...found.values()];
}

function judge(base: BaseChain, packet: PacketKind): Drop | undefined {
  const { outcome, doubt } = pass(base, packet);
  const isSure = !doubt.isThere;
  if (outcome.kind === 'drop') return dropOf(outcome, isSure);
  if (outcome.kind === 'end' && base.policy === 'drop')
    return { by: `${base.label} (policy drop)`, remedy: base.policyRemedy, isSure, trail: [] };
  return doubt.drop && dropOf(doubt.drop, false);
}

function dropOf({ by, remedy, trail }: Dropped, isSure: boolean): Drop {
  return { by, remedy, isSure, trail };
}

/** What becomes of the packet in a base chain, and what is not sure of that. */
export function pass(base: BaseChain, packet: PacketKind): { outcome: Outcome; doubt: Doubt } {
  const doubt: Doubt = { isThere: false };
  return { outcome: walk(base.table, base, asSeenBy(base, packet), doubt, 0), doubt };
}

function asSeenBy({ hook, priority }: BaseChain, packet: PacketKind): PacketKind {
  const known = packet.state === 'untracked' ? NOTRACK : CONNTRACK;
  const isEarly = BEFORE_CONNTRACK.includes(hook) && (priority < known || hook === 'ingress');
  return isEarly ? { ...packet, state: 'invalid' } : packet;
}

/** What is not sure of a walk. */
export interface Doubt {
  /** A rule was met that may have let the packet pass. */
  isThere: boolean;
  /** Of a rule that could not be read. */
  drop?: Dropped;
  /** Of a rule that translates addresses and may match. */
  nat?: Translated;
}

function walk(
  table: ReadonlyMap<string, FirewallChain>,
  chain: FirewallChain,
  packet: PacketKind,
  doubt: Doubt,
  depth: number,
): Outcome {
  for (const rule of chain.rules) {
    const match = rule.action ? rule.matches(packet) : 'no';
    if (match === 'no' || !rule.action) continue;
    const aside: Doubt = match === 'yes' ? doubt : { isThere: false };
    const by = `${chain.label} (${rule.label})`;
    const drop: Dropped = { kind: 'drop', by, remedy: rule.remedy, trail: [rule] };
    const outcome = follow(rule.action, drop, (target) => {
      const next = depth < MOST_JUMPS ? table.get(target) : undefined;
      return next ? behind(rule, walk(table, next, packet, aside, depth + 1)) : AT_END;
    });
    const isFinal = rule.action.kind !== 'jump' || outcome.kind !== 'end';
    if (match === 'yes') {
      if (isFinal) return outcome;
      continue;
    }
    if (aside.isThere || (isFinal && outcome.kind !== 'drop')) doubt.isThere = true;
    const unread = outcome.kind === 'drop' ? outcome : aside.drop;
    if (match === 'unread' && unread) doubt.drop ??= unread;
    const nat = outcome.kind === 'nat' ? outcome : aside.nat;
    if (nat) doubt.nat ??= nat;
  }
  return AT_END;
}

function behind(rule: FirewallRule, outcome: Outcome): Outcome {
  return outcome.kind === 'drop' ? { ...outcome, trail: [rule, ...outcome.trail] } : outcome;
}

function follow(action: Action, drop: Dropped, into: (target: string) => Outcome): Outcome {
  if ('target' in action) return into(action.target);
  if (action.kind === 'drop') return drop;
  if (action.kind === 'nat') return { kind: 'nat', by: drop.by, translation: action.translation };
  return action.kind === 'accept' ? ACCEPTED : AT_END;
}

/** What both must match. */
export function both(a: Match, b: Match): Match {
  return least([a, b], ['no', 'maybe', 'unread']) ?? 'yes';
}

export function either(matches: readonly Match[]): Match {
  return least(matches, ['yes', 'unread', 'maybe']) ?? 'no';
}

function least(matches: readonly Match[], order: readonly Match[]): Match | undefined {
  return order.find((one) => matches.includes(one));
}

export function not(match: Match): Match {
  if (match === 'yes') return 'no';
  return match === 'no' ? 'yes' : match;
}

export function isExactly(equal: boolean): Match {
  return equal ? 'yes' : 'no';
}

/** Whether the packet's addresses are in what the rule says. */
export function isWithin(packet: Prefix, rule: Prefix): Match {
  if (containsPrefix(rule, packet)) return 'yes';
  return overlaps(rule, packet) ? 'maybe' : 'no';
}

/** `pattern` ends in `wildcard` ("*" of nft, "+" of iptables) where it stands for all names that begin so. */
export function isNamed(device: string | undefined, pattern: string, wildcard: string): Match {
  if (device === undefined) return 'no';
  if (!pattern.endsWith(wildcard)) return isExactly(device === pattern);
  return isExactly(device.startsWith(pattern.slice(0, -1)));
}

/**
 * Protocols by number, or by the names that iptables prints, which are those of /etc/protocols: "ipip" there is 94, a
 * protocol of its own (IANA: IP-within-IP). Any other name is none that a fan's packets have.
 */
export function protocolNumber(name: string | number): number {
  if (typeof name === 'number') return name;
  const known = new Map([
    ['icmp', 1],
    ['ipencap', 4],
    ['ipv4', 4],
    ['tcp', 6],
    ['udp', 17],
    ['dccp', 33],
    ['ipip', 94],
  ]);
  return known.get(name) ?? (/^\d+$/.test(name) ? Number(name) : -1);
}
