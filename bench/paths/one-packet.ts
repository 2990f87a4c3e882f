/**
 * The simplest userspace fan, in C: one packet a read, one a write, no offloads (bench/peers/one-packet.c).
 */
import type { Host } from '../lab/host.js';
import { compilePeer } from '../peers/compile.js';
import type { BenchPath } from './path.js';
import { buildSlice, containerEnds, OVERLAY } from './slice.js';

/** Of the outer IPv4 header. */
const OVERHEAD = 20;
const DEVICE = 'tun0';

export const onePacket: BenchPath = {
  name: 'one-packet',
  title: 'one packet a syscall',
  kind: 'plain',
  async setUp(lab) {
    const program = await compilePeer('one-packet');
    await Promise.all(
      lab.hosts.map(async (host) => {
        await buildSlice(host, lab.mtu - OVERHEAD);
        await startForwarder(host, program, lab.mtu - OVERHEAD);
      }),
    );
    return containerEnds(lab);
  },
};

async function startForwarder(host: Host, program: string, mtu: number): Promise<void> {
  const forwarder = host.spawn([program, DEVICE, OVERLAY, host.underlay]);
  await forwarder.prints(/^ready$/m);
  await host.ip(`link set ${DEVICE} mtu ${mtu} up`, `route add ${OVERLAY} dev ${DEVICE}`);
}
