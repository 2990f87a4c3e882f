import { expect, it } from 'vitest';
import { CELL, CELL_BYTES, type TraceSpec } from '../../../../src/dataplane/tracing/protocol.js';
import { TraceSession } from '../../../../src/dataplane/tracing/session.js';

const PACKET = new Uint8Array(100);
const MS = 1_000_000n;

/** The same session in two workers. */
function inTwoWorkers(rates: Pick<TraceSpec, 'recordsPerSecond' | 'bytesPerSecond'>) {
  const shared = new SharedArrayBuffer(CELL_BYTES);
  const spec = { session: 1, program: [], dropsOnly: false, snapLen: 65_535, epochNs: 0n, shared, ...rates };
  const sessions = [1, 2].map(() => new TraceSession(spec, () => {}));
  let nowNs = 10_000n * MS;
  /** Of `each` packets that every worker sees in so many steps of 1 ms, those that may be copied. */
  const copied = (each: number, steps = 1) => {
    let count = 0;
    for (let step = 0; step < steps; step++, nowNs += MS) {
      for (const session of sessions) session.refill(nowNs);
      for (let i = 0; i < each; i++) {
        for (const session of sessions) count += session.matches(PACKET, 0, PACKET.length, 0) ? 1 : 0;
      }
    }
    return count;
  };
  return { copied, lost: () => new Int32Array(shared)[CELL.lost] };
}

it('workers share the rate, whichever of them sees the packets', () => {
  const { copied, lost } = inTwoWorkers({ recordsPerSecond: 100, bytesPerSecond: 1e6 });
  expect(copied(80)).toBe(100);
  expect(lost()).toBe(60);
  // What comes due in a millisecond is a tenth of a record: none of it gets lost.
  expect(copied(1, 1000)).toBe(100);
});

it('workers share the bytes', () => {
  const { copied } = inTwoWorkers({ recordsPerSecond: 1000, bytesPerSecond: 1050 });
  expect(copied(10)).toBe(10);
  expect(copied(0, 1000)).toBe(0);
  expect(copied(10)).toBe(10);
});

it('a packet that is too much for the bytes leaves its record to others', () => {
  const { copied } = inTwoWorkers({ recordsPerSecond: 10, bytesPerSecond: 300 });
  expect(copied(10)).toBe(3);
  expect(copied(1, 1000)).toBe(3);
});
