/** Every path, in the order of the report: the limit, the kernel's tunnel, the fan, then other userspace tunnels. */
import { onePacket } from './one-packet.js';
import type { BenchPath } from './path.js';
import { fans, packetWithoutBpf } from './ufan.js';
import { untunnelled } from './untunnelled.js';
import { vxlan } from './vxlan.js';

/** Those of --quick. */
export const QUICK_PATHS: readonly BenchPath[] = [untunnelled, vxlan, ...fans, onePacket];
export const BASIC_PATHS: readonly BenchPath[] = [untunnelled, vxlan, ...fans, packetWithoutBpf, onePacket];
export const PATHS: readonly BenchPath[] = [...BASIC_PATHS];
