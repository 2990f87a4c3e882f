/**
 * forward-drop: does the firewall drop what containers send to those of other hosts, or what these send back? Between
 * bridge and TUN a packet passes prerouting, forward and postrouting, and before and after them its devices' own hooks,
 * whatever the io: a kernel program at the TUN comes behind all of them.
 *
 * Asked is for any container; then for those addresses alone that a rule names, as Docker since 28 has one that drops what
 * comes to a container's address by another device than the container's bridge.
 */
import { formatAddress } from '../../addr/ipv4-address.js';
import { broadcastOf, containsPrefix, formatPrefix, type Prefix } from '../../addr/prefix.js';
import {
  type BaseChain,
  type Drop,
  networksInside,
  type PacketKind,
} from '../../host/firewall/packet-verdict.js';
import type { FanPlan } from '../../host/steps/fan-steps.js';
import { dropAmong, judged, surest } from './drop-finding.js';
import { type Check, type Finding, ok, warn } from './finding.js';

/** Those that stand for all that containers send. */
export const PROTOCOLS: readonly (readonly [string, number])[] = [
  ['ICMP', 1],
  ['TCP', 6],
  ['UDP', 17],
];
/** The hooks of a forwarded packet, in order, each with the devices that rules see there. */
const HOOKS: readonly (readonly [string, readonly ('input' | 'output')[]])[] = [
  ['ingress', ['input']],
  ['prerouting', ['input']],
  ['forward', ['input', 'output']],
  ['postrouting', ['input', 'output']],
  ['egress', ['output']],
];
const HOOK_NAMES = HOOKS.map(([hook]) => hook);
/** More addresses than these tell nothing more. */
const MOST_NETWORKS = 64;
/** As many are written out. */
const MOST_SHOWN = 3;

/** From device to device, between any of these addresses. */
export interface Way {
  readonly input: string;
  readonly output: string;
  readonly source: Prefix;
  readonly destination: Prefix;
  readonly direction: 'out' | 'in';
  /** What connection tracking says of its first packet. */
  readonly state: TrackedState;
}

type TrackedState = 'new' | 'untracked';

export const forwardDrop: Check = {
  name: 'forward-drop',
  severity: 'critical',
  examine: async (patient) => {
    const bases = await patient.firewall();
    return patient.eachFan(async ({ plan }) => examineForward(bases, plan));
  },
};

/** What the fan's packets meet between bridge and TUN, both ways: what is dropped, or one finding that nothing is. */
export function examineForward(bases: readonly BaseChain[], plan: FanPlan): Finding[] {
  const { bridge, tun, mapping } = plan;
  const { slice, overlay, gateway } = mapping;
  const named = networksInside(bases, HOOK_NAMES, overlay, MOST_NETWORKS);
  const remote = named.filter((network) => !containsPrefix(slice, network));
  const local = named.filter(
    (network) => containsPrefix(slice, network) && isOfContainer(network, slice, gateway + plan.hostReserve),
  );
  const [out, back] = containerWays(plan, overlay);
  const found = [
    ...examineWay(bases, out, local, remote).map((finding) => ({ ...finding, direction: out.direction })),
    ...examineWay(bases, back, remote, local).map((finding) => ({ ...finding, direction: back.direction })),
  ];
  return found.length > 0 ? found : [ok(`no chain drops what goes between ${bridge} and ${tun}`)];
}

/** Between the containers of this host and those of `remote`, a network of the overlay: there, and back. */
export function containerWays(plan: FanPlan, remote: Prefix): [Way, Way] {
  const { bridge, tun, mapping } = plan;
  const { slice } = mapping;
  const state = forwardedState(plan);
  return [
    { input: bridge, output: tun, source: slice, destination: remote, direction: 'out', state },
    { input: tun, output: bridge, source: remote, destination: slice, direction: 'in', state },
  ];
}

/** Of a packet between a container of this host and one of another. */
export function forwardedState({ notrack }: FanPlan): TrackedState {
  return notrack ? 'untracked' : 'new';
}

/** Neither the host's own, nor the slice's network or broadcast address. */
function isOfContainer({ base, length }: Prefix, slice: Prefix, first: number): boolean {
  return length < 32 || (base >= first && base < broadcastOf(slice));
}

function examineWay(
  bases: readonly BaseChain[],
  way: Way,
  sources: readonly Prefix[],
  destinations: readonly Prefix[],
): Finding[] {
  const whole = findWayDrop(bases, way);
  if (whole) return [whole.finding];
  return [
    // Nobody on another host reaches these, which no policy asks for; of the rest one may mean it.
    ...examineSome(bases, way, 'destination', destinations, way.direction === 'in'),
    ...examineSome(bases, way, 'source', sources, false),
  ];
}

/** What drops packets on `way`; `isWhole`: of every protocol. Undefined where nothing does. */
export function findWayDrop(
  bases: readonly BaseChain[],
  way: Way,
): { finding: Finding; isWhole: boolean } | undefined {
  const drops = PROTOCOLS.map(([name, protocol]) => ({ name, drop: dropOn(bases, way, protocol) })).filter(
    ({ drop }) => drop !== undefined,
  );
  const worst = drops.find(({ drop }) => drop?.at.isSure) ?? drops[0];
  if (!worst?.drop) return undefined;
  const isWhole = drops.length === PROTOCOLS.length;
  const names = isWhole ? 'packets' : drops.map(({ name }) => name).join(' and ');
  const what = `${names} from ${way.input} to ${way.output}`;
  return { finding: judged(worst.drop.at, what, worst.drop.hook === 'forward'), isWhole };
}

/** A finding for each rule that drops all that goes from or to some of `networks`. */
function examineSome(
  bases: readonly BaseChain[],
  way: Way,
  end: 'source' | 'destination',
  networks: readonly Prefix[],
  isLost: boolean,
): Finding[] {
  const byRule = new Map<string, { drop: Drop; networks: Prefix[] }>();
  for (const network of networks) {
    const drops = PROTOCOLS.map(([, protocol]) => dropOn(bases, { ...way, [end]: network }, protocol));
    const drop = surest(drops.map((found) => found?.at));
    if (!drop?.isSure || drops.includes(undefined)) continue;
    const known = byRule.get(drop.by) ?? { drop, networks: [] };
    known.networks.push(network);
    byRule.set(drop.by, known);
  }
  return [...byRule.values()].map(({ drop, networks: dropped }) => {
    const names = namesOf(dropped);
    const what =
      end === 'source'
        ? `packets of ${names} from ${way.input} to ${way.output}`
        : `packets from ${way.input} to ${names}`;
    return isLost ? judged(drop, what, false) : warn(`dropped by ${drop.by}: ${what}`, drop.remedy);
  });
}

function namesOf(networks: readonly Prefix[]): string {
  const shown = networks
    .slice(0, MOST_SHOWN)
    .map((network) => (network.length === 32 ? formatAddress(network.base) : formatPrefix(network)));
  const more = networks.length - shown.length;
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function dropOn(
  bases: readonly BaseChain[],
  { input, output, source, destination, state }: Way,
  protocol: number,
): { hook: string; at: Drop } | undefined {
  const drops = HOOKS.map(([hook, devices]) => {
    const packet: PacketKind = {
      ...(devices.includes('input') ? { input } : {}),
      ...(devices.includes('output') ? { output } : {}),
      source,
      destination,
      protocol,
      state,
      isForwarded: true,
    };
    return { hook, at: dropAmong(bases, [hook], packet) };
  });
  const worst = drops.find(({ at }) => at?.isSure) ?? drops.find(({ at }) => at !== undefined);
  return worst?.at && { hook: worst.hook, at: worst.at };
}
