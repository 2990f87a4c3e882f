/**
 * What a stretch of time cost: CPU of the whole machine, CPU and memory of the processes in a host.
 *
 * A tunnel's work is only partly in its processes; softirqs run on whoever's account. So the machine's busy time is
 * the honest sum, and the processes' own says how much of it is theirs.
 */
import { readFileSync } from 'node:fs';
import type { Host } from './host.js';
import { entries, familyIn, inodeOf } from './processes.js';

/** Of the kernel's USER_HZ, which is 100 on every Linux architecture that Node runs on. */
const TICKS_PER_SECOND = 100;
const NS_PER_SECOND = 1e9;

export interface ProcessUsage {
  /** Of all threads. */
  cpuSeconds: number;
  /** Resident memory. */
  rssBytes: number;
  /** Of all threads: each time one gave up a CPU, or lost it. */
  contextSwitches: number;
}

/** Seconds that CPUs were busy since boot, all of them together; time stolen by a hypervisor is not ours. */
export function machineCpuSeconds(): number {
  // user nice system idle iowait irq softirq (proc(5)); guest time is in user already.
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = readFileSync('/proc/stat', 'latin1')
    .split('\n', 1)[0]!
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + softirq) / TICKS_PER_SECOND;
}

/** Pids of the processes in a host's own namespace; its containers' are not among them. */
export function processesOf(host: Host): number[] {
  return familyIn(new Set([inodeOf(host.name)])).map(({ pid }) => pid);
}

/** Sum over processes; one that has ended counts nothing. */
export function usageOf(pids: readonly number[]): ProcessUsage {
  const all = pids.map(usageOfOne);
  return {
    cpuSeconds: all.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
    rssBytes: all.reduce((sum, { rssBytes }) => sum + rssBytes, 0),
    contextSwitches: all.reduce((sum, { contextSwitches }) => sum + contextSwitches, 0),
  };
}

function usageOfOne(pid: number): ProcessUsage {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    const rssBytes = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
    // The first field of schedstat is the time on a CPU, in ns: ticks are too coarse for a run of a second.
    let cpuNs = 0;
    let contextSwitches = 0;
    for (const task of entries(`/proc/${pid}/task`)) {
      cpuNs += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'latin1').split(' ')[0]);
      const thread = readFileSync(`/proc/${pid}/task/${task}/status`, 'latin1');
      for (const [, count] of thread.matchAll(/^(?:non)?voluntary_ctxt_switches:\s+(\d+)$/gm)) {
        contextSwitches += Number(count);
      }
    }
    return { cpuSeconds: cpuNs / NS_PER_SECOND, rssBytes, contextSwitches };
  } catch {
    return { cpuSeconds: 0, rssBytes: 0, contextSwitches: 0 };
  }
}
