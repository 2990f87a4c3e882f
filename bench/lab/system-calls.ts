/**
 * How many system calls processes make, counted by the kernel's own tracing (raw_syscalls, tracefs): an instance of its
 * own whose small ring overflows, as only the count is of interest. It costs a call some 100 ns, so no run that is
 * timed is counted.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './command.js';
import { entries } from './processes.js';
import { SETUP_DIR } from './repository.js';

const USUAL_MOUNT = '/sys/kernel/tracing';
const EVENT = 'events/raw_syscalls/sys_enter/enable';

/** Runs `work` and counts what the processes, all their threads, call meanwhile; undefined where it can't be counted. */
export async function countSystemCalls(
  pids: readonly number[],
  work: () => Promise<unknown>,
): Promise<number | undefined> {
  const mount = await tracingMount();
  if (mount === undefined) return undefined;
  const instance = join(mount.dir, 'instances', `ufan-bench-${process.pid}`);
  try {
    mkdirSync(instance);
    writeFileSync(join(instance, 'buffer_size_kb'), '64');
    writeFileSync(join(instance, 'set_event_pid'), threadsOf(pids).join(' '));
    writeFileSync(join(instance, EVENT), '1');
    await work();
    writeFileSync(join(instance, EVENT), '0');
    return readCount(instance);
  } catch {
    return undefined;
  } finally {
    if (existsSync(instance)) rmdirSync(instance);
    await mount.leave();
  }
}

function threadsOf(pids: readonly number[]): string[] {
  return pids.flatMap((pid) => entries(`/proc/${pid}/task`));
}

/** What the ring holds, and what it has written over. */
function readCount(instance: string): number {
  const cpus = readdirSync(join(instance, 'per_cpu'));
  const counts = cpus.flatMap((cpu) => {
    const stats = readFileSync(join(instance, 'per_cpu', cpu, 'stats'), 'latin1');
    return [...stats.matchAll(/^(?:entries|overrun): (\d+)$/gm)].map(([, count]) => Number(count));
  });
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Where tracefs is, mounted for us where nobody has it; undefined without it, or without the right. */
async function tracingMount(): Promise<{ dir: string; leave(): Promise<void> } | undefined> {
  if (existsSync(join(USUAL_MOUNT, 'instances'))) return { dir: USUAL_MOUNT, leave: async () => undefined };
  const dir = join(SETUP_DIR, `tracing-${process.pid}`);
  mkdirSync(dir, { recursive: true });
  const leave = async () => {
    await run(['umount', dir], { anyExit: true });
    rmdirSync(dir);
  };
  const mounted = await run(['mount', '-t', 'tracefs', 'tracefs', dir], { anyExit: true });
  if (mounted.code === 0) return { dir, leave };
  rmdirSync(dir);
  return undefined;
}
