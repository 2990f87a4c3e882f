/**
 * overlay-nat: does NAT change an address of what goes from one container to another? The fan tells who sent a packet by
 * its source, and so do its users: a masquerade between bridge and TUN makes all containers of a host look like its
 * gateway, and a translated destination is another container's, or none's.
 *
 * The fan's own chain keeps sources from every chain that comes after it (host/steps/nat-step.ts); what is found here
 * comes before it, or translates destinations, or stands where our table was flushed.
 */
import { formatAddress } from '../../addr/ipv4-address.js';
import { samePrefix, without } from '../../addr/prefix.js';
import type { BaseChain, PacketKind } from '../../host/firewall/packet-verdict.js';
import { findRewrite, type Rewrite } from '../../host/firewall/translation.js';
import type { FanPlan } from '../../host/steps/fan-steps.js';
import { OWN_SOURCE_NAT } from '../../host/steps/nat-step.js';
import { type Check, FIX, type Finding, fail, ok, warn } from './finding.js';
import { containerWays, PROTOCOLS, type Way } from './inner-drops.js';

/** As of a packet that the host itself sends, without a device by which it comes in. */
export type NatWay = Omit<Way, 'input'> & { readonly input?: string };

export interface WayRewrite {
  readonly rewrite: Rewrite;
  /** What the address becomes, in words. */
  readonly to: string;
  /** Of which packets: "packets", "TCP and UDP". */
  readonly names: string;
  /** Of every protocol. */
  readonly isWhole: boolean;
}

export const overlayNat: Check = {
  name: 'overlay-nat',
  severity: 'major',
  examine: async (patient) => {
    const bases = await patient.firewall();
    return (await patient.eachFan(async ({ plan }) => examineNat(bases, plan))).flat();
  },
};

/** Both ways between containers of this host and all others: what is translated, or one finding that nothing is. */
export function examineNat(bases: readonly BaseChain[], plan: FanPlan): Finding[] {
  const found = containerWays(plan, plan.mapping.overlay).flatMap((way) => examineWayNat(bases, plan, way));
  if (found.length > 0) return found;
  return [ok(`no NAT changes the addresses of what goes between ${plan.bridge} and ${plan.tun}`)];
}

/** None where the packets keep their addresses. */
export function examineWayNat(bases: readonly BaseChain[], plan: FanPlan, way: Way): Finding[] {
  const found = findWayRewrite(bases, plan, way);
  if (!found) return [];
  const { rewrite, to, names } = found;
  const { direction } = way;
  const becomes = rewrite.end === 'source' ? `have ${to} as their source` : `go to ${to} instead`;
  const what = `rewritten by ${rewrite.by}: ${names} from ${way.input} to ${way.output} ${becomes}`;
  if (!rewrite.isSure) return [{ ...warn(`perhaps ${what}`, remedyOf(rewrite, way)), direction }];
  // Our own chain, where it stands, comes before it.
  const isOurs = rewrite.end === 'source' && rewrite.base.priority > OWN_SOURCE_NAT;
  if (isOurs) return [{ ...fail(what, FIX, { repairs: ['nat'] }), direction }];
  return [{ ...fail(what, remedyOf(rewrite, way)), direction }];
}

function remedyOf({ base }: Rewrite, { source, destination }: NatWay): string {
  return base.exemption(source, destination);
}

/** What NAT makes of packets on `way`; a sure one of all protocols, if there is any. It sees none that is not tracked. */
export function findWayRewrite(
  bases: readonly BaseChain[],
  plan: FanPlan,
  way: NatWay,
): WayRewrite | undefined {
  if (way.state === 'untracked') return undefined;
  const found = PROTOCOLS.flatMap(([name, protocol]) => {
    const rewrite = rewriteOn(bases, plan, way, protocol);
    return rewrite && !isSame(rewrite, plan, way) ? [{ name, rewrite }] : [];
  });
  const worst = found.find(({ rewrite }) => rewrite.isSure) ?? found[0];
  if (!worst) return undefined;
  const { rewrite } = worst;
  const alike = found.filter((one) => one.rewrite.by === rewrite.by && one.rewrite.isSure === rewrite.isSure);
  const isWhole = alike.length === PROTOCOLS.length;
  const names = isWhole ? 'packets' : alike.map(({ name }) => name).join(' and ');
  return { rewrite, to: newAddress(rewrite, plan), names, isWhole };
}

/** The kernel's masquerade takes an address of the device by which packets leave: bridge and TUN have the gateway's. */
function newAddress({ end, to }: Rewrite, { mapping }: FanPlan): string {
  return to ?? (end === 'source' ? formatAddress(mapping.gateway) : 'this host');
}

/** Translated to what it is. */
function isSame(rewrite: Rewrite, plan: FanPlan, { source, destination }: NatWay): boolean {
  const { base, length } = rewrite.end === 'source' ? source : destination;
  return length === 32 && newAddress(rewrite, plan) === formatAddress(base);
}

/** What is not sure of all the overlay is asked of the parts of it that are not ours. */
function rewriteOn(
  bases: readonly BaseChain[],
  { mapping: { overlay, slice } }: FanPlan,
  way: NatWay,
  protocol: number,
): Rewrite | undefined {
  const whole = rewriteAt(bases, way, protocol);
  const end = (['source', 'destination'] as const).find((one) => samePrefix(way[one], overlay));
  if (!whole || whole.isSure || !end) return whole;
  const parts = without(overlay, slice).map((part) => rewriteAt(bases, { ...way, [end]: part }, protocol));
  if (parts.every((part) => part === undefined)) return undefined;
  return parts.every((part) => part?.isSure) ? parts[0] : whole;
}

function rewriteAt(bases: readonly BaseChain[], way: NatWay, protocol: number): Rewrite | undefined {
  const { input, output, source, destination } = way;
  const packet: PacketKind = { source, destination, protocol, state: 'new', isForwarded: true };
  const cameIn = input === undefined ? {} : { input };
  const found = [
    input === undefined
      ? findRewrite(bases, 'output', { ...packet, output })
      : findRewrite(bases, 'prerouting', { ...packet, input }),
    findRewrite(bases, 'postrouting', { ...packet, ...cameIn, output }),
  ];
  return found.find((one) => one?.isSure) ?? found.find((one) => one !== undefined);
}
