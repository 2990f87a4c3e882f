/**
 * The fan itself, one path for each I/O mode.
 */
import { containerAddress, raiseFan } from '../lab/fan.js';
import type { BenchPath } from './path.js';
import { OVERLAY } from './slice.js';

export function ufan(io: string): BenchPath {
  return {
    name: `ufan-${io}`,
    title: `ufan, --io ${io}`,
    async setUp(lab) {
      const words = [OVERLAY, 'eth0/16', '--io', io];
      const [, there] = await Promise.all(lab.hosts.slice(0, 2).map((host) => raiseFan(host, words)));
      return {
        client: lab.host(1).container(1),
        server: lab.host(2).container(1),
        serverAddress: containerAddress(there!.view, 1),
      };
    },
  };
}
