/**
 * What a packet costs with more and more destination hosts, and with more and more fans: it must be flat. Before each
 * batch its packets are aimed at the next hosts; what that costs is measured apart and taken off.
 */
import { median } from '../report/statistics.js';
import { BATCH, decapRig, encapRig, hostsOf, type Rig } from './packets.js';

export const HOST_COUNTS: readonly number[] = [1, 16, 256, 4096, 65_533];
export const FAN_COUNTS: readonly number[] = [1, 4, 16, 64];
/** Rounds in which the counts take turns, and batches a round. */
const ROUNDS = 9;
const BATCHES = 2048;
const NS_PER_US = 1000;

export interface Scaling {
  what: 'hosts' | 'fans';
  direction: 'encap' | 'decap';
  points: { count: number; nsPerPacket: number }[];
}

/** `batches` a round: 2,048 reach every host of a /16 twice. */
export function measureScaling(batches = BATCHES): Scaling[] {
  return [
    measure('hosts', 'encap', HOST_COUNTS, (count) => encapRig(hostsOf(count)), batches),
    measure('hosts', 'decap', HOST_COUNTS, (count) => decapRig(hostsOf(count)), batches),
    measure('fans', 'encap', FAN_COUNTS, (count) => encapRig(hostsOf(BATCH), count), batches),
    measure('fans', 'decap', FAN_COUNTS, (count) => decapRig(hostsOf(BATCH), count), batches),
  ];
}

function measure(
  what: Scaling['what'],
  direction: Scaling['direction'],
  counts: readonly number[],
  make: (count: number) => Rig,
  batches: number,
): Scaling {
  const rigs = counts.map(make);
  const rounds = Array.from({ length: ROUNDS }, () => rigs.map((rig) => nsPerPacket(rig, batches)));
  const points = counts.map((count, i) => ({ count, nsPerPacket: median(rounds.map((round) => round[i]!)) }));
  return { what, direction, points };
}

function nsPerPacket({ run, aim }: Rig, batches: number): number {
  const both = cpuUsOf(batches, (from) => {
    aim(from);
    run();
  });
  return ((both - cpuUsOf(batches, aim)) * NS_PER_US) / (batches * BATCH);
}

/** CPU time: a round is short, and others may get the CPU in the midst of it. */
function cpuUsOf(batches: number, call: (from: number) => void): number {
  const before = process.cpuUsage();
  for (let batch = 0; batch < batches; batch++) call(batch * BATCH);
  const { user, system } = process.cpuUsage(before);
  return user + system;
}
