/** Rates of two activities: over fand's own time, with what is new, gone or begun anew in between. */
import { expect, it } from 'vitest';
import { readRates } from '../../../../src/cli/output/activity-rates.js';
import type { Activity } from '../../../../src/control/protocol.js';
import { sampleActivity } from '../../daemon/sample-activity.js';

/** A sample, and one `seconds` later that `change` was made to. */
function pair(seconds: number, change: (later: Activity) => void): [Activity, Activity] {
  const later = structuredClone(sampleActivity());
  later.uptimeMs += seconds * 1000;
  change(later);
  return [sampleActivity(), later];
}

it('are what grew, a second', () => {
  const [before, now] = pair(2, (later) => {
    const { counters } = later.stats.fans[0]!;
    counters['encap-tx-packets']! += 100;
    counters['encap-tx-bytes']! += 50_000;
    counters['decap-tx-packets']! += 10;
    counters['decap-tx-bytes']! += 1000;
    later.cpuMs += 500;
    later.workers[0]!.cpuMs += 400;
  });
  const reading = readRates(before, now)!;
  expect(reading).toMatchObject({
    seconds: 2,
    hostname: 'alpha',
    pid: 4711,
    uptimeSeconds: 62,
    cpuPercent: 25,
    workers: [{ busyPercent: 20 }],
    pathMtus: [{ peer: '172.30.0.27', mtu: 1400 }],
  });
  expect(reading.fans).toEqual([
    {
      bridge: 'fan-250-0-28',
      overlay: '250.0.0.0/8',
      underlay: '172.30.0.28/16',
      io: 'raw',
      state: 'up',
      out: { packetsPerSecond: 50, bitsPerSecond: 200_000 },
      in: { packetsPerSecond: 5, bitsPerSecond: 4000 },
    },
    expect.objectContaining({ bridge: 'fan-99-0-28', state: 'dead' }),
  ]);
});

it('of drops are by reason, those that go on first, and none that never was', () => {
  const [before, now] = pair(1, (later) => {
    for (const { counters } of [later.stats.host, ...later.stats.fans]) {
      for (const name of Object.keys(counters)) if (name.startsWith('drop-')) counters[name] = 0;
    }
    later.stats.fans[0]!.counters['drop-source-forged-packets'] = 2000;
    later.stats.host.counters['drop-socket-overflow-packets'] = 5000;
  });
  before.stats.fans[0]!.counters['drop-source-forged-packets'] = 1990;
  before.stats.host.counters['drop-socket-overflow-packets'] = 5000;
  expect(readRates(before, now)!.drops).toEqual([
    { fan: 'fan-250-0-28', reason: 'source-forged', packetsPerSecond: 10, packets: 2000 },
    { fan: 'host', reason: 'socket-overflow', packetsPerSecond: 0, packets: 5000 },
  ]);
});

it('of peers are by load; one that is new, or begun anew, counts from nothing', () => {
  const counts = { txPackets: 0, txBytes: 0, rxPackets: 0, rxBytes: 0 };
  const [before, now] = pair(1, (later) => {
    later.peers[0]!.rxBytes += 8;
    later.peers.push({ ...counts, bridge: 'fan-250-0-28', peer: '172.30.0.30', txPackets: 3, txBytes: 300 });
  });
  before.peers[1] = { ...before.peers[1]!, txPackets: 1000, txBytes: 100_000 };
  now.peers[1] = { ...now.peers[1]!, txPackets: 1, txBytes: 100 };
  expect(
    readRates(before, now)!.peers.map(({ peer, out, in: into }) => [peer, out, into.bitsPerSecond]),
  ).toEqual([
    ['172.30.0.30', { packetsPerSecond: 3, bitsPerSecond: 2400 }, 0],
    ['172.30.0.29', { packetsPerSecond: 1, bitsPerSecond: 800 }, 0],
    ['172.30.0.27', { packetsPerSecond: 0, bitsPerSecond: 0 }, 64],
  ]);
});

it.each<[string, Partial<Activity>]>([
  ['another process', { pid: 4712 }],
  ['another process with the same number', { startedMs: 1_700_000_000_001 }],
  ['the same moment', { uptimeMs: sampleActivity().uptimeMs }],
])('are none for %s', (_, other) => {
  const [before, now] = pair(1, (later) => Object.assign(later, other));
  expect(readRates(before, now)).toBeUndefined();
});
