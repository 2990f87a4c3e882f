/**
 * Step: the fan's own nftables table.
 *
 * receive and send keep outer packets out of connection tracking, which our NAT would otherwise turn on for each of
 * them: there is no connection to know of, and every one of them would be looked up, twice on its way.
 * postrouting masquerades what leaves the slice for anywhere but the overlay, on whichever device it leaves by; never from
 * the port of probes, by which a peer's fand knows that it speaks to a host (diagnosis/probe/probe-socket.ts).
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
  readonly slice: string;
  readonly overlay: string;
  readonly underlay: string;
  /** This host's underlay address. */
  readonly address: string;
}

const FAMILY = 'ip';
/** Priorities of hooks, linux/netfilter_ipv4.h. */
const RAW = -300;
const SOURCE_NAT = 100;
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
      ...chains(data),
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

function chains(data: NatData): object[] {
  const { table } = data;
  const chain = (name: string, type: string, hook: string, prio: number) =>
    addition('chain', { family: FAMILY, table, name, type, hook, prio, policy: 'accept' });
  const rule = (name: string, expr: NftExpression[]) =>
    addition('rule', { family: FAMILY, table, chain: name, expr });
  return [
    chain('receive', 'filter', 'prerouting', RAW),
    rule('receive', [...outer('daddr', 'saddr', data), { notrack: null }]),
    chain('send', 'filter', 'output', RAW),
    rule('send', [...outer('saddr', 'daddr', data), { notrack: null }]),
    rule('send', holdBackUnreachable(data)),
    chain('postrouting', 'nat', 'postrouting', SOURCE_NAT),
    rule('postrouting', masquerade(data, PROBE_SOURCE, { port: { range: OTHER_PORTS } })),
    rule('postrouting', masquerade(data)),
  ];
}

/** Matches outer packets between this host, which is their `ours` address, and the underlay. */
function outer(ours: 'saddr' | 'daddr', theirs: 'saddr' | 'daddr', data: NatData): NftExpression[] {
  return [
    match(field('ip', 'protocol'), IPIP),
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
