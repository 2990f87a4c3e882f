/** Every path, in the order of the report: the limit, the kernel's tunnel, the fan, then other userspace tunnels. */
import { nebula } from './nebula.js';
import { onePacket } from './one-packet.js';
import { openvpn } from './openvpn.js';
import type { BenchPath } from './path.js';
import { tinc } from './tinc.js';
import {
  fans,
  fansOverVxlan,
  packetWithoutBpf,
  twoWorkers,
  unguarded,
  untracked,
  withoutRing,
} from './ufan.js';
import { untunnelled } from './untunnelled.js';
import { vtun } from './vtun.js';
import { vxlan, vxlanNat } from './vxlan.js';
import { wireguardGo } from './wireguard-go.js';

/** Those of --quick. */
export const QUICK_PATHS: readonly BenchPath[] = [untunnelled, vxlan, ...fans, ...fansOverVxlan, onePacket];
export const BASIC_PATHS: readonly BenchPath[] = [
  untunnelled,
  vxlan,
  ...fans,
  packetWithoutBpf,
  ...fansOverVxlan,
  onePacket,
];
/** Those that are measured where none is named. */
export const USUAL_PATHS: readonly BenchPath[] = [...BASIC_PATHS, tinc, wireguardGo, nebula, openvpn, vtun];
export const PATHS: readonly BenchPath[] = [
  ...USUAL_PATHS,
  vxlanNat,
  ...twoWorkers,
  ...unguarded,
  ...untracked,
  ...withoutRing,
];
