/**
 * The fan itself, one path for each I/O mode, and each with two workers; the fan over VXLAN; and
 * `packet` on a host that allows no BPF, and what the guard costs: the fan without it.
 */
import { IO_MODES } from '../../src/config/fan-options.js';
import { GUARD_FAMILY, GUARD_TABLE } from '../../src/host/firewall/guard.js';
import { containerAddress, raiseFan } from '../lab/fan.js';
import type { Lab } from '../lab/lab.js';
import type { BenchPath, PathEnds } from './path.js';
import { OVERLAY } from './slice.js';

/** What it takes to load a BPF program: CAP_BPF, or CAP_SYS_ADMIN that includes it. */
const BPF_CAPABILITIES = '-bpf,-sys_admin,-perfmon';

/** What wraps and ends the command line of `up`. */
interface Words {
  wrapper?: readonly string[];
  more?: readonly string[];
}

/** `--io` with each of its values. */
export const fans: readonly BenchPath[] = IO_MODES.map((io) => ({
  name: `ufan-${io}`,
  title: `ufan, --io ${io}`,
  kind: 'fan',
  setUp: (lab) => raise(lab, io),
}));

/** Over VXLAN: beside the kernel's own. */
export const fansOverVxlan: readonly BenchPath[] = (['bpf', 'raw'] as const).map((io) => ({
  name: `ufan-vxlan-${io}`,
  title: `ufan over VXLAN, --io ${io}`,
  kind: 'fan',
  setUp: (lab) => raise(lab, io, { more: ['vxlan'] }),
}));

export const twoWorkers: readonly BenchPath[] = IO_MODES.filter((io) => io !== 'auto').map((io) => ({
  name: `ufan-${io}-w2`,
  title: `ufan, --io ${io}, 2 workers`,
  kind: 'fan',
  setUp: (lab) => raise(lab, io, { more: ['--workers', '2'] }),
}));

export const packetWithoutBpf: BenchPath = {
  name: 'ufan-packet-nobpf',
  title: 'ufan, --io packet, no BPF',
  kind: 'fan',
  async setUp(lab) {
    const ends = await raise(lab, 'packet', { wrapper: ['setpriv', '--bounding-set', BPF_CAPABILITIES] });
    // Without a word about the shim it was loaded all the same.
    if (!ends.notes?.some((note) => note.includes('software'))) {
      throw new Error(`BPF was not kept from fand: ${ends.notes?.join('; ') || 'no notes'}`);
    }
    return ends;
  },
};

/** Beside the paths of the same io: a system call for each packet of the TUN, as where io_uring is not allowed. */
export const withoutRing: readonly BenchPath[] = (['packet', 'raw'] as const).map((io) => ({
  name: `ufan-${io}-calls`,
  title: `ufan, --io ${io}, no io_uring`,
  kind: 'fan',
  setUp: (lab) => raise(lab, io, { wrapper: ['env', 'UFAN_IO_URING=off'] }),
}));

/** Beside the paths of the same io: what tracking the connections of containers costs. */
export const untracked: readonly BenchPath[] = [
  {
    name: 'ufan-auto-notrack',
    title: 'ufan, --io auto, notrack',
    kind: 'fan',
    setUp: (lab) => raise(lab, 'auto', { more: ['notrack'] }),
  },
  {
    name: 'ufan-vxlan-bpf-notrack',
    title: 'ufan over VXLAN, --io bpf, notrack',
    kind: 'fan',
    setUp: (lab) => raise(lab, 'bpf', { more: ['vxlan', 'notrack'] }),
  },
];

/** Beside the paths of the same io: what the guard costs is the ratio in one run. */
export const unguarded: readonly BenchPath[] = IO_MODES.map((io) => ({
  name: `ufan-${io}-unguarded`,
  title: `ufan, --io ${io}, without its guard`,
  kind: 'fan',
  async setUp(lab) {
    const ends = await raise(lab, io, { more: ['no-heal'] });
    const remove = ['nft', `delete table ${GUARD_FAMILY} ${GUARD_TABLE}`];
    await Promise.all(lab.hosts.slice(0, 2).map((host) => host.exec(remove)));
    return ends;
  },
}));

async function raise(lab: Lab, io: string, { wrapper = [], more = [] }: Words = {}): Promise<PathEnds> {
  const words = [OVERLAY, 'eth0/16', '--io', io, ...more];
  const [here, there] = await Promise.all(
    lab.hosts.slice(0, 2).map((host) => raiseFan(host, words, wrapper)),
  );
  const { ioNotes } = here!.view;
  return {
    client: lab.host(1).container(1),
    server: lab.host(2).container(1),
    serverAddress: containerAddress(there!.view, 1),
    notes: [`io ${here!.view.io}`, ...ioNotes],
  };
}
