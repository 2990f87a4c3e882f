/**
 * The way that the kernel would choose for one packet, now: route, next hop, and what is known of that neighbour
 * (`ip -json route get`, `ip -json neighbour`). Reads only.
 */
import { parseAddress } from '../addr/ipv4-address.js';
import { contains, formatPrefix } from '../addr/prefix.js';
import { errorText, FanError } from '../base/error.js';
import { mayRefuse, parseRefusingRules, readRules } from './policy-rules.js';
import { readRoutes } from './routes.js';
import { ipJson } from './run.js';

/** What the kernel answers where a route of that type, or a rule, takes the packet. */
const REFUSALS: Readonly<Record<string, string>> = {
  'Invalid argument': 'blackhole',
  'No route to host': 'unreachable',
  'Permission denied': 'prohibit',
  'Network is unreachable': 'throw',
};

export interface Route {
  readonly device: string;
  /** The source that it leaves with. */
  readonly source: string;
  /** The router, or the destination itself where it is on the link. */
  readonly nextHop: string;
  readonly onLink: boolean;
  /** What the route says of its MTU, learnt by the kernel or set by hand; null where it says nothing. */
  readonly mtu: number | null;
}

export interface Neighbour {
  readonly address: string;
  /** As the kernel calls it: REACHABLE, STALE, FAILED, …; NONE where it has not been asked for yet. */
  readonly state: string;
  /** Hardware address, "02:fa:…"; null where it is not known. */
  readonly mac: string | null;
}

/** A packet to be routed. */
export interface RouteQuestion {
  readonly destination: string;
  /** An address of this host, unless the packet is one to forward. */
  readonly source: string;
  /** The device that a packet to forward came in by; undefined for one that this host sends. */
  readonly input?: string | undefined;
}

interface RouteRow {
  type?: string;
  dst?: string;
  dev?: string;
  table?: string;
  nexthops?: { dev?: string; gateway?: string }[];
  gateway?: string;
  prefsrc?: string;
  metrics?: { mtu?: number }[];
}

interface NeighbourRow {
  dst?: string;
  lladdr?: string;
  state?: string[];
}

/** The route of a packet, or undefined where none leads there or the kernel refuses it. */
export async function lookUpRoute(question: RouteQuestion): Promise<Route | undefined> {
  const { destination, source } = question;
  const row = await get(question);
  if (row instanceof FanError || row?.dev === undefined) return undefined;
  return {
    device: row.dev,
    source: row.prefsrc ?? source,
    nextHop: row.gateway ?? destination,
    onLink: row.gateway === undefined,
    mtu: row.metrics?.find(({ mtu }) => mtu !== undefined)?.mtu ?? null,
  };
}

/**
 * What decides on a packet, in words: "route 250.0.27.0/24 via 172.30.0.99 dev eth0, table 77", "route 250.0.27.2/32
 * (blackhole)", "policy rule 100 from 250.0.28.0/24 (prohibit)". Undefined where nothing leads there.
 */
export async function describeMatch(question: RouteQuestion): Promise<string | undefined> {
  const row = await get(question, 'fibmatch');
  if (row instanceof FanError) return describeRefusal(question, errorText(row));
  if (row?.dst === undefined) return undefined;
  const hops = (row.nexthops ?? [row]).map(({ gateway, dev }) => {
    return `${gateway === undefined ? '' : `via ${gateway} `}dev ${dev ?? '?'}`;
  });
  const table = row.table === undefined || row.table === 'main' ? '' : `, table ${row.table}`;
  return `route ${row.dst} ${hops.join(' and ')}${table}`;
}

async function describeRefusal(question: RouteQuestion, text: string): Promise<string | undefined> {
  const type = Object.entries(REFUSALS).find(([said]) => text.includes(said))?.[1];
  if (type === undefined) return undefined;
  const [address, source] = [parseAddress(question.destination), parseAddress(question.source)];
  // A rule says "unreachable" as a route says "throw": of the network.
  const action = type === 'throw' ? 'unreachable' : type;
  const rule = parseRefusingRules(await readRules()).find(
    (each) => each.action === action && mayRefuse(each, source, address, question.input),
  );
  if (rule) return rule.text;
  const [longest] = (await readRoutes())
    .filter((route) => route.device === type && contains(route.destination, address))
    .sort((a, b) => b.destination.length - a.destination.length);
  if (longest) return `route ${formatPrefix(longest.destination)} (${type})`;
  return type === 'throw' ? undefined : `a policy rule (${type})`;
}

/** The kernel's answer, its refusal as an error: "Network is unreachable" and its like. */
async function get(
  { destination, source, input }: RouteQuestion,
  ...words: string[]
): Promise<RouteRow | FanError | undefined> {
  const by = input === undefined ? [] : ['iif', input];
  try {
    const args = ['-4', 'route', 'get', ...words, destination, 'from', source, ...by];
    return (await ipJson<RouteRow>(args))[0];
  } catch (error) {
    // A missing program is another matter.
    if (error instanceof FanError && error.code === 'step-failed') return error;
    throw error;
  }
}

export async function readNeighbour(address: string, device: string): Promise<Neighbour> {
  const rows = await ipJson<NeighbourRow>(['-4', 'neighbour', 'show', 'to', address, 'dev', device]);
  const row = rows.find(({ dst }) => dst === address);
  return { address, state: row?.state?.join(' ') ?? 'NONE', mac: row?.lladdr ?? null };
}
