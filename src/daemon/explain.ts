/**
 * `fanctl explain`: what an address is to the fans of this host, and the way that a packet to it would take from here.
 * The arithmetic is fan/explanation.ts; here are routes, neighbour, MTUs and I/O mode, as they are now. No traffic.
 */
import { formatAddress, parseAddress } from '../addr/ipv4-address.js';
import { FanError } from '../base/error.js';
import { explainAddress } from '../fan/explanation.js';
import type { FanMapping } from '../fan/mapping.js';
import { type Link, readLinks } from '../host/links.js';
import { lookUpRoute, type Route, readNeighbour } from '../host/route-lookup.js';
import type { ExplainedHost, ExplainRequest, Explanation } from './protocol.js';
import type { FanRecord } from './state-store.js';

/** What the dataplane has learnt of the path to an underlay host, u32; null where nothing. */
type PathMtu = (host: number) => Promise<number | null>;

/** Throws FanError bad-address, or not-configured where this host has no fan. */
export async function explain(
  { address, from }: ExplainRequest,
  fans: readonly FanRecord[],
  pathMtu: PathMtu,
): Promise<Explanation> {
  const target = parseAddress(address);
  const sender = from === undefined ? undefined : parseAddress(from);
  if (fans.length === 0) throw new FanError('not-configured', 'this host has no fan');
  const explanation = explainAddress(
    fans.map(({ plan }) => plan.mapping),
    target,
    sender,
  );
  const fan = fans.find(({ view }) => view.slice === explanation.fan?.slice);
  if (!fan || explanation.host === null) return { ...explanation, here: null };
  const inner = explanation.kind === 'overlay' ? explanation.address : undefined;
  return { ...explanation, here: await describeWay(fan, explanation.host, inner, pathMtu) };
}

async function describeWay(
  { view, plan }: FanRecord,
  host: string,
  inner: string | undefined,
  pathMtu: PathMtu,
): Promise<ExplainedHost> {
  const { mapping, tun, bridge } = plan;
  const isOurs = host === formatAddress(mapping.address);
  const links = await readLinks();
  const innerRoute = inner === undefined ? undefined : await lookUpRoute(inner, view.gateway);
  const route = isOurs ? undefined : await lookUpRoute(host, formatAddress(mapping.address));
  return {
    bridge,
    tun,
    state: view.state,
    io: view.io,
    ioNotes: view.ioNotes,
    innerRoute: innerRoute ?? null,
    route: route ?? null,
    neighbour: route ? await readNeighbour(route.nextHop, route.device) : null,
    mtu: {
      containers: portMtus(links, bridge),
      bridge: mtuOf(links, bridge),
      tun: mtuOf(links, tun),
      path: isOurs ? null : await pathMtu(parseAddress(host)),
      underlay: mtuOf(links, plan.underlayDevice),
    },
    notes: deviations(view.state, isOurs, innerRoute, route, plan, mapping),
  };
}

function portMtus(links: readonly Link[], bridge: string): ExplainedHost['mtu']['containers'] {
  const mtus = links.filter(({ master }) => master === bridge).map(({ mtu }) => mtu);
  return mtus.length === 0 ? null : { least: Math.min(...mtus), most: Math.max(...mtus) };
}

function mtuOf(links: readonly Link[], name: string): number | null {
  return links.find((link) => link.name === name)?.mtu ?? null;
}

/** Routes that lead elsewhere than the fan's own, in words. */
function deviations(
  state: string,
  isOurs: boolean,
  innerRoute: Route | undefined,
  route: Route | undefined,
  { tun, bridge, underlayDevice }: FanRecord['plan'],
  mapping: FanMapping,
): string[] {
  const notes: string[] = [];
  if (state !== 'up') notes.push(`${bridge} is ${state}: nothing is carried until "fanctl up" restores it`);
  const own = isOurs ? [bridge, 'lo'] : [tun];
  if (innerRoute && !own.includes(innerRoute.device)) {
    notes.push(`a route takes it to ${innerRoute.device} instead of ${own[0]}`);
  }
  if (isOurs) return notes;
  if (!route) notes.push(`no route leads from ${formatAddress(mapping.address)} to the host`);
  else if (route.device !== underlayDevice) {
    notes.push(`outer packets leave by ${route.device}, the fan came up on ${underlayDevice}`);
  }
  return notes;
}
