/**
 * The tunnel that every stock kernel has: a VXLAN device in each host, slices routed over it.
 */
import type { Host } from '../lab/host.js';
import type { Lab } from '../lab/lab.js';
import type { BenchPath } from './path.js';
import { buildSlice, containerEnds, hostPairs, OVERLAY, sliceOf } from './slice.js';

/** Outer Ethernet, IPv4, UDP and VXLAN headers. */
const OVERHEAD = 50;
const DEVICE = 'vxlan0';

export const vxlan: BenchPath = {
  name: 'vxlan',
  title: 'kernel VXLAN',
  kind: 'kernel',
  async setUp(lab) {
    const mtu = lab.mtu - OVERHEAD;
    await Promise.all(lab.hosts.map((host) => buildSlice(host, mtu)));
    await Promise.all(lab.hosts.map((host) => buildDevice(lab, host, mtu)));
    await Promise.all(
      hostPairs(lab).map(([host, peer]) => {
        return host.ip(`route add ${sliceOf(peer)} via ${tunnelAddress(peer)} dev ${DEVICE}`);
      }),
    );
    return containerEnds(lab);
  },
};

/** On hosts that let their containers out, as a fan does: the masquerade has the kernel track every connection. */
export const vxlanNat: BenchPath = {
  name: 'vxlan-nat',
  title: 'kernel VXLAN, containers masqueraded beyond it',
  kind: 'kernel',
  async setUp(lab) {
    const ends = await vxlan.setUp(lab);
    await Promise.all(lab.hosts.map((host) => host.exec(['nft', '-f', '-'], { input: masquerade(host) })));
    return ends;
  },
};

function masquerade(host: Host): string {
  const beyond = `ip saddr ${sliceOf(host)} ip daddr != ${OVERLAY}`;
  return `table ip nat {
  chain postrouting {
    type nat hook postrouting priority srcnat
    ${beyond} masquerade
  }
}
`;
}

/** Unknown and broadcast frames go to every other host: no multicast, no learning from elsewhere. */
async function buildDevice(lab: Lab, host: Host, mtu: number): Promise<void> {
  await host.ip(
    `link add ${DEVICE} mtu ${mtu} type vxlan id 250 dstport 4789 local ${host.address} dev eth0`,
    `address add ${tunnelAddress(host)}/24 dev ${DEVICE}`,
    `link set ${DEVICE} up`,
  );
  for (const peer of lab.hosts.filter((other) => other !== host)) {
    await host.exec(['bridge', 'fdb', 'append', '00:00:00:00:00:00', 'dev', DEVICE, 'dst', peer.address]);
  }
}

function tunnelAddress(host: Host): string {
  return `10.250.0.${host.index}`;
}
