/** What the kernel's programs are told while somebody traces: what they may take, and which flows. */
import { describe, expect, it } from 'vitest';
import { DROP, KEEP } from '../../../../src/base/drop-reason.js';
import { KernelPath } from '../../../../src/dataplane/kernel/kernel-path.js';
import type { FanPort } from '../../../../src/dataplane/ports/ports.js';
import { ForwardingTable } from '../../../../src/dataplane/tables/forwarding-table.js';
import { CELL_BYTES } from '../../../../src/dataplane/tracing/protocol.js';
import { TraceSession } from '../../../../src/dataplane/tracing/session.js';
import { Tracer } from '../../../../src/dataplane/tracing/tracer.js';
import type { FanConfig } from '../../../../src/io/programs/fan-program.js';
import { batchOf, fanSpec, packet, tunnelled } from '../packets.js';

const US = '172.30.0.28';
const OVERLAY = '250.0.0.0/8';
const OTHER = '99.0.0.0/8';
/** "udp". */
const UDP = [48, 0, 0, 9, 21, 0, 1, 17, 6, 0, 0, 1, 6, 0, 0, 0];
const NOTHING = [6, 0, 0, 0];

const tcp = packet('250.0.28.2', '250.0.27.2', { protocol: 6 });
const udp = packet('250.0.28.2', '250.0.27.2', { protocol: 17 });

interface Wish {
  program?: number[];
  dropsOnly?: boolean;
  fan?: string;
}

/** A program that writes down what it is told. */
function listener() {
  const told = { configs: [] as FanConfig[], flows: [] as number[][] };
  const configure = (config: FanConfig) => told.configs.push(config);
  const addFlow = (words: Uint32Array) => told.flows.push([...words]);
  return { told, program: { configure, addFlow } };
}

/** Two fans with a program for each direction. */
function twoFans() {
  const table = new ForwardingTable([fanSpec(OVERLAY, US, 16), fanSpec(OTHER, US, 16, { counterBlock: 2 })]);
  const programs = table.fans.map(listener);
  const decaps = table.fans.map(listener);
  const ports = programs.map(({ program: encap }, i) => ({
    programs: {
      encap,
      decap: { ...decaps[i], exit: { isOpen: true, shut: () => {} } },
      encapTo: 2,
      decapTo: 3,
    },
  }));
  const kernel = new KernelPath();
  let generation = 0;
  const reconfigure = () =>
    kernel.configure(
      [table],
      ports as unknown as FanPort[],
      { chains: undefined, policies: undefined },
      ++generation,
    );
  reconfigure();
  const trace = (...wishes: Wish[]) =>
    kernel.trace(wishes.length === 0 ? undefined : tracerOf(wishes), ++generation);
  const release = (packets: Uint8Array[], nowMs = 0, index = 0) =>
    kernel.releaseEncap(table.fans[index]!, batchOf(packets), nowMs);
  return {
    ...{ kernel, table, trace, release, reconfigure, decaps },
    takes: (of = programs) => of.map(({ told }) => told.configs.at(-1)?.takes),
    generation: () => programs[0]!.told.configs.at(-1)?.generation,
    flows: (index = 0) => programs[index]!.told.flows,
  };
}

function tracerOf(wishes: Wish[]): Tracer {
  const most = { snapLen: 100, burstSnapLen: 100, recordsPerSecond: 1e6, bytesPerSecond: 1e9, epochNs: 0n };
  const sessions = wishes.map(
    (wish, session) =>
      new TraceSession(
        {
          session,
          program: [],
          dropsOnly: false,
          shared: new SharedArrayBuffer(CELL_BYTES),
          ...most,
          ...wish,
        },
        () => {},
      ),
  );
  return new Tracer(sessions, 64);
}

describe('what a program may take', () => {
  it.each<[string, Wish[], string[]]>([
    ['no trace', [], ['all', 'all']],
    ['of drops only', [{ dropsOnly: true }, { dropsOnly: true, program: UDP }], ['all', 'all']],
    ['unfiltered', [{}], ['nothing', 'nothing']],
    ['with a filter', [{ program: UDP }], ['untraced', 'untraced']],
    ['with a filter, and unfiltered', [{ program: UDP }, {}], ['nothing', 'nothing']],
    ['with a filter, and of drops', [{ program: UDP }, { dropsOnly: true }], ['untraced', 'untraced']],
    ['of one fan', [{ fan: OTHER }], ['all', 'nothing']],
    ['of one fan each', [{ fan: OVERLAY, program: UDP }, { fan: OTHER }], ['untraced', 'nothing']],
  ])('%s', (_, wishes, expected) => {
    const { trace, takes, decaps } = twoFans();
    trace(...wishes);
    expect([takes(), takes(decaps)]).toEqual([expected, expected]);
    trace();
    expect([takes(), takes(decaps)]).toEqual([
      ['all', 'all'],
      ['all', 'all'],
    ]);
  });
});

describe('flows', () => {
  it('are given once, those that no trace can show', () => {
    const { trace, release, flows, generation } = twoFans();
    trace({ program: UDP }, { fan: OTHER });
    release([tcp, udp, tcp]);
    release([udp, tcp], 1);
    expect(flows()).toEqual([[generation(), 0xfa001c02, 0xfa001b02, portsOf(tcp), 6]]);
    expect(flows(1)).toEqual([]);
  });

  it('are not given where nothing or all is left to the program', () => {
    const { trace, release, flows } = twoFans();
    for (const wishes of [[], [{}], [{ dropsOnly: true }]]) {
      trace(...wishes);
      release([tcp, udp]);
    }
    expect(flows()).toEqual([]);
  });

  it('are given again where the program forgot them', () => {
    const { trace, release, flows } = twoFans();
    trace({ program: UDP });
    for (const nowMs of [0, 99, 101, 150, 202]) release([tcp], nowMs);
    expect(flows()).toHaveLength(3);
  });

  it('are judged anew when traces or fans change, and the number of their generation is another', () => {
    const { trace, release, flows, generation, reconfigure } = twoFans();
    const seen = [];
    trace({ program: UDP });
    for (const change of [() => trace({ program: NOTHING }), reconfigure, () => trace({ program: UDP })]) {
      release([tcp, udp]);
      seen.push([
        generation(),
        flows()
          .splice(0)
          .map(([first, , , , protocol]) => [first, protocol]),
      ]);
      change();
    }
    const [first, second, third] = [2, 3, 4];
    expect(seen).toEqual([
      [first, [[first, 6]]],
      [
        second,
        [
          [second, 6],
          [second, 17],
        ],
      ],
      [
        third,
        [
          [third, 6],
          [third, 17],
        ],
      ],
    ]);
  });

  it('of dropped packets, fragments and headers with options are none', () => {
    const { kernel, table, trace, release, flows } = twoFans();
    trace({ program: NOTHING });
    release([
      packet('250.0.28.2', '250.0.27.2', { moreFragments: true }),
      packet('250.0.28.2', '250.0.27.2', { fragmentOffset: 8 }),
      packet('250.0.28.2', '250.0.27.2', { options: new Uint8Array(4).fill(1) }),
      packet('250.0.28.2', '250.0.27.2', { payload: 3 }),
    ]);
    const dropped = batchOf([tcp]);
    dropped.setVerdict(0, DROP['source-not-ours'], 0, 1);
    kernel.releaseEncap(table.fans[0]!, dropped, 0);
    expect(flows()).toEqual([]);
  });

  it('that come in are given to the program of their own fan', () => {
    const { kernel, trace, decaps, generation } = twoFans();
    trace({ program: UDP }, { fan: OTHER });
    const inner = packet('250.0.27.2', '250.0.28.2', { protocol: 6 });
    const good = tunnelled('172.30.0.27', US, inner);
    const optional = tunnelled('172.30.0.27', US, inner, { options: new Uint8Array(4).fill(1) });
    const dropped = tunnelled('172.30.0.27', US, packet('250.0.27.2', '250.0.28.3', { protocol: 6 }));
    const datagram = tunnelled('172.30.0.27', US, packet('250.0.27.2', '250.0.28.2', { protocol: 17 }));
    const other = tunnelled('172.30.0.27', US, packet('99.0.27.2', '99.0.28.2', { protocol: 6 }));
    const rx = batchOf([optional, dropped, datagram, other, good, good]);
    for (let i = 0; i < rx.count; i++) rx.setVerdict(i, KEEP, i === 3 ? 1 : 0, 1);
    rx.setVerdict(1, DROP['source-forged'], 0, 1);
    kernel.releaseDecap(rx, 0);
    const flow = [generation(), 0xfa001b02, 0xfa001c02, portsOf(inner), 6];
    expect(decaps.map(({ told }) => told.flows)).toEqual([[flow], []]);
  });

  it('are judged for a bounded part of the time', () => {
    const { trace, release, flows } = twoFans();
    // Some hundred microseconds a flow, so that the first 5 ms end soon.
    const long = Array.from({ length: 4000 }, () => [0x30, 0, 0, 1]).flat();
    trace({ program: [...long, ...NOTHING] });
    const many = (from: number) =>
      Array.from({ length: 60 }, (_, i) => packet('250.0.28.2', `250.0.${from}.${i + 1}`, { protocol: 6 }));
    for (let batch = 1; batch <= 100; batch++) release(many(batch), 0);
    const atOnce = flows().length;
    expect(atOnce).toBeGreaterThan(0);
    expect(atOnce).toBeLessThan(6000);
    release([udp], 0);
    expect(flows()).toHaveLength(atOnce);
    release([udp], 60_000);
    expect(flows()).toHaveLength(atOnce + 1);
  });
});

function portsOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(20);
}
