/** The search for the path MTU against paths that are known: which limit each way, who tells of it. */
import { describe, expect, it } from 'vitest';
import { carrierOf } from '../../../../src/diagnosis/probe/carrier.js';
import type { PathNotice } from '../../../../src/diagnosis/probe/icmp-socket.js';
import { measureMtu } from '../../../../src/diagnosis/probe/measure-mtu.js';
import { createIcmpError } from '../../../../src/wire/icmpv4.js';

const [HOST, SLICE] = [27, 0xfa001b00];

interface Path {
  /** Inner bytes that pass, each way. */
  out?: number;
  back?: number;
  /** What a router says to us, and what the peer's fan knows. */
  told?: number;
  peerPath?: number;
  canAsk?: boolean;
  notice?: Partial<PathNotice>;
}

async function measure({ out = 1480, back = 1480, told, peerPath, canAsk = true, notice }: Path) {
  let trials = 0;
  const notices: PathNotice[] = [];
  const result = await measureMtu({
    full: 1480,
    host: HOST,
    slice: SLICE,
    carrier: carrierOf(undefined),
    notices,
    peerPath: async () => peerPath ?? null,
    ask: canAsk ? async () => undefined : undefined,
    exchange: {
      try: async (length, _attempts, ask) => {
        trials++;
        const ipip = {
          ...createIcmpError(),
          reporter: 'r',
          type: 3,
          code: 4,
          protocol: 4,
          destination: HOST,
          port: 0,
        };
        if (length > out && told) notices.push({ ...ipip, mtu: told, ...notice });
        const passes = length <= out && length <= back;
        return { out: passes ? true : ask ? length <= out : undefined, back: passes };
      },
    },
  });
  return { ...result, trials };
}

describe('measureMtu', () => {
  it.each<[string, Path, object]>([
    ['all that the fan sends', {}, { passes: 1480, trials: 1 }],
    ['what a router told', { out: 1380, back: 1380, told: 1400 }, { passes: 1380, told: 1400, trials: 2 }],
    [
      'what our fan told',
      { out: 1380, told: 1380, notice: { protocol: 17, destination: SLICE } },
      { passes: 1380, told: 1400 },
    ],
    ['a black hole on the way out', { out: 1381 }, { passes: 1381, direction: 'out' }],
    ['one on the way back', { back: 1001 }, { passes: 1001, direction: 'in' }],
    [
      'one of which the peer knows',
      { back: 1380, peerPath: 1400 },
      { passes: 1380, told: 1400, direction: 'in' },
    ],
    ['one behind a router that told', { out: 1200, told: 1400 }, { passes: 1200, direction: 'out' }],
    ['one that nobody can locate', { out: 900, canAsk: false }, { passes: 900, direction: 'unknown' }],
    ['the least that is tried', { out: 45 }, { passes: 45, direction: 'out' }],
    [
      'a notice about another host',
      { out: 1380, told: 1400, notice: { destination: 1 } },
      { passes: 1380, direction: 'out' },
    ],
  ])('%s', async (_, path, expected) => {
    const result = await measure(path);
    expect(result).toMatchObject(expected);
    expect(result.trials).toBeLessThan(15);
  });
});
