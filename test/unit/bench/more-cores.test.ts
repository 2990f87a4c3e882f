import { describe, expect, it } from 'vitest';
import { predict, type StageCosts, workersUsed } from '../../../bench/report/more-cores.js';

/** CPU seconds a gigabyte: 1 of each end and its kernel, the tunnel's processes on top. */
const costs: StageCosts = { machine: 4, tunnel: [1.5, 0.5] };

describe('the model of hosts with more cores', () => {
  it('two hosts on one machine share its cores', () => {
    expect(predict(costs, { cores: 2, shared: true, workers: 1, flows: 1 })).toBeCloseTo((8 * 2) / 4);
  });

  it('a host of its own is busy with its side alone', () => {
    expect(predict(costs, { cores: 1, shared: false, workers: 1, flows: 1 })).toBeCloseTo(8 / 2.5);
  });

  it('one worker is one core, however many there are', () => {
    expect(predict(costs, { cores: 64, shared: false, workers: 1, flows: 8 })).toBeCloseTo(8 / 1.5);
  });

  it('a flow has one worker, so more of them carry one flow no faster', () => {
    expect(predict(costs, { cores: 64, shared: false, workers: 4, flows: 1 })).toBeCloseTo(8 / 1.5);
  });

  it('a tunnel in the kernel is bound by the ends of the flows', () => {
    const kernel: StageCosts = { machine: 2, tunnel: [0, 0] };
    expect(predict(kernel, { cores: 64, shared: false, workers: 4, flows: 3 })).toBeCloseTo(8 * 3);
  });

  it('a hash leaves some workers without a flow', () => {
    expect(workersUsed(4, 1)).toBe(1);
    // Of the 16 ways to give 2 flows to 4 workers, 12 use both.
    expect(workersUsed(4, 2)).toBeCloseTo((12 * 2 + 4 * 1) / 16);
    expect(workersUsed(4, 1000)).toBeCloseTo(4);
  });
});
