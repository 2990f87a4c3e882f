import { expect, it } from 'vitest';
import {
  CELL,
  CELL_BYTES,
  type TraceRecord,
  type TraceSpec,
} from '../../../../src/dataplane/tracing/protocol.js';
import { ADMITTED, BEHIND, TOO_FAST, TraceSession } from '../../../../src/dataplane/tracing/session.js';
import { packet } from '../packets.js';

/** Of 100 bytes. */
const PACKET = packet('250.0.28.2', '250.0.27.2', { payload: 80 });
const OTHER = packet('250.0.28.3', '250.0.27.2', { payload: 80 });
const MS = 1_000_000n;

/** The same session in two workers. */
function inTwoWorkers(rates: Partial<TraceSpec> & Pick<TraceSpec, 'recordsPerSecond' | 'bytesPerSecond'>) {
  const shared = new SharedArrayBuffer(CELL_BYTES);
  const most = { snapLen: 65_535, burstSnapLen: 65_535 };
  const spec = { session: 1, program: [], dropsOnly: false, epochNs: 0n, shared, ...most, ...rates };
  const sessions = [1, 2].map(() => new TraceSession(spec, () => {}));
  let nowNs = 10_000n * MS;
  /** Of `each` packets that every worker sees in so many steps of 1 ms, those that may be copied. */
  const copied = (each: number, steps = 1, bytes = PACKET) => {
    let count = 0;
    for (let step = 0; step < steps; step++, nowNs += MS) {
      for (const session of sessions) session.refill(nowNs);
      for (let i = 0; i < each; i++) {
        for (const session of sessions) {
          const admission = session.admit(bytes, 0, bytes.length, false);
          if (admission === ADMITTED) count++;
          else session.lose(admission);
        }
      }
    }
    return count;
  };
  const cell = (name: keyof typeof CELL) => new Int32Array(shared)[CELL[name]];
  return { copied, cell, sessions };
}

it('workers share the rate, whichever of them sees the packets', () => {
  const { copied, cell } = inTwoWorkers({ recordsPerSecond: 1000, bytesPerSecond: 1e6 });
  // One flow may have half of what there is at once, and what it has as one that sends little, in each worker.
  const first = copied(800);
  expect(first).toBeGreaterThanOrEqual(500);
  expect(first).toBeLessThan(500 + 2 * 32);
  expect(cell('lost')).toBe(1600 - first);
  expect(cell('behind')).toBe(0);
  // What comes due in a millisecond is one record: none of it gets lost.
  const later = copied(1, 1000);
  expect(Math.abs(later - 1000)).toBeLessThan(64);
});

it('workers share the bytes', () => {
  const { copied } = inTwoWorkers({ recordsPerSecond: 1000, bytesPerSecond: 2050 });
  expect(copied(10)).toBe(20);
  expect(copied(0, 1000)).toBe(0);
  expect(copied(20, 1)).toBe(20);
});

it('a packet that is too much for the bytes leaves its record to others', () => {
  const { copied, cell } = inTwoWorkers({ recordsPerSecond: 10, bytesPerSecond: 300 });
  expect(copied(10)).toBe(3);
  expect(cell('records')).toBe(7);
});

it('a flow that sends little has its packets, whatever another sends', () => {
  const { copied } = inTwoWorkers({ recordsPerSecond: 1000, bytesPerSecond: 1e6 });
  for (let second = 0; second < 5; second++) {
    copied(50, 500);
    expect(copied(1, 1, OTHER)).toBe(2);
    copied(50, 499);
  }
});

it('of super-packets, and of what is longer than any frame, less is copied', () => {
  const { sessions } = inTwoWorkers({
    recordsPerSecond: 1000,
    bytesPerSecond: 1e6,
    snapLen: 20_000,
    burstSnapLen: 50,
  });
  const long = new Uint8Array(10_000);
  expect(sessions[0]!.copy(PACKET, 0, 100)).toHaveLength(100);
  expect(sessions[0]!.copy(PACKET, 0, 100, true)).toHaveLength(50);
  expect(sessions[0]!.copy(long, 0, 9216)).toHaveLength(9216);
  expect(sessions[0]!.copy(long, 0, 9217)).toHaveLength(50);
});

it('waits for the client: bulk first, so that who sends little still has room', () => {
  const { sessions, cell } = inTwoWorkers({ recordsPerSecond: 50_000, bytesPerSecond: 200 << 20 });
  const [session] = sessions as [TraceSession];
  const record = { data: PACKET } as unknown as TraceRecord;
  const fill = (bytes: Uint8Array) => {
    for (let i = 0; i < 20_000; i++) {
      const admission = session.admit(bytes, 0, bytes.length, false);
      if (admission !== ADMITTED) return admission;
      session.add(record);
    }
    return TOO_FAST;
  };
  session.refill(10_000n * MS);
  expect(fill(PACKET)).toBe(BEHIND);
  session.flush();
  expect(cell('waiting')).toBe(4096);
  expect(cell('waitingBytes')).toBe(4096 * 100);
  expect(session.admit(OTHER, 0, OTHER.length, false)).toBe(ADMITTED);
});
