/**
 * The network under the hosts: a bridge in a namespace of its own, and a veth to eth0 of every host. Whether the
 * veths behave as a NIC does is the profile's matter.
 */
import type { Host } from './host.js';
import { awaitLinks } from './links.js';
import type { Namespace } from './namespace.js';

/**
 * - nic-like: no segmentation offload on sending, merging (GRO) on receiving, at both ends of each veth: as a
 *   NIC that doesn't know tunnels. Nothing longer than the MTU passes the wire.
 * - offload: as the kernel makes a veth, which passes 64 kB super-packets uncut; no wire does.
 */
export type Profile = 'nic-like' | 'offload';
export const PROFILES: readonly Profile[] = ['nic-like', 'offload'];

const NIC_LIKE = ['tso', 'off', 'gso', 'off', 'tx-udp-segmentation', 'off', 'gro', 'on'];
const BRIDGE = 'underlay';

/** The switch's end of a host's veth. */
export function portOf(host: Host): string {
  return `h${host.index}`;
}

/** A switch has no netfilter: where the kernel would show its bridge's packets to iptables, it shall not. */
const NO_NETFILTER = ['ip', 'ip6', 'arp'].map(
  (family) =>
    `if [ -e /proc/sys/net/bridge/bridge-nf-call-${family}tables ]; then ` +
    `echo 0 > /proc/sys/net/bridge/bridge-nf-call-${family}tables; fi`,
);

/** Makes bridge and veths, which pass packets then; no device exists outside the lab's namespaces, not even for a moment. */
export async function buildUnderlay(wire: Namespace, hosts: readonly Host[], mtu: number, profile: Profile) {
  await wire.ip(
    `link add ${BRIDGE} mtu ${mtu} type bridge forward_delay 0 mcast_snooping 0`,
    `link set ${BRIDGE} up`,
    ...hosts.flatMap((host) => [
      `link add ${portOf(host)} mtu ${mtu} type veth peer name eth0 mtu ${mtu} netns ${host.name}`,
      `link set ${portOf(host)} master ${BRIDGE} up`,
    ]),
  );
  await wire.exec(['sh', '-c', NO_NETFILTER.join('; ')]);
  await Promise.all(
    hosts.map(async (host) => {
      await host.ip(
        'link set lo up',
        `address add ${host.underlay} broadcast + dev eth0`,
        'link set eth0 up',
      );
      if (profile === 'nic-like') {
        await wire.exec(['ethtool', '-K', portOf(host), ...NIC_LIKE]);
        await host.exec(['ethtool', '-K', 'eth0', ...NIC_LIKE]);
      }
      await awaitLinks(host.name, 'eth0');
    }),
  );
  await awaitLinks(wire.name, ...hosts.map(portOf), BRIDGE);
}

/** The containers' veths, with the host's end loose: a bridge takes it later. */
export async function buildContainers(host: Host): Promise<void> {
  if (host.containers.length === 0) return;
  await host.ip(
    ...host.containers.map((container) => {
      return `link add ${container.port} type veth peer name eth0 netns ${container.name}`;
    }),
  );
  await Promise.all(host.containers.map((container) => container.ip('link set lo up')));
}

/** A TAP as one more port of the switch, for a machine that is not a namespace. */
export async function addPort(wire: Namespace, name: string, mtu: number): Promise<void> {
  await wire.ip(
    `tuntap add ${name} mode tap`,
    `link set ${name} mtu ${mtu} master ${BRIDGE}`,
    `link set ${name} up`,
  );
}
