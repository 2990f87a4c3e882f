/**
 * The rules of nftables behind the flag `isolate`, for one fan: a table of the family bridge, which sees every frame that a
 * port of the bridge sends, before the bridge learns from it.
 *
 *   prerouting   a port of the fan's bridge → port; by another device what names an address of the slice → the same rules
 *                for addresses, so that a port which fand has not heard of yet can't either
 *   port         one MAC address a port, its own: the first that it used; never another port's, nor the gateway's
 *   arp, ip      one IPv4 address a port, its own, likewise
 *
 * A port sends no VLAN tags, behind which an address would not be seen: a neighbour takes those of priority (VLAN 0) off, as many
 * as there are. Nor does it lease addresses, or say that it is a router: the gateway is the host.
 *
 * What belongs to whom stands in sets that the rules themselves fill. Which ports the bridge has, fand says, and forgets
 * what belonged to those that left (isolate-step.ts).
 */
import { parseAddress } from '../../addr/ipv4-address.js';
import { broadcastOf, parsePrefix } from '../../addr/prefix.js';
import { field, match, meta, type NftExpression } from '../firewall/nft.js';
import { macOf } from './bridge-step.js';
import { addressRange } from './guard-rules.js';

export interface IsolatedFan {
  /** As guardKey(). */
  readonly key: string;
  readonly bridge: string;
  /** In text. */
  readonly gateway: string;
  readonly slice: string;
  readonly hostReserve: number;
}

export const ISOLATE_FAMILY = 'bridge';
/** Of a port: its MAC, and its IPv4 address, or another one, or one that another port has. */
export const ISOLATE_REASONS = ['neighbour-mac', 'neighbour-address'] as const;
/** Before everything else that may be hooked there. */
const EARLY = -310;
const MOST = 65_535;

export const PORTS = 'ports';
/** What belongs to whom, [port, what]; the ports that have one; and what is taken. */
export const MACS = { pairs: 'macs', owners: 'mac-owners', taken: 'taken-macs' } as const;
export const ADDRESSES = {
  pairs: 'addresses',
  owners: 'address-owners',
  taken: 'taken-addresses',
} as const;
type Sets = typeof MACS | typeof ADDRESSES;

export const SETS: readonly { name: string; type: string | readonly string[] }[] = [
  { name: PORTS, type: 'iface_index' },
  { name: MACS.pairs, type: ['iface_index', 'ether_addr'] },
  { name: MACS.owners, type: 'iface_index' },
  { name: MACS.taken, type: 'ether_addr' },
  { name: ADDRESSES.pairs, type: ['iface_index', 'ipv4_addr'] },
  { name: ADDRESSES.owners, type: 'iface_index' },
  { name: ADDRESSES.taken, type: 'ipv4_addr' },
];
export const SET_LIMITS = { size: MOST, flags: 'dynamic' } as const;

export const CHAINS = [
  { name: 'prerouting', type: 'filter', hook: 'prerouting', prio: EARLY, policy: 'accept' },
  ...['port', 'inner', 'arp', 'ip'].map((name) => ({ name })),
];

/** "ufan-isolate-fa001c00" */
export function isolateTable(key: string): string {
  return `ufan-isolate-${key}`;
}

const ACCEPT = { accept: null };
const PORT = meta('iif');
const MAC = field('ether', 'saddr');
const ARP = { mac: field('arp', 'saddr ether'), address: field('arp', 'saddr ip') };
const IP_SOURCE = field('ip', 'saddr');
const TYPE = field('ether', 'type');
/** 802.1Q, 802.1ad, and what came before that. */
export const VLAN_TAGS = [0x8100, 0x88a8, 0x9100];
/** Of DHCP and DHCPv6. */
const DHCP_SERVERS = [67, 547];
const OF_ROUTERS = ['nd-router-advert', 'nd-redirect'];

export function isolateRules({ gateway, slice, hostReserve }: IsolatedFan): {
  chain: string;
  expr: NftExpression[];
}[] {
  const { base } = parsePrefix(slice);
  const last = broadcastOf(parsePrefix(slice));
  const all = addressRange(base, last);
  const containers = addressRange(parseAddress(gateway) + hostReserve, last - 1);
  const rule = (chain: string, ...expr: NftExpression[]) => ({ chain, expr });
  return [
    rule('prerouting', match(PORT, `@${PORTS}`), go('port')),
    rule('prerouting', match(TYPE, 'arp'), match(ARP.address, all), go('arp')),
    rule('prerouting', match(TYPE, 'ip'), match(IP_SOURCE, all), go('ip')),
    rule('port', match(MAC, macOf(gateway)), ...drop('neighbour-mac')),
    ...owned('port', MACS, MAC, go('inner'), 'neighbour-mac'),
    rule('inner', match(TYPE, { set: VLAN_TAGS }), ...drop('neighbour-address')),
    rule('inner', match(field('udp', 'sport'), { set: DHCP_SERVERS }), ...drop('neighbour-address')),
    rule('inner', match(field('icmpv6', 'type'), { set: OF_ROUTERS }), ...drop('neighbour-address')),
    // What ARP says of the sender is so, too.
    rule('inner', match(TYPE, 'arp'), match(pair(ARP.mac), `@${MACS.pairs}`, '!='), ...drop('neighbour-mac')),
    rule('inner', match(TYPE, 'arp'), match(ARP.address, '0.0.0.0'), ACCEPT),
    rule('inner', match(TYPE, 'arp'), go('arp')),
    rule('inner', match(TYPE, 'ip'), match(IP_SOURCE, '0.0.0.0'), ACCEPT),
    rule('inner', match(TYPE, 'ip'), go('ip')),
    rule('arp', match(ARP.address, containers, '!='), ...drop('neighbour-address')),
    ...owned('arp', ADDRESSES, ARP.address, ACCEPT, 'neighbour-address'),
    rule('ip', match(IP_SOURCE, containers, '!='), ...drop('neighbour-address')),
    ...owned('ip', ADDRESSES, IP_SOURCE, ACCEPT, 'neighbour-address'),
  ];
}

/** What a port has is its own for as long as it is there; one that has nothing takes what is free. */
function owned(chain: string, sets: Sets, what: NftExpression, then: NftExpression, reason: IsolateReason) {
  const rule = (...expr: NftExpression[]) => ({ chain, expr });
  return [
    rule(match(pair(what), `@${sets.pairs}`), then),
    rule(match(PORT, `@${sets.owners}`), ...drop(reason)),
    rule(match(what, `@${sets.taken}`), ...drop(reason)),
    rule(add(sets.pairs, pair(what)), add(sets.owners, PORT), add(sets.taken, what), then),
  ];
}

type IsolateReason = (typeof ISOLATE_REASONS)[number];

function pair(what: NftExpression): NftExpression {
  return { concat: [PORT, what] };
}

function add(set: string, elem: NftExpression): NftExpression {
  return { set: { op: 'add', elem, set: `@${set}` } };
}

function go(target: string): NftExpression {
  return { goto: { target } };
}

function drop(reason: IsolateReason): NftExpression[] {
  return [{ counter: reason }, { drop: null }];
}
