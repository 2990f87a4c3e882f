/**
 * Where the links of programs in the kernel are named, so that they outlive fand: in the bpffs at the usual place, a
 * directory a run directory. Where a host or a container has none, fanctl mounts it before it starts fand, which may not
 * mount, and unmounts it after the last `down`, unless somebody else has come to use it.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statfsSync } from 'node:fs';
import { run } from './run.js';

/** linux/magic.h. */
const BPF_FS_MAGIC = 0xcafe4a11;
const PLACE = '/sys/fs/bpf';
/** Instead of a device, by which we know a mount for ours. */
const SOURCE = 'ufan';
const OPTIONS = 'nosuid,nodev,noexec,mode=0700';
/** Enough that no two run directories meet. */
const HASH_DIGITS = 12;

/** The directory for all fans of a fand; undefined where nothing can outlive it. It may not be there yet. */
export function pinDirOf(runDir: string): string | undefined {
  if (!isMounted()) return undefined;
  return `${PLACE}/ufan-${createHash('sha256').update(runDir).digest('hex').slice(0, HASH_DIGITS)}`;
}

/** Makes sure that there is one, as far as it can be had: a fan works without. */
export async function mountForPins(): Promise<void> {
  if (!isMounted()) await run('mount', ['-t', 'bpf', '-o', OPTIONS, SOURCE, PLACE]).catch(() => undefined);
}

/** Takes away what mountForPins() made, where nothing is in it. */
export async function unmountPins(): Promise<void> {
  // The kernel has files of its own there, whose names have a dot; nobody else's may.
  if (isOurs() && readdirSync(PLACE).every((name) => name.includes('.')))
    await run('umount', [PLACE]).catch(() => undefined);
}

function isMounted(): boolean {
  try {
    return statfsSync(PLACE).type === BPF_FS_MAGIC;
  } catch {
    return false;
  }
}

function isOurs(): boolean {
  return isMounted() && readFileSync('/proc/self/mounts', 'utf8').includes(`\n${SOURCE} ${PLACE} bpf `);
}
