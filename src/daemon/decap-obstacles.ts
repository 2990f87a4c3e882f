/**
 * Why decap of a fan is not the kernel's at present, though its programs are there: for `show`. The worker finds the
 * same by the kernel's notifications, and acts (io/netlink/early-chains.ts, io/programs/bridge-exit.ts).
 */
import { findDevice } from '../io/netlink/device-index.js';
import { chainPassedBy, readEarlyChains } from '../io/netlink/early-chains.js';
import { IpsecPolicies } from '../io/netlink/ipsec-policies.js';
import { qdiscPassedBy, readQdiscs } from '../io/netlink/traffic-control.js';

/** Asked by every fan over VXLAN. */
const policies = new IpsecPolicies();

export interface DecapOfFan {
  id: string;
  overVxlan: boolean;
  underlayDevice: string;
  bridge: string;
  /** Where the programs are attached, by index. */
  at: { underlay: number; bridge: number };
}

/** By the fan's id, of those that have one. Throws an Error with {code, errno, syscall} where the kernel can't be asked. */
export function decapObstacles(fans: readonly DecapOfFan[]): Record<string, string> {
  if (fans.length === 0) return {};
  const chains = readEarlyChains();
  const qdiscs = readQdiscs();
  const found: Record<string, string> = {};
  for (const { id, overVxlan, underlayDevice, bridge, at } of fans) {
    const chain = chainPassedBy(chains, underlayDevice);
    const qdisc = qdiscPassedBy(qdiscs, at);
    if (isAnother(underlayDevice, at.underlay)) found[id] = remade(underlayDevice);
    else if (isAnother(bridge, at.bridge)) found[id] = remade(bridge);
    else if (overVxlan && policies.exist()) found[id] = "packets would pass by this host's IPsec policies";
    else if (chain !== undefined) found[id] = `packets would pass by the chain ${chain}`;
    else if (qdisc !== undefined) {
      const device = qdisc.device === at.bridge ? bridge : underlayDevice;
      found[id] = `packets would pass by the ${qdisc.kind} of tc at ${device}`;
    }
  }
  return found;
}

function isAnother(name: string, index: number): boolean {
  return findDevice(name)?.index !== index;
}

function remade(device: string): string {
  return `${device} was made anew, and will be attached to`;
}
