/** Whom a trace shows where more comes than it may copy: whatever greedy flows there are, a modest one is whole. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CELL_BYTES } from '../../../../src/dataplane/tracing/protocol.js';
import { ADMITTED, TraceSession } from '../../../../src/dataplane/tracing/session.js';
import { packet } from '../../../unit/dataplane/packets.js';

const RATE = 2000;
const MS = 1_000_000n;

function session(): TraceSession {
  return new TraceSession(
    {
      session: 1,
      program: [],
      dropsOnly: false,
      snapLen: 256,
      burstSnapLen: 256,
      recordsPerSecond: RATE,
      bytesPerSecond: 64 << 20,
      epochNs: 0n,
      shared: new SharedArrayBuffer(CELL_BYTES),
    },
    () => {},
  );
}

const flow = (i: number) =>
  packet(`250.0.28.${2 + (i % 200)}`, '250.0.27.2', { protocol: 100 + Math.floor(i / 200) });

interface Load {
  greedy: number;
  /** Packets of each in a millisecond. */
  each: number;
  /** ms between two packets of the modest flow. */
  everyMs: number;
  seconds: number;
}

/** Packets copied of the modest flow, and of each greedy one, by second. */
function run({ greedy, each, everyMs, seconds }: Load) {
  const trace = session();
  const flows = Array.from({ length: greedy }, (_, i) => flow(i + 1));
  const modest = flow(0);
  const copied = flows.map(() => new Array<number>(seconds).fill(0));
  let sent = 0;
  let whole = 0;
  for (let ms = 0; ms < seconds * 1000; ms++) {
    trace.refill(BigInt(10_000 + ms) * MS);
    const second = Math.floor(ms / 1000);
    for (let round = 0; round < each; round++) {
      for (const [i, bytes] of flows.entries()) {
        if (trace.admit(bytes, 0, bytes.length, false) === ADMITTED) copied[i]![second]! += 1;
      }
    }
    if (ms % everyMs > 0) continue;
    sent++;
    if (trace.admit(modest, 0, modest.length, false) === ADMITTED) whole++;
  }
  return { sent, whole, copied };
}

describe('beside greedy flows', () => {
  it('a flow of up to 50 packets a second is whole, and the rate is kept', () => {
    fc.assert(
      fc.property(
        fc.record({
          greedy: fc.integer({ min: 1, max: 12 }),
          each: fc.integer({ min: 1, max: 20 }),
          everyMs: fc.integer({ min: 20, max: 300 }),
          seconds: fc.constant(3),
        }),
        (load) => {
          const { sent, whole, copied } = run(load);
          expect(whole).toBe(sent);
          const all = copied.flat().reduce((sum, count) => sum + count, whole);
          expect(all).toBeLessThanOrEqual(RATE * (load.seconds + 1));
        },
      ),
      { numRuns: 30 },
    );
  });

  it('bulk is shown evenly over the time, at the whole rate', () => {
    const { copied } = run({ greedy: 1, each: 50, everyMs: 100, seconds: 9 });
    for (const count of copied[0]!.slice(1)) {
      expect(count).toBeGreaterThan(RATE * 0.9);
      expect(count).toBeLessThan(RATE * 1.1);
    }
    // What there is at once, of which bulk has half.
    expect(copied[0]![0]).toBeLessThan(RATE * 1.6);
  });

  it('hundreds of them fall back, until a modest one is whole again', () => {
    const { sent, whole } = run({ greedy: 300, each: 1, everyMs: 500, seconds: 10 });
    expect(sent - whole).toBeLessThanOrEqual(2);
  });
});
