/**
 * Where the kernel of this host takes an inner packet, asked of it as it is now: into the fan's TUN, onto its bridge, or
 * astray, by a route, a policy rule or a setting that came after `up`. `explain` and `probe` ask it before they say
 * anything of the fan, which such a packet never sees. The names are those of doctor's checks.
 */
import { formatAddress, parseAddress } from '../../addr/ipv4-address.js';
import { formatPrefix, samePrefix } from '../../addr/prefix.js';
import type { HostVerdict } from '../../control/protocol.js';
import type { FanRecord } from '../../control/state-store.js';
import type { Link } from '../../host/links.js';
import { describeMatch, lookUpRoute, type Route, type RouteQuestion } from '../../host/route-lookup.js';
import { readRoutes, routeDevice } from '../../host/routes.js';
import { type FanPlan, onLink } from '../../host/steps/fan-steps.js';
import { readSysctl } from '../../host/sysctl.js';

/** Under which name a packet goes astray, in the order in which one is looked for. */
export const WAY_VERDICTS = [
  'fan-dead',
  'bridge-changed',
  'tun-changed',
  'ip-forward-off',
  'route-missing',
  'route-overridden',
] as const satisfies readonly HostVerdict[];
export type WayVerdict = (typeof WAY_VERDICTS)[number];

export interface Leg extends RouteQuestion {
  /** Where it has to lead: to another host of the fan, or to the slice of this one. */
  readonly towards: 'tun' | 'bridge';
}

export interface Stop {
  readonly verdict: WayVerdict;
  readonly why: string;
}

export interface Way {
  readonly route: Route | undefined;
  /** Undefined where the packet gets where it has to. */
  readonly stop: Stop | undefined;
}

/** `links` are those of this host. */
export async function followLeg(fan: FanRecord, leg: Leg, links: readonly Link[]): Promise<Way> {
  const { plan } = fan;
  const route = await lookUpRoute(leg);
  const fault = deviceFault(fan, leg, links);
  if (fault) return { route, stop: fault };
  // What is for this host itself is not forwarded.
  const off = route?.device === 'lo' ? undefined : await forwardingFault(leg.input);
  if (off) return { route, stop: off };
  const right = leg.towards === 'tun' ? [wayOf(plan)] : [plan.bridge, 'lo'];
  if (route && right.includes(route.device)) return { route, stop: undefined };
  return { route, stop: await describeStray(plan, leg, route) };
}

/** The device by which this host reaches other slices. */
function wayOf({ vxlan, bridge, tun }: FanPlan): string {
  return vxlan?.layer2 ? bridge : tun;
}

/** Of what a container sends: the first address that the host does not keep stands for all. */
export function containerLeg({ plan }: FanRecord, destination: string): Leg {
  const { mapping, hostReserve, bridge } = plan;
  return { source: formatAddress(mapping.gateway + hostReserve), destination, input: bridge, towards: 'tun' };
}

export function deadFan(bridge: string): Stop {
  return { verdict: 'fan-dead', why: `${bridge} is dead: nothing is carried until "fanctl up" restores it` };
}

function deviceFault({ plan, view }: FanRecord, leg: Leg, links: readonly Link[]): Stop | undefined {
  const flagsOf = (name: string) => links.find((link) => link.name === name)?.flags;
  const { bridge, tun } = plan;
  const bridgeFlags = flagsOf(bridge);
  if (!bridgeFlags?.includes('UP')) {
    const why = `${bridge} is ${bridgeFlags ? 'down' : 'gone'}`;
    return { verdict: 'bridge-changed', why };
  }
  if (leg.towards !== 'tun' && leg.input !== tun) return undefined;
  if (view.state !== 'up' || !flagsOf(tun)) return deadFan(bridge);
  return flagsOf(tun)?.includes('UP') ? undefined : { verdict: 'tun-changed', why: `${tun} is down` };
}

/** The kernel goes by the setting of the device that a packet comes in by. */
async function forwardingFault(input: string | undefined): Promise<Stop | undefined> {
  if (input === undefined || (await readSysctl(`ipv4/conf/${input}/forwarding`)) !== '0') return undefined;
  const isOff = (await readSysctl('ipv4/ip_forward')) === '0';
  const setting = isOff ? 'net.ipv4.ip_forward is 0' : `forwarding of ${input} is 0`;
  return { verdict: 'ip-forward-off', why: `${setting}: what comes in by ${input} is not forwarded` };
}

async function describeStray(plan: FanPlan, leg: Leg, route: Route | undefined): Promise<Stop> {
  const { input, destination, source, towards } = leg;
  const missing = await missingRoute(plan, towards);
  if (missing) return missing;
  const strict = input === undefined ? undefined : await wayBackStray(input, source);
  const right = towards === 'tun' ? wayOf(plan) : plan.bridge;
  const where = route ? `to ${route.device}` : 'nowhere';
  const by =
    strict ?? `leads ${where} instead of to ${right}: ${(await describeMatch(leg)) ?? 'a policy rule'}`;
  const who = input === undefined ? 'sent by this host' : `coming in by ${input}`;
  return { verdict: 'route-overridden', why: `${destination}, ${who}, ${by}` };
}

/** The fan's own route, where it is gone and no other stands in its place. */
async function missingRoute(plan: FanPlan, towards: Leg['towards']): Promise<Stop | undefined> {
  const { mapping, bridge } = plan;
  const network = towards === 'tun' ? mapping.overlay : onLink(plan);
  if ((await readRoutes()).some(({ destination }) => samePrefix(destination, network))) return undefined;
  const why = `no route ${formatPrefix(network)} dev ${towards === 'tun' ? wayOf(plan) : bridge}`;
  return { verdict: towards === 'tun' ? 'route-missing' : 'bridge-changed', why };
}

/** A strict reverse-path filter (RFC 3704 §2.2) drops what comes in by another device than answers leave by. */
async function wayBackStray(input: string, source: string): Promise<string | undefined> {
  const settings = ['all', input].map((name) => readSysctl(`ipv4/conf/${name}/rp_filter`));
  // The kernel uses the greater of the two: 1 is strict, 2 loose.
  if (Math.max(...(await Promise.all(settings)).map((value) => Number(value ?? 0))) !== 1) return undefined;
  const back = await routeDevice(parseAddress(source));
  if (back === input) return undefined;
  return `is dropped: rp_filter of ${input} is strict, and the way back to ${source} leads ${back ? `to ${back}` : 'nowhere'}`;
}
