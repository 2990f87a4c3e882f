/**
 * The guard's rules for one fan, as commands of nftables (host/firewall/guard.ts says what the guard is).
 *
 *   prerouting   before connection tracking and every rule of others: by the device, from lo and the TUN all; from the
 *                bridge what is of its slice (chain bridge-KEY); by any other device what is not of an overlay (chain
 *                elsewhere), nor IP-in-IP (or VXLAN) for the fan by another than the underlay's (chain outer-KEY), or for
 *                another host by one that does not lead to its sender (chain through-KEY)
 *                with flag notrack, what goes between the slice and others is not tracked (bridge-KEY, and inward-KEY for
 *                what the TUN brings)
 *   input        DNS and DHCP of the bridge's dnsmasq, and names (flag dns) from gateways of other hosts only (services)
 *   postrouting  behind NAT: IP-in-IP (or VXLAN) that was forwarded must not leave in this host's name
 *
 * A packet meets one look-up by its device and, from a bridge or the TUN, a rule or two that let it pass. By any other
 * device it meets three rules of each fan; only what is IP-in-IP (or VXLAN) meets five more of that fan's own, and goes
 * on to the next fan, which may have the same address or port.
 */
import { formatAddress } from '../../addr/ipv4-address.js';
import { broadcastOf, maskOf, parsePrefix } from '../../addr/prefix.js';
import { NAME_PORT } from '../../base/name-port.js';
import type { VxlanTerms } from '../../fan/encapsulation.js';
import { VXLAN_DEVICES } from '../../fan/fan-name.js';
import { GUARD_FAMILY, GUARD_TABLE, type GuardReason, guardCounter } from '../firewall/guard.js';
import { field, match, meta, type NftExpression } from '../firewall/nft.js';

export interface GuardedFan {
  readonly key: string;
  readonly bridge: string;
  readonly tun: string;
  readonly overlay: string;
  readonly slice: string;
  readonly underlay: string;
  /** Addresses from the gateway on that are the host's. */
  readonly hostReserve: number;
  /** This host's underlay address. */
  readonly address: string;
  readonly dhcp: boolean;
  /** Whether fands of other hosts ask this one for names. */
  readonly dns?: boolean;
  readonly foreignSources: boolean;
  /** Whether connection tracking is spared what goes between containers of this slice and of others. */
  readonly notrack?: boolean;
  /** Set where its packets travel in VXLAN. */
  readonly vxlan?: VxlanTerms;
  /** As FanPlan.vxlanDevice. */
  readonly vxlanDevice?: string;
  /** By which outer packets come in; undefined where the host has the address on no device that carries packets. */
  readonly arrival: Arrival | undefined;
}

/** The underlay's device: known by its name when it comes back, by its index when it was renamed. */
export interface Arrival {
  readonly device: string;
  /** False: there is none of that name now, and so no index. */
  readonly isThere: boolean;
}

/** A rule, in the order in which those of a chain stand. */
export interface GuardRule {
  readonly chain: string;
  readonly expr: readonly NftExpression[];
}

/** Device → verdict. */
export const ARRIVALS = 'arrivals';
export const ELSEWHERE = 'elsewhere';
/** Packets for this host itself. */
export const SERVICES = 'services';
/** Priorities of hooks, linux/netfilter_ipv4.h: before what others do at raw, and behind every NAT. */
const BEFORE_RAW = -310;
const BEHIND_NAT = 300;

const ICMP_IGMP = 2;
const IPIP = 4;
const TCP = 6;
const UDP = 17;
const DNS = 53;
const DHCP_SERVER = 67;
/** Loopback is local, 0/8 broadcast. */
const NOT_A_PEER = ['local', 'broadcast', 'multicast'];
/** Of a header without options, and of the longest: 32 bits each (RFC 791 §3.1). */
const PLAIN_WORDS = 5;
const MOST_WORDS = 15;
/** Of four bytes of options, all bits but those in which "no operation" (1) and "end of list" (0) differ. */
const MORE_THAN_NOTHING = 0xfefefefe;
const ACCEPT = { accept: null };
const NOTRACK = { notrack: null };
const RETURN = { return: null };
/**
 * Of a bridge's packet nobody can tell here whether it goes through this host or only from port to port, where br_netfilter
 * shows it too: with Docker, the tunnels of virtual machines that have fans of their own. Called another's, it goes on from
 * port to port, and the kernel routes it nowhere.
 */
const UNROUTED = { mangle: { key: meta('pkttype'), value: 'other' } };
const LOOPBACK = 'lo';
/**
 * A port of a VRF is followed by the VRF itself, with the same packet. Asked for what it is, since a device that is not of
 * the kernel's own making, as every card, has no kind, and a rule that asks for another one never matches.
 */
const SEEN_ALREADY = match(meta('iifkind'), 'vrf');

export const BASE_CHAINS = [
  { name: 'prerouting', type: 'filter', hook: 'prerouting', prio: BEFORE_RAW, policy: 'accept' },
  { name: 'input', type: 'filter', hook: 'input', prio: BEFORE_RAW, policy: 'accept' },
  { name: 'postrouting', type: 'filter', hook: 'postrouting', prio: BEHIND_NAT, policy: 'accept' },
] as const;

/** What all fans share. */
export const SHARED_RULES: readonly GuardRule[] = [
  { chain: 'prerouting', expr: [{ vmap: { key: meta('iifname'), data: `@${ARRIVALS}` } }] },
  { chain: 'prerouting', expr: [SEEN_ALREADY, ACCEPT] },
  { chain: 'prerouting', expr: [{ goto: { target: ELSEWHERE } }] },
  { chain: 'input', expr: [SEEN_ALREADY, ACCEPT] },
  { chain: 'input', expr: [{ goto: { target: SERVICES } }] },
];

export function bridgeChain(key: string): string {
  return `bridge-${key}`;
}

/** Of what the TUN brings, where some of it is not tracked. */
export function inwardChain(key: string): string {
  return `inward-${key}`;
}

/** Of outer packets that come in by any other device. */
export function outerChain(key: string): string {
  return `outer-${key}`;
}

/** Of those that are for another host. */
export function throughChain(key: string): string {
  return `through-${key}`;
}

export function optionsChain(key: string): string {
  return `options-${key}`;
}

/** Chains that belong to one fan. */
export function chainsOf(key: string): string[] {
  return [bridgeChain, inwardChain, outerChain, throughChain, optionsChain].map((nameOf) => nameOf(key));
}

/** Elements of the map by device. */
export function arrivalsOf({ key, bridge, tun, vxlanDevice, notrack }: GuardedFan): [string, object][] {
  return [
    // Its program takes all that comes: what passes by it comes while there is none.
    ...(vxlanDevice === undefined ? [] : [[vxlanDevice, { drop: null }] satisfies [string, object]]),
    [LOOPBACK, ACCEPT],
    [tun, notrack ? { goto: { target: inwardChain(key) } } : ACCEPT],
    [bridge, { goto: { target: bridgeChain(key) } }],
  ];
}

export function rulesOf(fan: GuardedFan): GuardRule[] {
  return [
    ...fromBridge(fan),
    ...(fan.notrack ? [fromTunnel(fan)] : []),
    ...fromElsewhere(fan),
    ...toFan(fan),
    ...throughHost(fan),
    ...demandingOptions(fan),
    ...(fan.dhcp ? [strangersQuestion(fan)] : []),
    ...(fan.dns ? namesForGateways(fan) : []),
    vouchedTunnel(fan),
  ];
}

function fromBridge(fan: GuardedFan): GuardRule[] {
  const rule = (...expr: NftExpression[]): GuardRule => ({ chain: bridgeChain(fan.key), expr });
  const containers = containersOf(fan);
  const none = match(field('ip', 'saddr'), '0.0.0.0');
  return [
    rule(match(field('ip', 'protocol'), IPIP), ...drop(fan, 'container-tunnel')),
    ...(fan.vxlan
      ? [
          rule(
            ...outerOf(fan),
            match(field('ip', 'daddr'), network(fan.overlay), '!='),
            ...drop(fan, 'container-tunnel'),
          ),
        ]
      : []),
    // What stays on the bridge comes here only where br_netfilter shows it, and the host's own is the host's to track.
    ...(fan.notrack
      ? [
          rule(
            match(field('ip', 'saddr'), containers),
            match(field('ip', 'daddr'), network(fan.overlay)),
            match(field('ip', 'daddr'), network(fan.slice), '!='),
            NOTRACK,
            ACCEPT,
          ),
        ]
      : []),
    rule(match(field('ip', 'saddr'), containers), ACCEPT),
    // Who has no address yet asks for one, and says which groups it listens to.
    rule(
      none,
      match(field('ip', 'daddr'), '255.255.255.255'),
      match(field('udp', 'dport'), DHCP_SERVER),
      ACCEPT,
    ),
    rule(none, match(field('ip', 'protocol'), ICMP_IGMP), ACCEPT),
    // Which port of the bridge it comes by, the guard's table of bridges looks at (layer2-guard-step.ts).
    ...(fan.vxlan?.layer2
      ? [
          rule(
            match(field('ip', 'saddr'), network(fan.overlay)),
            match(field('ip', 'saddr'), network(fan.slice), '!='),
            ACCEPT,
          ),
        ]
      : []),
    ...(fan.foreignSources
      ? [
          rule(match(field('ip', 'saddr'), network(fan.overlay)), ...drop(fan, 'bridge-source')),
          rule({ goto: { target: ELSEWHERE } }),
        ]
      : [rule(...drop(fan, 'bridge-source'))]),
  ];
}

/** What decap lets in has its source in another slice; an ICMP error of fand's own may have any, and not of the overlay. */
function fromTunnel(fan: GuardedFan): GuardRule {
  return {
    chain: inwardChain(fan.key),
    expr: [
      match(field('ip', 'saddr'), network(fan.overlay)),
      match(field('ip', 'daddr'), containersOf(fan)),
      NOTRACK,
      ACCEPT,
    ],
  };
}

function fromElsewhere(fan: GuardedFan): GuardRule[] {
  const rule = (...expr: NftExpression[]): GuardRule => ({ chain: ELSEWHERE, expr });
  return [
    rule(match(field('ip', 'saddr'), network(fan.overlay)), ...drop(fan, 'overlay-source-astray')),
    rule(...outerOf(fan), { jump: { target: outerChain(fan.key) } }),
    rule(
      match(field('ip', 'daddr'), network(fan.overlay)),
      noRouteBack(['saddr']),

      ...drop(fan, 'source-unroutable'),
    ),
  ];
}

function toFan(fan: GuardedFan): GuardRule[] {
  const rule = (...expr: NftExpression[]): GuardRule => ({ chain: outerChain(fan.key), expr });
  return [
    rule(match(field('ip', 'daddr'), fan.address, '!='), { goto: { target: throughChain(fan.key) } }),
    rule(...otherWay(fan.arrival), ...drop(fan, 'tunnel-astray')),
    // Packet sockets take none of these: here they are counted, and kept from the raw socket.
    rule(match(meta('pkttype'), 'host', '!='), ...drop(fan, 'outer-not-unicast')),
    // Nor these, in any io: who is this host, or nobody, sends nothing.
    rule(sourceType(NOT_A_PEER), ...drop(fan, 'outer-source-local')),
    rule(match(field('ip', 'hdrlength'), PLAIN_WORDS, '>'), { jump: { target: optionsChain(fan.key) } }),
  ];
}

/** Through this host, from who claims to be another: a container beside the fan, say. */
function throughHost(fan: GuardedFan): GuardRule[] {
  const rule = (...expr: NftExpression[]): GuardRule => ({ chain: throughChain(fan.key), expr });
  return [
    rule(match(field('ip', 'daddr'), network(fan.underlay), '!='), RETURN),
    // Of the senders that the device leads to, as another fan's peers at another address, the route is asked once.
    rule(routeBack(['saddr', 'iif'], true), RETURN),
    rule(match(meta('iifkind'), 'bridge'), UNROUTED),
    rule(match(meta('pkttype'), 'other', '!='), ...drop(fan, 'tunnel-astray')),
  ];
}

/** By another device than the underlay's; where that is none in particular, than those that lead to the sender. */
function otherWay(arrival: Arrival | undefined): NftExpression[] {
  if (!arrival) return [noRouteBack(['saddr', 'iif'])];
  return [
    match(meta('iifname'), arrival.device, '!='),
    ...(arrival.isThere ? [match(meta('iif'), arrival.device, '!=')] : []),
  ];
}

/**
 * An outer header whose options ask for something: a way (source route), or to be written into (record route, timestamp).
 * No fan writes any; they would be the kernel's to obey (RFC 7126). What fills the header up is let in.
 */
function demandingOptions(fan: GuardedFan): GuardRule[] {
  const words = Array.from({ length: MOST_WORDS - PLAIN_WORDS }, (_, i) => PLAIN_WORDS + i);
  return words.map((word) => ({
    chain: optionsChain(fan.key),
    expr: [
      match(field('ip', 'hdrlength'), word, '>'),
      match({ '&': [{ payload: { base: 'nh', offset: word * 32, len: 32 } }, MORE_THAN_NOTHING] }, 0, '!='),
      ...drop(fan, 'outer-options'),
    ],
  }));
}

function strangersQuestion(fan: GuardedFan): GuardRule {
  const { base } = parsePrefix(fan.slice);
  return {
    chain: SERVICES,
    expr: [
      match(field('ip', 'daddr'), addressRange(base + 1, base + fan.hostReserve)),
      match(meta('l4proto'), { set: [TCP, UDP] }),
      match(field('th', 'dport'), { set: [DNS, DHCP_SERVER] }),
      match(meta('iifname'), { set: [LOOPBACK, fan.bridge] }, '!='),

      ...drop(fan, 'service-astray'),
    ],
  };
}

/**
 * By the TUN, or by the bridge of a layer-2 fan, comes of other slices only what the mapping vouches for: of that, what
 * the fand of another host sends from its gateway.
 */
function namesForGateways(fan: GuardedFan): GuardRule[] {
  const { base, length } = parsePrefix(fan.slice);
  const hostBits = formatAddress(~maskOf(length) >>> 0);
  const rule = (...expr: NftExpression[]): GuardRule => ({
    chain: SERVICES,
    expr: [
      match(field('ip', 'daddr'), formatAddress(base + 1)),
      match(field('udp', 'dport'), NAME_PORT),
      match(meta('iifname'), LOOPBACK, '!='),

      ...expr,
      ...drop(fan, 'service-astray'),
    ],
  });
  return [
    rule(match(meta('iifname'), fan.vxlan?.layer2 ? fan.bridge : fan.tun, '!=')),
    rule(match(field('udp', 'sport'), NAME_PORT, '!=')),
    rule(match({ '&': [field('ip', 'saddr'), hostBits] }, '0.0.0.1', '!=')),
  ];
}

function vouchedTunnel(fan: GuardedFan): GuardRule {
  return {
    chain: 'postrouting',
    expr: [
      ...outerOf(fan),
      // What this host sends itself came in by none.
      match(meta('iif'), '0', '!='),
      // Others fool no peer: those of another VXLAN, or of another tunnel, by another address of this host.
      match(field('ip', 'saddr'), network(fan.underlay)),
      match(field('ip', 'daddr'), network(fan.underlay)),
      sourceType(['local']),
      // By the kernel's VXLAN device, this fan's or another's, it comes from a program of ours.
      ...(fan.vxlan ? [match(meta('iifname'), `${VXLAN_DEVICES}*`, '!=')] : []),
      ...drop(fan, 'container-tunnel'),
    ],
  };
}

/** Addresses of the slice that are not the host's own. */
function containersOf({ slice, hostReserve }: GuardedFan): unknown {
  const { base } = parsePrefix(slice);
  return addressRange(base + hostReserve + 1, broadcastOf(parsePrefix(slice)) - 1);
}

/** Matches what carries packets of the fan. */
function outerOf({ vxlan }: GuardedFan): NftExpression[] {
  return [vxlan ? match(field('udp', 'dport'), vxlan.port) : match(field('ip', 'protocol'), IPIP)];
}

function drop({ key }: GuardedFan, reason: GuardReason): NftExpression[] {
  return [{ counter: guardCounter(reason, key) }, { drop: null }];
}

function noRouteBack(flags: readonly string[]): NftExpression {
  return routeBack(flags, false);
}

/** Whether a route leads to the source; with the flag iif, by the device that the packet came by. */
function routeBack(flags: readonly string[], isThere: boolean): NftExpression {
  return match({ fib: { result: 'oif', flags } }, isThere);
}

/** What a routing table calls the source. */
function sourceType(types: readonly string[]): NftExpression {
  return match({ fib: { result: 'type', flags: ['saddr'] } }, { set: types });
}

function network(text: string): object {
  const { base, length } = parsePrefix(text);
  return { prefix: { addr: formatAddress(base), len: length } };
}

/** From the first to the last address. */
export function addressRange(first: number, last: number): unknown {
  return first === last ? formatAddress(first) : { range: [formatAddress(first), formatAddress(last)] };
}

/** Of a thing in the guard's table. */
export function inGuard(kind: string, what: object): object {
  return { [kind]: { family: GUARD_FAMILY, table: GUARD_TABLE, ...what } };
}
