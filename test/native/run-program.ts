/** A fan's programs in the kernel, run over packets (program-run.mjs), and what a fan tells them. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Direction } from '../../src/dataplane/kernel/untraced-flows.js';
import type { FanEntry } from '../../src/dataplane/tables/forwarding-table.js';
import { type FanConfig, fanConfigWords } from '../../src/io/programs/fan-program.js';

const here = import.meta.dirname;
const ADDON = join(here, '../../native/build/Release/ufan.node');
/** To the loopback device, whose test runs are. */
export const ETHERNET = Buffer.from('0000000000000200000000020800', 'hex');
export const TAKEN = 7;
export const PASSED_ON = -1;
export const LIMIT = 1500;
const PLAIN = { takes: 'all', generation: 0 } as const;

export function configOf(fan: FanEntry, more: Pick<FanConfig, 'takes' | 'generation'> = PLAIN): number[] {
  const { overlay, underlay } = fan.mapping;
  const shift = underlay.length - overlay.length;
  const config = {
    ...fan,
    ...more,
    shift,
    device: 2,
    limit: LIMIT,
    linkHeader: ETHERNET.length,
  };
  return [...fanConfigWords({ ...config, own: [fan.address] })];
}

interface ProgramRun {
  results: { verdict: number; frame: string }[];
  counted: { packets: number; bytes: number };
}

export function runProgram(
  direction: Direction,
  input: { words: number[]; flows?: number[][]; frames: string[] },
): ProgramRun {
  const object = join(here, `../../native/build/${direction}.bpf.o`);
  const side = direction === 'encap' ? 'egress' : 'ingress';
  const argv = ['--net', process.execPath, join(here, 'program-run.mjs'), ADDON, object, side];
  const output = execFileSync('unshare', argv, { input: JSON.stringify(input), maxBuffer: 1 << 26 });
  return JSON.parse(output.toString());
}

/** What becomes of the packets that the program takes, undefined for the others; and what it counted. */
export function byProgram(direction: Direction, fan: FanEntry, packets: readonly Uint8Array[]) {
  const frames = packets.map((bytes) => Buffer.concat([ETHERNET, bytes]).toString('hex'));
  const { results, counted } = runProgram(direction, { words: configOf(fan), frames });
  // Before an outer packet stand the room for the link header and, in a test run, the frame's own.
  const link = (direction === 'encap' ? 2 : 1) * ETHERNET.length;
  const made = results.map(({ verdict, frame }) => {
    if (verdict !== TAKEN && verdict !== PASSED_ON) throw new Error(`the program said ${verdict}`);
    return verdict === TAKEN ? Buffer.from(frame, 'hex').subarray(link) : undefined;
  });
  return { made, counted };
}
