/**
 * Whether a statement of nftables' matches a kind of packet (libnftables-json(5), "match", "vmap"), with the sets and
 * maps that it names. What is not understood, such as a mark or a limit, may match.
 */
import { parseAddress } from '../../addr/ipv4-address.js';
import { type Prefix, prefixOf } from '../../addr/prefix.js';
import {
  both,
  either,
  isExactly,
  isNamed,
  type Match,
  not,
  type PacketKind,
  protocolNumber,
} from './packet-verdict.js';

export type Json = Readonly<Record<string, unknown>>;
/** First and last address, u32 each. */
type Range = readonly [number, number];

/** What stands beside a rule: its table's sets and maps, and the states that its xt match asks for. */
export interface Beside {
  /** By name; elements as libnftables gives them, [key, verdict] of a map. */
  readonly sets: ReadonlyMap<string, readonly unknown[]>;
  readonly states: readonly string[] | undefined;
  /** What kind of destination its xt match asks for ("local"), after "!=" where it must be none of it. */
  readonly destinationType: string | undefined;
}

/** Statements that let some packets pass, and not others. */
const METERS = ['limit', 'ct count', 'quota'];
const XT_STATES = ['conntrack', 'state'];
const ADDRESS = /^\d+\.\d+\.\d+\.\d+$/;
const DEVICE_KEYS = ['iifname', 'iif', 'oifname', 'oif'];
const IPIP = 4;
/** In the place of an element: whatever no other one is. */
const CATCH_ALL = '*';

/** Of each list of elements, as ranges that neither overlap nor touch, in order; undefined: not all are addresses. */
const rangesOf = new WeakMap<readonly unknown[], readonly Range[] | undefined>();

function isXtState({ xt }: Json): boolean {
  const { type, name } = (xt ?? {}) as Json;
  return type === 'match' && XT_STATES.includes(String(name));
}

/** What the packet's destination is to this host: one of another machine is not "local". */
function isDestinationType(wanted: string, { isForwarded }: PacketKind): Match {
  return isForwarded ? isExactly(wanted === 'unicast') : 'maybe';
}

export function matchOf(statement: Json, packet: PacketKind, beside: Beside): Match {
  if (METERS.some((key) => key in statement) || hasMeter(statement)) return 'maybe';
  if ('xt' in statement) {
    const { states, destinationType } = beside;
    if (isXtState(statement)) return states ? isExactly(states.includes(packet.state)) : 'maybe';
    if ((statement.xt as Json).name === 'addrtype' && destinationType !== undefined) {
      const [, isNegated, wanted = ''] = /^(!= )?(\w+)$/.exec(destinationType) ?? [];
      const match = isDestinationType(wanted, packet);
      return isNegated ? not(match) : match;
    }
    return (statement.xt as Json).type === 'match' ? 'maybe' : 'yes';
  }
  if (!('match' in statement)) return 'yes';
  const { op, left, right } = statement.match as Json;
  const equal = compare(left as Json, right, packet, beside);
  if (op === '==' || op === 'in') return equal;
  return op === '!=' ? not(equal) : 'maybe';
}

/** What each element is metered by that the statement puts into a set. */
function hasMeter({ set, meter }: Json): boolean {
  const { stmt } = (set ?? meter ?? {}) as Json;
  const inner = stmt === undefined ? [] : [stmt].flat();
  return inner.some((one) => METERS.some((key) => key in (one as object)));
}

/** Whether what `left` reads of the packet is (among) `right`. */
export function compare(left: Json, right: unknown, packet: PacketKind, beside: Beside): Match {
  const options = optionsOf(right, beside);
  if (!options) return 'unread';
  if (options.some((option) => unwrap(option) === CATCH_ALL)) return 'yes';
  const addresses = addressesAt(left, packet);
  if (addresses) return compareAddresses(addresses, options);
  return either(options.map((option) => compareOne(left, unwrap(option), packet)));
}

/** [key, value] of each element of a map, of verdicts or of anything; undefined where it could not be read. */
export function elementsOf(data: unknown, beside: Beside): [unknown, Json][] | undefined {
  return optionsOf(data, beside) as [unknown, Json][] | undefined;
}

/** Networks and addresses anywhere in an expression, and in the sets that it names. */
export function networksIn(node: unknown, beside: Beside): Prefix[] {
  if (typeof node === 'string') {
    if (node.startsWith('@')) return networksIn(beside.sets.get(node.slice(1)), beside);
    return ADDRESS.test(node) ? [prefixOf(parseAddress(node), 32)] : [];
  }
  if (typeof node !== 'object' || node === null) return [];
  const { prefix, range } = node as Json;
  if (prefix !== undefined) return networkOf(prefix as Json) ?? [];
  if (Array.isArray(range)) return networksIn(range[0], beside);
  return Object.values(node).flatMap((value) => networksIn(value, beside));
}

/** Devices that a statement asks for by name. */
export function devicesIn(statement: Json, beside: Beside): string[] {
  const { left, options } = askedBy(statement, beside);
  return devicesAt(left, options);
}

/** Those of `options` that are names of devices, where `left` reads one. */
export function devicesAt({ meta }: Json, options: readonly unknown[]): string[] {
  const { key } = (meta ?? {}) as Json;
  if (!DEVICE_KEYS.includes(String(key))) return [];
  return options.map(unwrap).filter((option) => typeof option === 'string');
}

/** Whether a statement asks for protocol 4. */
export function asksForIpip(statement: Json, beside: Beside): boolean {
  const { left, options } = askedBy(statement, beside);
  const { meta, payload } = left as { meta?: Json; payload?: Json };
  const isProtocol = meta?.key === 'l4proto' || (payload?.protocol === 'ip' && payload.field === 'protocol');
  return isProtocol && options.some((option) => protocolNumber(unwrap(option) as string) === IPIP);
}

/** What it reads of the packet, and what that must be (one of); nothing where that must not be. */
function askedBy(statement: Json, beside: Beside): { left: Json; options: readonly unknown[] } {
  const { op, left, right } = (statement.match ?? {}) as Json;
  const asks = op === '==' || op === 'in';
  return { left: (left ?? {}) as Json, options: asks ? (optionsOf(right, beside) ?? []) : [] };
}

function networkOf({ addr, len }: Json): Prefix[] | undefined {
  if (!ADDRESS.test(String(addr)) || typeof len !== 'number') return undefined;
  return [prefixOf(parseAddress(String(addr)), len)];
}

/** Undefined for a set that is not there. */
function optionsOf(right: unknown, { sets }: Beside): readonly unknown[] | undefined {
  if (typeof right === 'string' && right.startsWith('@')) return sets.get(right.slice(1));
  if (Array.isArray(right)) return right;
  const { set } = (typeof right === 'object' && right !== null ? right : {}) as Json;
  if (set === undefined) return [right];
  return Array.isArray(set) ? set : [set];
}

/** Elements with a timeout or a counter come wrapped. */
function unwrap(element: unknown): unknown {
  const { elem } = (typeof element === 'object' && element !== null ? element : {}) as Json;
  return elem === undefined ? element : (elem as Json).val;
}

function compareOne(left: Json, value: unknown, packet: PacketKind): Match {
  const { meta, payload, ct, concat, fib } = left;
  if (concat) return compareAll(concat as Json[], value, packet);
  const addresses = addressesAt(left, packet);
  if (addresses) return compareAddresses(addresses, [value]);
  if (meta) return compareMeta(String((meta as Json).key), value, packet);
  if (ct) return (ct as Json).key === 'state' ? isExactly(value === packet.state) : 'maybe';
  if (fib && isOfDestination(fib as Json)) return isDestinationType(String(value), packet);
  if (payload) return comparePayload(payload as Json, value, packet);
  return 'maybe';
}

/** `fib daddr type`, whatever device it asks of besides. */
function isOfDestination({ result, flags }: Json): boolean {
  return result === 'type' && [flags].flat().includes('daddr');
}

/** Fields that are written with dots between, each with its part of the element. */
function compareAll(fields: readonly Json[], value: unknown, packet: PacketKind): Match {
  const { concat: parts } = (typeof value === 'object' && value !== null ? value : {}) as Json;
  if (!Array.isArray(parts) || parts.length !== fields.length) return 'unread';
  return fields.map((field, i) => compareOne(field, parts[i], packet)).reduce(both, 'yes');
}

function compareMeta(key: string, value: unknown, packet: PacketKind): Match {
  if (key === 'iifname' || key === 'iif') return isNamed(packet.input, String(value), '*');
  if (key === 'oifname' || key === 'oif') return isNamed(packet.output, String(value), '*');
  if (key === 'l4proto') return isExactly(protocolNumber(value as string) === packet.protocol);
  if (key === 'nfproto') return isExactly(value === 'ipv4');
  if (key === 'protocol') return isExactly(value === 'ip');
  return 'maybe';
}

function comparePayload({ protocol, field }: Json, value: unknown, packet: PacketKind): Match {
  if (typeof protocol !== 'string') return 'maybe';
  if (protocol === 'ip')
    return field === 'protocol' ? isExactly(protocolNumber(value as string) === packet.protocol) : 'maybe';
  if (protocol === 'ether' || protocol === 'vlan') return 'maybe';
  if (protocol !== 'th' && protocolNumber(protocol) !== packet.protocol) return 'no';
  const port = portAt(field, packet);
  return port === undefined ? 'maybe' : comparePort(port, value);
}

function portAt(field: unknown, { sourcePort, destinationPort }: PacketKind): number | undefined {
  if (field === 'sport') return sourcePort;
  return field === 'dport' ? destinationPort : undefined;
}

function comparePort(port: number, value: unknown): Match {
  if (typeof value === 'number') return isExactly(port === value);
  const { range } = (typeof value === 'object' && value !== null ? value : {}) as Json;
  if (!Array.isArray(range)) return 'maybe';
  return isExactly(Number(range[0]) <= port && port <= Number(range[1]));
}

/** The packet's addresses where `left` reads one of them. */
function addressesAt({ payload }: Json, { source, destination }: PacketKind): Prefix | undefined {
  const { protocol, field } = (payload ?? {}) as Json;
  if (protocol !== 'ip') return undefined;
  if (field === 'saddr') return source;
  return field === 'daddr' ? destination : undefined;
}

function compareAddresses({ base, length }: Prefix, options: readonly unknown[]): Match {
  if (!rangesOf.has(options)) rangesOf.set(options, mergedRanges(options));
  const ranges = rangesOf.get(options);
  if (!ranges) return 'unread';
  const end = base + 2 ** (32 - length) - 1;
  if (ranges.some(([first, last]) => first <= base && end <= last)) return 'yes';
  return ranges.some(([first, last]) => first <= end && base <= last) ? 'maybe' : 'no';
}

function mergedRanges(options: readonly unknown[]): Range[] | undefined {
  const ranges = options.map((option) => rangeOf(unwrap(option)));
  if (ranges.includes(undefined)) return undefined;
  const merged: [number, number][] = [];
  for (const [first, last] of (ranges as Range[]).sort((a, b) => a[0] - b[0])) {
    const before = merged.at(-1);
    if (before && first <= before[1] + 1) before[1] = Math.max(before[1], last);
    else merged.push([first, last]);
  }
  return merged;
}

function rangeOf(value: unknown): Range | undefined {
  if (typeof value === 'string' && ADDRESS.test(value)) return [parseAddress(value), parseAddress(value)];
  const { prefix, range } = (typeof value === 'object' && value !== null ? value : {}) as Json;
  const [network] = prefix === undefined ? [] : (networkOf(prefix as Json) ?? []);
  if (network) return [network.base, network.base + 2 ** (32 - network.length) - 1];
  const [first, last] = Array.isArray(range) ? range.map(String) : [];
  if (!ADDRESS.test(first ?? '') || !ADDRESS.test(last ?? '')) return undefined;
  return [parseAddress(first!), parseAddress(last!)];
}
