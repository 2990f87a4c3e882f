/**
 * Step: the fan's own nftables table.
 *
 * receive and send keep outer packets out of connection tracking, which our NAT would otherwise turn on for each of
 * them: there is no connection to know of, and every one of them would be looked up, twice on its way.
 * postrouting masquerades what leaves the slice for anywhere but the overlay, on whichever device it leaves by; never
 * from the port of probes, by which a peer's fand knows that it speaks to a host (diagnosis/probe/probe-socket.ts).
 * keep comes just before the NAT of others and gives packets of the overlay the source that they have: the kernel takes
 * the first source NAT of a connection that any chain decides, of nftables or of the old iptables, so that no masquerade
 * for the slice, such as Docker's, hides a container behind its host.
 * clamp lowers the MSS (RFC 9293 §3.7.1) that a TCP SYN through the bridge announces to what the routes both ways take:
 * a container that keeps MTU 1500 on a path where ICMP is filtered would hang otherwise (chain announced).
 * send also holds back the kernel's "port unreachable" about protocol 4: a host where any tunnel4 handler is registered
 * (ipip or sit loaded) answers each packet of the fan with one, although our raw socket got it.
 */
import { formatAddress } from '../../addr/ipv4-address.js';
import { parsePrefix } from '../../addr/prefix.js';
import { FanError } from '../../base/error.js';
import { PROBE_PORT } from '../../base/probe-port.js';
import { changeRuleset, field, match, meta, type NftExpression, readRuleset } from '../firewall/nft.js';
import type { StepKind } from './step.js';

export interface NatData {
  readonly table: string;
  readonly bridge: string;
  /** Absent in the record of a fand before 0.2. */
  readonly tun?: string;
  /** Whether the MSS of TCP is clamped; absent as `tun` is. */
  readonly clampMss?: boolean;
  readonly slice: string;
  readonly overlay: string;
  readonly underlay: string;
  /** This host's underlay address. */
  readonly address: string;
  /** UDP port of a VXLAN fan; absent for IP-in-IP. */
  readonly port?: number;
}

const FAMILY = 'ip';
/** Priorities of hooks, linux/netfilter_ipv4.h. */
const RAW = -300;
const MANGLE = -150;
const SOURCE_NAT = 100;
/** Of our chain that keeps sources: a source NAT of a chain that comes later finds it done. */
export const OWN_SOURCE_NAT = SOURCE_NAT - 1;
/** The chain of what a SYN announces. */
const ANNOUNCED = 'announced';
const PORT_UNREACHABLE = 3;
const IPIP = 4;
/** Bits from the start of the ICMP header to the quoted header's protocol: 8 bytes of ICMP, then its tenth byte. */
const QUOTED_PROTOCOL = { base: 'th', offset: (8 + 9) * 8, len: 8 };

/** Hosts speak to each other's fand from this port: no container does so in its host's name. */
const PROBE_SOURCE = [match(field('udp', 'sport'), PROBE_PORT)];
const OTHER_PORTS = [32_768, 65_535];

export const natStep: StepKind<NatData> = {
  describe: ({ slice }) => `set up NAT for ${slice}`,

  async apply(data) {
    // Added, deleted, added: in one transaction it replaces whatever stands there.
    await changeRuleset([
      ...removal(data.table),
      addition('table', { family: FAMILY, name: data.table }),
      ...additions(data),
    ]);
    if (!(await exists(data.table))) {
      throw new FanError(
        'step-failed',
        `nftables table ${FAMILY} ${data.table} is not there after it was added`,
      );
    }
  },

  async undo({ table }) {
    if (await exists(table)) await changeRuleset(removal(table));
    return undefined;
  },
};

function removal(table: string): object[] {
  const named = { table: { family: FAMILY, name: table } };
  return [{ add: named }, { delete: named }];
}

/** A chain of the table, and its rules. */
interface OwnChain {
  readonly name: string;
  /** Base chains only. */
  readonly type?: 'filter' | 'nat';
  readonly hook?: string;
  readonly prio?: number;
  readonly rules: readonly NftExpression[][];
}

/** Those of the table that `data` asks for, none before one that it jumps to. */
export function ownChains(data: NatData): OwnChain[] {
  return [
    {
      name: 'receive',
      type: 'filter',
      hook: 'prerouting',
      prio: RAW,
      rules: [[...outer('daddr', 'saddr', data), { notrack: null }]],
    },
    {
      name: 'send',
      type: 'filter',
      hook: 'output',
      prio: RAW,
      rules: [
        [...outer('saddr', 'daddr', data), { notrack: null }],
        ...(data.port === undefined ? [holdBackUnreachable(data)] : []),
      ],
    },
    ...(data.clampMss ? clampChains(data) : []),
    ...(data.tun === undefined
      ? []
      : [
          {
            name: 'keep',
            type: 'nat',
            hook: 'postrouting',
            prio: OWN_SOURCE_NAT,
            rules: keepSource(data, data.tun),
          } as const,
        ]),
    {
      name: 'postrouting',
      type: 'nat',
      hook: 'postrouting',
      prio: SOURCE_NAT,
      rules: [masquerade(data, PROBE_SOURCE, { port: { range: OTHER_PORTS } }), masquerade(data)],
    },
  ];
}

function additions(data: NatData): object[] {
  const { table } = data;
  return ownChains(data).flatMap(({ rules, ...chain }) => [
    addition('chain', { family: FAMILY, table, ...chain, ...(chain.hook && { policy: 'accept' }) }),
    ...rules.map((expr) => addition('rule', { family: FAMILY, table, chain: chain.name, expr })),
  ]);
}

/** Matches outer packets between this host, which is their `ours` address, and the underlay. */
function outer(ours: 'saddr' | 'daddr', theirs: 'saddr' | 'daddr', data: NatData): NftExpression[] {
  return [
    data.port === undefined ? match(field('ip', 'protocol'), IPIP) : match(field('udp', 'dport'), data.port),
    match(field('ip', ours), data.address),
    match(field('ip', theirs), network(data.underlay)),
  ];
}

/** Of what `matches` as well. */
function masquerade(
  { slice, overlay, bridge }: NatData,
  matches: NftExpression[] = [],
  to: object | null = null,
): NftExpression[] {
  return [
    match(field('ip', 'saddr'), network(slice)),
    match(field('ip', 'daddr'), network(overlay), '!='),
    match(meta('oifname'), bridge, '!='),
    ...matches,
    { counter: null },
    { masquerade: to },
  ];
}

/** Both ways: what leaves by the TUN with an address of the slice, and what the TUN brings to the bridge. */
function keepSource({ slice, overlay, bridge }: NatData, tun: string): NftExpression[][] {
  const asItIs = { snat: { addr: field('ip', 'saddr') } };
  return [
    [
      match(meta('oifname'), tun),
      match(field('ip', 'saddr'), network(slice)),
      match(field('ip', 'daddr'), network(overlay)),
      asItIs,
    ],
    [match(meta('iifname'), tun), match(meta('oifname'), bridge), asItIs],
  ];
}

/** A SYN is asked for first: all else that is forwarded leaves after one rule. */
function clampChains(data: NatData): OwnChain[] {
  const isSyn = match({ '&': [field('tcp', 'flags'), ['syn', 'rst']] }, 'syn');
  return [
    { name: ANNOUNCED, rules: lowerMss(data) },
    {
      name: 'clamp',
      type: 'filter',
      hook: 'forward',
      prio: MANGLE,
      rules: [[isSyn, { jump: { target: ANNOUNCED } }]],
    },
  ];
}

/** Of what goes from the bridge to another device, and back; never raised (the kernel's nft_exthdr sees to it). */
function lowerMss({ bridge }: NatData): NftExpression[][] {
  return (['iifname', 'oifname'] as const).map((key) => [
    match(meta(key), bridge),
    match(meta(key === 'iifname' ? 'oifname' : 'iifname'), bridge, '!='),
    {
      mangle: {
        key: { 'tcp option': { name: 'maxseg', field: 'size' } },
        // The least of the route onward and the route back.
        value: { rt: { key: 'mtu' } },
      },
    },
  ]);
}

function holdBackUnreachable({ address, underlay }: NatData): NftExpression[] {
  return [
    // First, so that all but ICMP leaves the rule at once.
    match(field('icmp', 'type'), 'destination-unreachable'),
    match(field('ip', 'saddr'), address),
    match(field('ip', 'daddr'), network(underlay)),
    match(field('icmp', 'code'), PORT_UNREACHABLE),
    match({ payload: QUOTED_PROTOCOL }, IPIP),
    { counter: null },
    { drop: null },
  ];
}

function network(text: string): object {
  const { base, length } = parsePrefix(text);
  return { prefix: { addr: formatAddress(base), len: length } };
}

function addition(kind: string, what: object): object {
  return { add: { [kind]: what } };
}

async function exists(table: string): Promise<boolean> {
  return (await readRuleset()).tables.some((t) => t.family === FAMILY && t.name === table);
}
