/**
 * The machine that a result was taken on: without it the figures mean nothing. Its kind is what decides between ways
 * that copy and ways that call: what a system call costs, whether the page tables are isolated, who is below.
 */
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../lab/command.js';
import { REPOSITORY } from '../lab/repository.js';
import { machineCpuSeconds } from '../lab/usage.js';
import { compilePeer } from '../peers/compile.js';

export interface MachineFacts {
  date: string;
  commit: string;
  kernel: string;
  cpu: string;
  cores: number;
  memoryBytes: number;
  node: string;
  /** Of every connection, unless its workload names another. */
  congestionControl: string;
  /** Nanoseconds of a system call that does nothing. */
  systemCallNs: number;
  /** The kernel's own words on Meltdown: "Mitigation: PTI" makes each entry dear. */
  pageTableIsolation: string;
  hypervisor: string;
  clockSource: string;
  /** CPUs that others kept busy before the first run, set-up over. */
  busyBefore: number;
  /** Percent of time in which something waited for a CPU then (PSI, avg10). */
  pressureBefore: number;
}

/**
 * Of every iperf stream but those that name another, whatever the machine's default is: figures of two machines are to
 * compare.
 */
export const CONGESTION_CONTROL = 'cubic';
/** For so long others are watched before the first run. */
const WATCH_MS = 2000;
/** CPUs, and percent: above either somebody else was at work. */
const MOST_BUSY = 0.1;
const MOST_PRESSURE = 5;

/** Takes two seconds, in which nothing of ours may run. */
export async function machineFacts(): Promise<MachineFacts> {
  const commit = await run(['git', '-C', REPOSITORY, 'describe', '--always', '--dirty'], { anyExit: true });
  const cost = await run([await compilePeer('syscall-cost')]);
  const { busyBefore, pressureBefore } = await watchOthers();
  return {
    date: new Date().toISOString(),
    commit: commit.stdout.trim(),
    kernel: release(),
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    node: process.version,
    congestionControl: CONGESTION_CONTROL,
    systemCallNs: Number(cost.stdout),
    pageTableIsolation: firstLine('/sys/devices/system/cpu/vulnerabilities/meltdown'),
    hypervisor: hypervisor(),
    clockSource: firstLine('/sys/devices/system/clocksource/clocksource0/current_clocksource'),
    busyBefore,
    pressureBefore,
  };
}

/** Undefined where nothing else ran; else a sentence that says how much did. */
export function disturbance({ busyBefore, pressureBefore }: MachineFacts): string | undefined {
  if (busyBefore <= MOST_BUSY && pressureBefore <= MOST_PRESSURE) return undefined;
  return (
    `the machine was not idle before the first run (${busyBefore.toFixed(2)} CPUs busy, ` +
    `something waited for one ${pressureBefore.toFixed(0)} % of the time): take the figures with care`
  );
}

/** One line: what decides about the figures. */
export function describeMachine(machine: MachineFacts): string {
  const { cores, cpu, kernel, systemCallNs, pageTableIsolation, hypervisor, clockSource } = machine;
  return (
    `machine: ${cores} × ${cpu}, Linux ${kernel}; a system call takes ${systemCallNs.toFixed(0)} ns ` +
    `(Meltdown: ${pageTableIsolation}), hypervisor: ${hypervisor}, clock ${clockSource}, ` +
    `TCP ${machine.congestionControl}`
  );
}

async function watchOthers(): Promise<Pick<MachineFacts, 'busyBefore' | 'pressureBefore'>> {
  const stalled = pressureUs();
  const busy = machineCpuSeconds();
  const began = performance.now();
  await sleep(WATCH_MS);
  const tookMs = performance.now() - began;
  return {
    busyBefore: ((machineCpuSeconds() - busy) * 1000) / tookMs,
    pressureBefore: (pressureUs() - stalled) / 10 / tookMs,
  };
}

/** Of CPU, so far (PSI's total); 0 where the kernel doesn't tell. */
function pressureUs(): number {
  return Number(/some .*total=(\d+)/.exec(text('/proc/pressure/cpu'))?.[1] ?? 0);
}

function hypervisor(): string {
  const product = firstLine('/sys/class/dmi/id/product_name');
  const isGuest = /^flags\s*:.*\bhypervisor\b/m.test(text('/proc/cpuinfo'));
  return isGuest ? `yes (${product})` : 'no';
}

const firstLine = (path: string): string => text(path).split('\n')[0]!.trim() || 'unknown';

function text(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
