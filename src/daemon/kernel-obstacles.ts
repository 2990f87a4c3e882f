/**
 * Why decap or encap of a fan is not the kernel's at present, though its programs are there: for `show`. The worker finds the
 * same by the kernel's notifications, and acts (io/netlink/early-chains.ts, io/programs/bridge-exit.ts).
 */
import { findDevice } from '../io/netlink/device-index.js';
import { chainPassedBy, type EarlyChain, readEarlyChains } from '../io/netlink/early-chains.js';
import { IpsecPolicies } from '../io/netlink/ipsec-policies.js';
import type { Qdisc } from '../io/netlink/rtnetlink.js';
import { qdiscPassedBy, readQdiscs } from '../io/netlink/traffic-control.js';

/** Asked by every fan over VXLAN. */
const policies = new IpsecPolicies();

export interface ProgramsOfFan {
  id: string;
  overVxlan: boolean;
  underlayDevice: string;
  bridge: string;
  /** Where the programs are attached, by index. */
  at: { underlay: number; bridge: number };
}

/**
 * By the fan's id, of those that have some: "decap in fand: …". Throws an Error with {code, errno, syscall} where the kernel
 * can't be asked.
 */
export function kernelObstacles(fans: readonly ProgramsOfFan[]): Record<string, string[]> {
  if (fans.length === 0) return {};
  const chains = readEarlyChains();
  const qdiscs = readQdiscs();
  const found = fans.map((fan) => [fan.id, obstaclesOf(fan, chains, qdiscs)] as const);
  return Object.fromEntries(found.filter(([, obstacles]) => obstacles.length > 0));
}

function obstaclesOf(
  { overVxlan, underlayDevice, bridge, at }: ProgramsOfFan,
  chains: readonly EarlyChain[],
  qdiscs: readonly Qdisc[],
): string[] {
  const where = overVxlan ? 'by the VXLAN device' : 'in fand';
  const [ingress, egress] = (['in', 'out'] as const).map((way) => chainPassedBy(chains, underlayDevice, way));
  const qdisc = qdiscPassedBy(qdiscs, at);
  const others = egress === undefined ? [] : [`encap ${where}: ${passedBy(`the chain ${egress}`)}`];
  const decap = (why: string) => [`decap ${where}: ${why}`, ...others];
  if (isAnother(underlayDevice, at.underlay)) return decap(remade(underlayDevice));
  if (isAnother(bridge, at.bridge)) return decap(remade(bridge));
  if (overVxlan && policies.existAnyWay()) return [`all ${where}: ${passedBy("this host's IPsec policies")}`];
  if (ingress !== undefined) return decap(passedBy(`the chain ${ingress}`));
  if (qdisc === undefined) return others;
  return decap(
    passedBy(`the ${qdisc.kind} of tc at ${qdisc.device === at.bridge ? bridge : underlayDevice}`),
  );
}

function passedBy(what: string): string {
  return `packets would pass by ${what}`;
}

function isAnother(name: string, index: number): boolean {
  return findDevice(name)?.index !== index;
}

function remade(device: string): string {
  return `${device} was made anew, and will be attached to`;
}
