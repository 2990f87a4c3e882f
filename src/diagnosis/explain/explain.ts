/**
 * `fanctl explain`: what an address is to the fans of this host, and the way that a packet to it would take from here.
 * The arithmetic is fan/explanation.ts; here are routes, firewall (explain-firewall.ts), neighbour, MTUs and I/O mode, as
 * they are now, and the verdict is of all. No traffic.
 */
import { formatAddress, parseAddress } from '../../addr/ipv4-address.js';
import { contains } from '../../addr/prefix.js';
import { errorText, FanError } from '../../base/error.js';
import type { ExplainedHost, ExplainRequest, Explanation, HostVerdict } from '../../control/protocol.js';
import type { FanRecord } from '../../control/state-store.js';
import { type AddressExplanation, explainAddress } from '../../fan/explanation.js';
import { readFirewall } from '../../host/firewall/bases.js';
import { type GuardVerdict, judgeSource } from '../../host/firewall/guard.js';
import type { BaseChain } from '../../host/firewall/packet-verdict.js';
import { type DeviceAddress, type Link, readAddresses, readLinks } from '../../host/links.js';
import { lookUpRoute, type Neighbour, type Route, readNeighbour } from '../../host/route-lookup.js';
import { type Passage, passInner, passOuter, translateInner } from './firewall.js';
import { containerLeg, deadFan, followLeg, type Leg } from './inner-way.js';

/** What the dataplane has learnt of the path to an underlay host, u32; null where nothing. */
type PathMtu = (host: number) => Promise<number | null>;

interface Stop {
  readonly verdict: HostVerdict;
  readonly why: string;
}

/** What this host has, read once. */
interface Host {
  readonly fans: readonly FanRecord[];
  readonly links: readonly Link[];
  readonly addresses: readonly DeviceAddress[];
  readonly firewall: readonly BaseChain[];
}

/** The way of a packet within this host, its firewall included. */
interface Walk {
  readonly route: Route | undefined;
  readonly stop: Stop | undefined;
  readonly notes: readonly string[];
}

const OF_CONTAINERS = 'what containers send there';

/** Throws FanError bad-address, or not-configured where this host has no fan. */
export async function explain(
  { address, from, by }: ExplainRequest,
  fans: readonly FanRecord[],
  pathMtu: PathMtu,
): Promise<Explanation> {
  const target = parseAddress(address);
  const sender = from === undefined ? undefined : parseAddress(from);
  if (fans.length === 0) throw new FanError('not-configured', 'this host has no fan');
  const mappings = fans.map(({ plan }) => plan.mapping);
  const explanation = explainAddress(
    mappings,
    target,
    sender,
    (mapping) => fans.find(({ plan }) => plan.mapping === mapping)?.plan.vxlan,
  );
  const fan = fans.find(({ view }) => view.slice === explanation.fan?.slice);
  const astray = sender === undefined || by === undefined ? undefined : judgeBy(fans, by, sender);
  if (astray) return { ...explanation, verdict: astray.reason, why: astray.why, here: null };
  if (!fan || explanation.host === null) return { ...explanation, here: null };
  const unread: string[] = [];
  const firewall = await readFirewall().catch((error: unknown) => {
    unread.push(`the firewall could not be read: ${errorText(error)}`);
    return [];
  });
  const host: Host = { fans, links: await readLinks(), addresses: await readAddresses(), firewall };
  const leg = explanation.kind === 'overlay' ? legOf(host, fan, target, sender) : undefined;
  const inner = leg ? await walk(host, fan, leg) : undefined;
  const outer = await followOuter(host, fan, explanation.host);
  const arrival = leg?.input === fan.plan.tun ? arrivalOf(host, fan, explanation) : {};
  const ofContainers = await containerWalk(host, fan, leg, sender);
  const own = inner?.stop ?? outer.stop ?? arrival.stop;
  const stop = own ?? stopOfContainers(ofContainers);
  const isStopped = stop !== undefined && wouldPass(explanation, fan, target);
  const notes = [
    ...unread,
    ...outer.notes,
    ...(inner?.notes ?? []),
    ...notesOf(arrival),
    ...containerNotes(ofContainers, own),
  ];
  const here = await describeHost(host, fan, explanation.host, pathMtu);
  return {
    ...explanation,
    ...(isStopped ? stop : {}),
    here: { ...here, innerRoute: inner?.route ?? null, ...outer.found, notes },
  };
}

function judgeBy(fans: readonly FanRecord[], device: string, sender: number): GuardVerdict | undefined {
  return judgeSource(
    fans.map(({ plan }) => plan),
    device,
    sender,
  );
}

/** By the arithmetic: delivered, or it never leaves the bridge. */
function wouldPass({ verdict, kind }: AddressExplanation, { plan }: FanRecord, target: number): boolean {
  if (verdict === 'deliverable') return true;
  return verdict === 'to-ourselves' && kind === 'overlay' && contains(plan.mapping.slice, target);
}

/** The way of a packet through the kernel of this host; undefined for one that it does not route. */
function legOf(
  { fans, addresses }: Host,
  fan: FanRecord,
  target: number,
  from: number | undefined,
): Leg | undefined {
  const destination = formatAddress(target);
  const isOurs = contains(fan.plan.mapping.slice, target);
  const towards = isOurs ? 'bridge' : 'tun';
  if (from === undefined) return { source: fan.view.gateway, destination, towards };
  const source = formatAddress(from);
  if (addresses.some(({ address }) => address === from)) return { source, destination, towards };
  const sender = fans.find(({ plan }) => contains(plan.mapping.slice, from));
  // From one container to another the bridge carries it.
  if (sender === fan && isOurs) return undefined;
  if (sender) return { source, destination, input: sender.plan.bridge, towards };
  return isOurs ? { source, destination, input: fan.plan.tun, towards } : undefined;
}

async function walk({ links, firewall }: Host, fan: FanRecord, leg: Leg): Promise<Walk> {
  const { route, stop } = await followLeg(fan, leg, links);
  // What is for this host itself is not forwarded.
  const isJudged = !stop && route?.device !== 'lo';
  const passages = isJudged ? [passInner, translateInner].map((judge) => judge(firewall, fan, leg)) : [];
  const barred = passages.find((passage) => passage.stop !== undefined);
  return { route, stop: stop ?? barred?.stop, notes: passages.flatMap(notesOf) };
}

/** Of the packet that brings it from its sender's host. */
function arrivalOf({ firewall }: Host, fan: FanRecord, { source }: AddressExplanation): Passage {
  return source?.host ? passOuter(firewall, fan, 'in', source.host) : {};
}

function notesOf({ note }: Passage): string[] {
  return note === undefined ? [] : [note];
}

/** Asked without a sender it is of containers too, whose way differs from that of what this host itself sends. */
async function containerWalk(
  host: Host,
  fan: FanRecord,
  leg: Leg | undefined,
  from: number | undefined,
): Promise<Walk | undefined> {
  if (leg?.towards !== 'tun' || from !== undefined) return undefined;
  return walk(host, fan, containerLeg(fan, leg.destination));
}

function stopOfContainers(walk: Walk | undefined): Stop | undefined {
  return walk?.stop && { verdict: walk.stop.verdict, why: `${OF_CONTAINERS}: ${walk.stop.why}` };
}

/** What the verdict does not say: `own` is what stops what this host itself sends. */
function containerNotes(ofContainers: Walk | undefined, own: Stop | undefined): string[] {
  if (!ofContainers) return [];
  const { stop, notes } = ofContainers;
  if (stop && !own) return ['what this host itself sends there is not concerned'];
  const found = stop && stop.verdict !== own?.verdict ? [`${stop.verdict}, ${stop.why}`] : notes;
  return found.map((what) => `${OF_CONTAINERS}: ${what}`);
}

interface Outer {
  readonly found: { readonly route: Route | null; readonly neighbour: Neighbour | null };
  readonly stop: Stop | undefined;
  readonly notes: readonly string[];
}

/** The way of the outer packet to the underlay address `to`; of our own there is none. */
async function followOuter(host: Host, fan: FanRecord, to: string): Promise<Outer> {
  const { plan, view } = fan;
  const source = formatAddress(plan.mapping.address);
  if (to === source) return { found: { route: null, neighbour: null }, stop: undefined, notes: [] };
  const route = await lookUpRoute({ destination: to, source });
  const neighbour = route ? await readNeighbour(route.nextHop, route.device) : null;
  const notes: string[] = [];
  if (route && route.device !== plan.underlayDevice)
    notes.push(`outer packets leave by ${route.device}, the fan came up on ${plan.underlayDevice}`);
  if (neighbour?.state === 'FAILED') notes.push(`${neighbour.address} did not answer ARP when last asked`);
  const found = { route: route ?? null, neighbour };
  const fault = view.state === 'up' ? outerFault(host, plan, route, to) : deadFan(plan.bridge);
  const passage = fault ? {} : passOuter(host.firewall, fan, 'out', to);
  return { found, stop: fault ?? passage.stop, notes: [...notes, ...notesOf(passage)] };
}

function outerFault(
  { links, addresses }: Host,
  { mapping, underlayDevice }: FanRecord['plan'],
  route: Route | undefined,
  to: string,
): Stop | undefined {
  const source = formatAddress(mapping.address);
  if (!addresses.some(({ address }) => address === mapping.address)) {
    return { verdict: 'address-changed', why: `this host no longer has ${source}` };
  }
  const device = route?.device ?? underlayDevice;
  const flags = links.find(({ name }) => name === device)?.flags ?? [];
  if (!flags.includes('UP') || flags.includes('NO-CARRIER')) {
    return {
      verdict: 'underlay-down',
      why: `${device} is ${flags.includes('UP') ? 'without carrier' : 'down'}`,
    };
  }
  if (route) return undefined;
  return { verdict: 'underlay-unreachable', why: `no route leads from ${source} to ${to}` };
}

async function describeHost(
  { links }: Host,
  { view, plan }: FanRecord,
  host: string,
  pathMtu: PathMtu,
): Promise<Omit<ExplainedHost, 'innerRoute' | 'route' | 'neighbour' | 'notes'>> {
  const { mapping, tun, bridge } = plan;
  const { state, io, ioNotes } = view;
  const isOurs = host === formatAddress(mapping.address);
  return {
    bridge,
    tun,
    state,
    io,
    ioNotes,
    mtu: {
      containers: portMtus(links, bridge),
      bridge: mtuOf(links, bridge),
      tun: mtuOf(links, tun),
      path: isOurs ? null : await pathMtu(parseAddress(host)),
      underlay: mtuOf(links, plan.underlayDevice),
    },
  };
}

function portMtus(links: readonly Link[], bridge: string): ExplainedHost['mtu']['containers'] {
  const mtus = links.filter(({ master }) => master === bridge).map(({ mtu }) => mtu);
  return mtus.length === 0 ? null : { least: Math.min(...mtus), most: Math.max(...mtus) };
}

function mtuOf(links: readonly Link[], name: string): number | null {
  return links.find((link) => link.name === name)?.mtu ?? null;
}
