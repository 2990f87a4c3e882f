/**
 * The limit: containers on plain bridges and a route to the other host's slice; no tunnel, full MTU.
 */
import type { BenchPath } from './path.js';
import { buildSlice, containerEnds, hostPairs, sliceOf } from './slice.js';

export const untunnelled: BenchPath = {
  name: 'untunnelled',
  title: 'untunnelled, routed',
  kind: 'limit',
  async setUp(lab) {
    await Promise.all(lab.hosts.map((host) => buildSlice(host, lab.mtu)));
    await Promise.all(
      hostPairs(lab).map(([host, peer]) => host.ip(`route add ${sliceOf(peer)} via ${peer.address}`)),
    );
    return containerEnds(lab);
  },
};
