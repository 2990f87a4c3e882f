/**
 * The simplest userspace fan, in C: one packet a read, one a write, no offloads (bench/peers/one-packet.c).
 */
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../lab/command.js';
import type { Host } from '../lab/host.js';
import { REPOSITORY, SETUP_DIR } from '../lab/repository.js';
import type { BenchPath } from './path.js';
import { buildSlice, containerEnds, OVERLAY } from './slice.js';

/** Of the outer IPv4 header. */
const OVERHEAD = 20;
const DEVICE = 'tun0';

export const onePacket: BenchPath = {
  name: 'one-packet',
  title: 'one packet a syscall',
  async setUp(lab) {
    const program = await compile();
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

/** Compiles the peer unless it was since its source changed. */
async function compile(): Promise<string> {
  const source = join(REPOSITORY, 'bench/peers/one-packet.c');
  const program = join(SETUP_DIR, 'one-packet');
  if (!existsSync(program) || statSync(program).mtimeMs < statSync(source).mtimeMs) {
    mkdirSync(SETUP_DIR, { recursive: true });
    await run(['cc', '-std=c11', '-O2', '-Wall', '-Wextra', '-Werror', '-o', program, source]);
  }
  return program;
}
