/** When the poll loop pauses: under load, never for sparse traffic, never while a batch is still waiting. */
import { describe, expect, it } from 'vitest';
import { Pace } from '../../../../src/dataplane/ports/pace.js';
import { BATCH } from '../../../../src/dataplane/ports/ports.js';

/** Rounds of `packets` each, `everyMs` apart; the pause after the last one. */
function pauseAfter(pace: Pace, rounds: number, packets: number, everyMs: number, startMs = 0): number {
  let pause = 0;
  for (let i = 1; i <= rounds; i++) pause = pace.pauseUs(packets, startMs + i * everyMs);
  return pause;
}

describe('Pace', () => {
  it('serves a ping-pong at once', () => {
    expect(pauseAfter(new Pace(), 1000, 1, 0.05)).toBe(0);
  });

  it('pauses under load', () => {
    expect(pauseAfter(new Pace(), 100, 10, 0.1)).toBeGreaterThan(0);
  });

  it('does not pause while more than a batch is waiting', () => {
    expect(pauseAfter(new Pace(), 100, BATCH, 0.5)).toBe(0);
  });

  it('stops within a millisecond of the load', () => {
    const pace = new Pace();
    expect(pauseAfter(pace, 100, 10, 0.1)).toBeGreaterThan(0);
    expect(pauseAfter(pace, 2, 0, 1, 10)).toBe(0);
  });
});
