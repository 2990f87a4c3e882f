/**
 * What the paths without fanctl have in common: the bridge with the slice's gateway that `fanctl up` would make,
 * containers on it, and a host that forwards.
 */
import { parseNetwork } from '../lab/address.js';
import type { Container, Host } from '../lab/host.js';
import type { Lab } from '../lab/lab.js';
import type { PathEnds } from './path.js';

/** Not the usual 250.0.0.0/8: iperf 2 takes everything from 224 up for multicast. */
export const OVERLAY = '99.0.0.0/8';
/** Of a container, where the underlay is a /16. */
export const SLICE_LENGTH = 24;
const BRIDGE = 'br0';

/** Address `n` of the host's slice: 172.30.0.28 has 99.0.28.n. */
export function sliceAddress(host: Host, n: number): string {
  const { length } = parseNetwork(host.underlay);
  if (length !== SLICE_LENGTH - 8) throw new Error(`the lab's underlay is ${host.underlay}, not a /16`);
  return `${OVERLAY.split('.')[0]}.${host.address.split('.').slice(2).join('.')}.${n}`;
}

export function sliceOf(host: Host): string {
  return `${sliceAddress(host, 0)}/${SLICE_LENGTH}`;
}

/** Bridge, gateway and containers; both directions of forwarding are left to the path's routes. */
export async function buildSlice(host: Host, mtu: number): Promise<void> {
  const gateway = sliceAddress(host, 1);
  await host.sysctl('net/ipv4/ip_forward', 1);
  await host.ip(
    `link add ${BRIDGE} mtu ${mtu} type bridge`,
    `address add ${gateway}/${SLICE_LENGTH} dev ${BRIDGE}`,
    `link set ${BRIDGE} up`,
  );
  for (const container of host.containers) {
    const address = `${sliceAddress(host, 1 + container.index)}/${SLICE_LENGTH}`;
    await container.attach({ bridge: BRIDGE, address, gateway, mtu });
  }
}

/** The first container of host 1 and that of host 2. */
export function containerEnds(lab: Lab): PathEnds {
  const server: Container = lab.host(2).container(1);
  return {
    client: lab.host(1).container(1),
    server,
    serverAddress: sliceAddress(server.host, 2),
  };
}

/** Every ordered pair of different hosts. */
export function hostPairs(lab: Lab): [Host, Host][] {
  return lab.hosts.flatMap((host) => {
    return lab.hosts.filter((peer) => peer !== host).map((peer): [Host, Host] => [host, peer]);
  });
}
