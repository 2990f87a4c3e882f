/** The runtimes that fanatic knows, in the order of its help. */
import { cni } from './cni.js';
import { docker } from './docker.js';
import { lxc } from './lxc.js';
import { incus, lxd } from './lxd.js';
import { podman } from './podman.js';
import type { Runtime } from './runtime.js';

export const RUNTIMES: readonly Runtime[] = [docker, lxd, incus, lxc, podman, cni];
