/**
 * Step of a layer-2 fan: the guard of its bridge's ports, a table of nftables of the family bridge. What comes to the host
 * by the bridge, the guard (guard-step.ts) judges by its address alone; here the port is known.
 *
 *   by the tunnel    not with the MAC of the bridge, of the tunnel, or of what a local port has sent of late: else one
 *                    frame would lead a local container's traffic into the tunnel. Whom an address belongs to, the walk looks at
 *   by other ports   IPv4 and ARP with an address of the overlay: the slice's only; no stacked VLAN tags
 *
 * Not every kernel can tell of which bridge a port is (NFT_BRIDGE_META), so this is asked of the ports of all: no other has
 * the overlay, and that other MACs are known too changes nothing.
 *
 * The MACs of local ports the kernel keeps by itself, in a set: it knows them whether fand runs or not.
 */
import { formatAddress } from '../../addr/ipv4-address.js';
import { parsePrefix } from '../../addr/prefix.js';
import { FanError } from '../../base/error.js';
import { type GuardReason, guardCounter, LAYER2_REASONS } from '../firewall/guard.js';
import {
  changeRuleset,
  field,
  match,
  meta,
  type NftExpression,
  type Ruleset,
  readRuleset,
} from '../firewall/nft.js';
import { run } from '../run.js';
import { VLAN_TAGS } from './isolate-rules.js';
import type { StepKind } from './step.js';

export interface Layer2GuardData {
  /** As the guard's of the same fan. */
  readonly key: string;
  readonly table: string;
  readonly bridge: string;
  readonly tap: string;
  readonly overlay: string;
  readonly slice: string;
  /** MACs that come from nowhere else: the bridge's and the tunnel's. */
  readonly own: readonly string[];
}

export const LAYER2_FAMILY = 'bridge';
const CHAIN = 'prerouting';
/** Before br_netfilter (0) hands frames to the rules of IPv4, as others do at dstnat (−300). */
const FIRST = -310;
/** Set of MACs. */
const LOCAL = 'local';
/** How long a port may be silent: longer than the bridge remembers it by default (300 s). */
const REMEMBERED_S = 3600;
const MOST_REMEMBERED = 65_535;

export const layer2GuardStep: StepKind<Layer2GuardData> = {
  describe: ({ bridge }) => `guard the ports of ${bridge}`,

  async apply(data) {
    const { table } = data;
    const rules = rulesOf(data);
    // As text, since the JSON of nft 1.0 has no word for a set that rules fill. Added, deleted, added: it replaces
    // whatever stands there.
    await run('nft', [[...renewal(table), setOf(table)].join('; ')]);
    await changeRuleset([
      ...LAYER2_REASONS.map((reason) => add(data, 'counter', { name: guardCounter(reason, data.key) })),
      add(data, 'chain', { name: CHAIN, type: 'filter', hook: 'prerouting', prio: FIRST, policy: 'accept' }),
      ...rules.map((expr) => add(data, 'rule', { chain: CHAIN, expr })),
    ]);
    const [missing] = missingFromLayer2Guard(await readRuleset(), data);
    if (missing !== undefined)
      throw new FanError('step-failed', `table ${LAYER2_FAMILY} ${table} lacks ${missing}`);
  },

  async undo({ table }) {
    if (isThere(await readRuleset(), table)) await changeRuleset(removal(table));
    return undefined;
  },
};

function renewal(table: string): string[] {
  const named = `table ${LAYER2_FAMILY} ${table}`;
  return [`add ${named}`, `delete ${named}`, `add ${named}`];
}

function setOf(table: string): string {
  const words = `type ether_addr; flags dynamic,timeout; timeout ${REMEMBERED_S}s; size ${MOST_REMEMBERED};`;
  return `add set ${LAYER2_FAMILY} ${table} ${LOCAL} { ${words} }`;
}

/** What of it is not there, in words; empty where all of it is. */
export function missingFromLayer2Guard(ruleset: Ruleset, data: Layer2GuardData): string[] {
  if (!isThere(ruleset, data.table)) return ['everything: it is gone'];
  const want = rulesOf(data).length;
  const have = ruleset.rules.filter(
    ({ family, table, chain }) => family === LAYER2_FAMILY && table === data.table && chain === CHAIN,
  ).length;
  return have < want ? [`${want - have} of ${want} rules of ${CHAIN}`] : [];
}

function rulesOf({ key, tap, overlay, slice, own }: Layer2GuardData): NftExpression[][] {
  const drop = (reason: GuardReason): NftExpression[] => [
    { counter: guardCounter(reason, key) },
    { drop: null },
  ];
  const sender = field('ether', 'saddr');
  const byTunnel = match(meta('iifname'), tap);
  const stranger = (source: NftExpression): NftExpression[] => [
    match(source, network(overlay)),
    match(source, network(slice), '!='),
    ...drop('bridge-source'),
  ];
  return [
    [byTunnel, match(sender, { set: [...own] }), ...drop('local-mac')],
    [byTunnel, match(sender, `@${LOCAL}`), ...drop('local-mac')],
    [byTunnel, { accept: null }],
    [{ set: { op: 'update', elem: sender, set: `@${LOCAL}` } }],
    stranger(field('ip', 'saddr')),
    stranger(field('arp', 'saddr ip')),
    // Behind a second tag neither is seen; who gets the frame takes those of priority off, as many as there are.
    [match(meta('protocol'), { set: VLAN_TAGS }), ...drop('bridge-source')],
  ];
}

function add({ table }: Layer2GuardData, kind: string, what: object): object {
  return { add: { [kind]: { family: LAYER2_FAMILY, table, ...what } } };
}

function removal(table: string): object[] {
  const named = { table: { family: LAYER2_FAMILY, name: table } };
  return [{ add: named }, { delete: named }];
}

function isThere({ tables }: Ruleset, table: string): boolean {
  return tables.some(({ family, name }) => family === LAYER2_FAMILY && name === table);
}

function network(text: string): object {
  const { base, length } = parsePrefix(text);
  return { prefix: { addr: formatAddress(base), len: length } };
}
