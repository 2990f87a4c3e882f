/** The programs in the kernel (BPF_PROG_TEST_RUN): what they take is what the slow oracle sends on, byte for byte. */
import fc from 'fast-check';
import { expect } from 'vitest';
import type { Direction } from '../../../src/dataplane/kernel/untraced-flows.js';
import { ForwardingTable } from '../../../src/dataplane/tables/forwarding-table.js';
import { byProgram, LIMIT } from '../../native/run-program.js';
import { slowEncap } from '../../oracle/wire/slow-tunnel.js';
import { slowDelivered, slowExit } from '../../oracle/wire/slow-verdict.js';
import { fanSpec } from '../../unit/dataplane/packets.js';
import { innerPackets, OVERLAYS, outerPackets, SLOW_FANS, UNDERLAY_LENGTH, US } from '../packets.js';
import { CASES, type Target } from '../target.js';

/** A frame of a test run has to have an IP header. */
const LEAST = 20;
const [FAN] = SLOW_FANS;

function expected(direction: Direction, bytes: Uint8Array): Uint8Array | undefined {
  if (direction === 'decap') return slowDelivered([FAN!], bytes);
  return slowExit(FAN!, bytes) === undefined || bytes.length + 20 > LIMIT
    ? undefined
    : slowEncap(FAN!, bytes);
}

function check(direction: Direction, packets: readonly Uint8Array[]): void {
  const table = new ForwardingTable([fanSpec(OVERLAYS[0]!, US, UNDERLAY_LENGTH)]);
  const { made, counted } = byProgram(direction, table.fans[0]!, packets);
  const taken = made.filter((each) => each !== undefined).length;
  expect(counted.packets).toBe(taken);
  expect(taken).toBeGreaterThan(0);
  for (const [i, bytes] of packets.entries()) {
    const result = made[i];
    if (result === undefined) continue;
    const hex = (some: Uint8Array | undefined) => some && Buffer.from(some).toString('hex');
    const context = { given: hex(bytes) };
    expect({ ...context, made: hex(result) }).toEqual({ ...context, made: hex(expected(direction, bytes)) });
  }
}

function target(direction: Direction, packets: fc.Arbitrary<Uint8Array>): Target {
  const whole = packets.filter(({ length }) => length >= LEAST);
  return {
    name: `${direction}program`,
    check: (seed) => check(direction, fc.sample(whole, { seed, numRuns: CASES })),
  };
}

export const programs = [target('encap', innerPackets), target('decap', outerPackets)];
