/**
 * Step: let the fan's packets through the host's own firewall, where a chain of it could drop them (iptables FORWARD
 * and INPUT, DOCKER-USER, ufw, firewalld, plain nftables): bridge to TUN and back, protocol 4 (or VXLAN's port) and probes (udp/8326)
 * from the underlay by its device, DHCP (and DNS) from the containers.
 *
 * Each rule has the comment `ufan <bridge>`, by which `down` finds it again; a firewall that was flushed or loaded
 * anew has none. The rules use only what iptables-nft can read back, or it would refuse to show its own table.
 */
import { parseAddress } from '../../addr/ipv4-address.js';
import { errorText, FanError } from '../../base/error.js';
import { NAME_PORT } from '../../base/name-port.js';
import { PROBE_PORT } from '../../base/probe-port.js';
import { insertLegacy, type LegacyRule, removeLegacy } from '../firewall/legacy.js';
import {
  changeRuleset,
  field,
  match,
  meta,
  type NftChain,
  type NftExpression,
  type Ruleset,
  readRuleset,
} from '../firewall/nft.js';
import { readDevices } from '../links.js';
import { arrivalDevice } from '../underlay.js';
import { chainsThatDrop, type Hook } from './firewall-chains.js';
import type { StepKind } from './step.js';

export interface FirewallData {
  readonly bridge: string;
  readonly tun: string;
  /** The underlay's network, [address, length]. */
  readonly underlay: readonly [string, number];
  /** This host's underlay address. */
  readonly address: string;
  readonly dhcp: boolean;
  readonly underlayDevice?: string;
  /** UDP port of a VXLAN fan; absent for IP-in-IP. */
  readonly port?: number;
  /** Set where the TUN is a port of the bridge. */
  readonly layer2?: boolean;
  /** By which outer packets come in, as INPUT sees it; undefined where that is no one device, or an older fand looked. */
  readonly arrival?: string;
  /** The fan's gateway, where fands of other hosts ask it for names; undefined where they don't. */
  readonly gateway?: string;
  /** Those before it was renamed: rules of the old iptables are found by their words alone. */
  readonly earlier?: readonly string[];
}

/** One accept, in words that both back ends can say. */
interface Accept {
  readonly in?: string;
  readonly out?: string;
  readonly from?: readonly [string, number];
  readonly to?: string;
  readonly protocol?: 'ipip';
  readonly port?: readonly ['udp' | 'tcp', number];
}

const IPIP = 4;
const DHCP_SERVER = 67;
const DNS = 53;

export const firewallStep: StepKind<FirewallData> = {
  describe: ({ bridge }) => `open the firewall for ${bridge}`,

  prepare: withArrival,
  renew: withArrival,

  async apply(data) {
    const ruleset = await readRuleset();
    const comment = commentOf(data);
    const insertions = [
      ...chainsThatDrop(ruleset, 'forward').flatMap((chain) =>
        insertion(chain, forwardAccepts(data), comment),
      ),
      ...chainsThatDrop(ruleset, 'input').flatMap((chain) => insertion(chain, inputAccepts(data), comment)),
    ];
    await change([...deletions(ruleset, comment), ...insertions]);
    await insertLegacy('FORWARD', legacyRules(forwardAccepts(data), comment));
    await insertLegacy('INPUT', legacyRules(inputAccepts(data), comment));
    if (insertions.length === 0) return;
    const standing = deletions(await readRuleset(), comment).length;
    if (standing !== insertions.length) {
      throw new FanError('step-failed', `${standing} of ${insertions.length} firewall rules are there`);
    }
  },

  async undo(data) {
    const comment = commentOf(data);
    await change(deletions(await readRuleset(), comment));
    await removeLegacy('FORWARD', legacyRules(forwardAccepts(data), comment));
    for (const arrival of [data.arrival, ...(data.earlier ?? [])]) {
      const then = { ...data, ...(arrival === undefined ? {} : { arrival }) };
      await removeLegacy('INPUT', legacyRules(inputAccepts(then), comment));
    }
    return undefined;
  },
};

async function withArrival({ arrival: before, ...data }: FirewallData): Promise<FirewallData> {
  const arrival = await arrivalAtInput(data);
  const isRenamed = before !== undefined && before !== arrival;
  return {
    ...data,
    ...(arrival === undefined ? {} : { arrival }),
    ...(isRenamed ? { earlier: [...(data.earlier ?? []), before] } : {}),
  };
}

/** Of a port of a VRF, INPUT sees the VRF. */
async function arrivalAtInput({ address, underlayDevice }: FirewallData): Promise<string | undefined> {
  if (underlayDevice === undefined) return undefined;
  const devices = await readDevices();
  const { links } = devices;
  const device = arrivalDevice(parseAddress(address), underlayDevice, devices);
  const master = links.find(({ name }) => name === device)?.master;
  return links.find(({ name, kind }) => name === master && kind === 'vrf')?.name ?? device;
}

/** Chains that could drop the fan's packets and lack rules of ours, each with how many, in words. */
export function missingAccepts(ruleset: Ruleset, data: FirewallData): string[] {
  const comment = commentOf(data);
  const lacking = (hook: Hook, wanted: number): string[] =>
    chainsThatDrop(ruleset, hook).flatMap(({ family, table, name }) => {
      const has = ruleset.rules.filter(
        (rule) =>
          rule.comment === comment && rule.family === family && rule.table === table && rule.chain === name,
      ).length;
      return has < wanted ? [`${wanted - has} of ${wanted} accepts in chain ${family} ${table} ${name}`] : [];
    });
  return [...lacking('forward', forwardAccepts(data).length), ...lacking('input', inputAccepts(data).length)];
}

function commentOf({ bridge }: FirewallData): string {
  return `ufan ${bridge}`;
}

function forwardAccepts({ bridge, tun, layer2 }: FirewallData): Accept[] {
  return [
    { in: bridge, out: tun },
    { in: tun, out: bridge },
    // What ports of the bridge send each other passes here too where br_netfilter is loaded.
    ...(layer2 ? [{ in: bridge, out: bridge }] : []),
  ];
}

function inputAccepts(data: FirewallData): Accept[] {
  const { bridge, tun, underlay, address, dhcp, arrival, gateway, port, layer2 } = data;
  const dns: Accept[] = [
    { in: bridge, port: ['udp', DNS] },
    { in: bridge, port: ['tcp', DNS] },
  ];
  const outer = { ...(arrival === undefined ? {} : { in: arrival }), from: underlay, to: address };
  return [
    port === undefined ? { ...outer, protocol: 'ipip' } : { ...outer, port: ['udp', port] },
    { ...outer, port: ['udp', PROBE_PORT] },
    { in: bridge, port: ['udp', DHCP_SERVER] },
    ...(dhcp ? dns : []),
    ...(gateway === undefined
      ? []
      : [{ in: layer2 ? bridge : tun, to: gateway, port: ['udp', NAME_PORT] as const }]),
  ];
}

async function change(commands: readonly object[]): Promise<void> {
  try {
    await changeRuleset(commands);
  } catch (cause) {
    if (!/not permitted/.test(errorText(cause))) throw cause;
    throw new FanError(
      'step-failed',
      `${errorText(cause)}; where firewalld keeps its table to itself: NftablesTableOwner=no in /etc/firewalld/firewalld.conf`,
      { cause },
    );
  }
}

/** Commands that delete what carries the comment, wherever it stands. */
function deletions(ruleset: Ruleset, comment: string): object[] {
  return ruleset.rules
    .filter((rule) => rule.comment === comment)
    .map(({ family, table, chain, handle }) => ({ delete: { rule: { family, table, chain, handle } } }));
}

function insertion({ family, table, name }: NftChain, accepts: readonly Accept[], comment: string): object[] {
  return accepts.map((accept) => ({
    insert: { rule: { family, table, chain: name, comment, expr: nftRule(accept) } },
  }));
}

function nftRule(accept: Accept): NftExpression[] {
  const rule: NftExpression[] = [];
  if (accept.in !== undefined) rule.push(match(meta('iifname'), accept.in));
  if (accept.out !== undefined) rule.push(match(meta('oifname'), accept.out));
  if (accept.from) {
    const [addr, len] = accept.from;
    rule.push(match(field('ip', 'saddr'), { prefix: { addr, len } }));
  }
  if (accept.to !== undefined) rule.push(match(field('ip', 'daddr'), accept.to));
  if (accept.protocol) rule.push(match(field('ip', 'protocol'), IPIP));
  if (accept.port) rule.push(match(field(accept.port[0], 'dport'), accept.port[1]));
  return [...rule, { counter: null }, { accept: null }];
}

function legacyRules(accepts: readonly Accept[], comment: string): LegacyRule[] {
  return accepts.map((accept) => [
    ...(accept.in === undefined ? [] : ['-i', accept.in]),
    ...(accept.out === undefined ? [] : ['-o', accept.out]),
    ...(accept.from ? ['-s', accept.from.join('/')] : []),
    ...(accept.to === undefined ? [] : ['-d', accept.to]),
    ...(accept.protocol ? ['-p', String(IPIP)] : []),
    ...(accept.port ? ['-p', accept.port[0], '--dport', String(accept.port[1])] : []),
    ...['-m', 'comment', '--comment', comment, '-j', 'ACCEPT'],
  ]);
}
