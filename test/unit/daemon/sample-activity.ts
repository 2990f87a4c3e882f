/** An Activity with something in every part of it. */
import type { Activity, FanView } from '../../../src/control/protocol.js';
import { COUNTER_NAMES } from '../../../src/dataplane/tables/counters.js';

const FAN: FanView = {
  bridge: 'fan-250-0-28',
  overlay: '250.0.0.0/8',
  underlay: '172.30.0.28/16',
  slice: '250.0.28.0/24',
  gateway: '250.0.28.1',
  device: 'eth0',
  mtu: 1480,
  io: 'raw',
  ioNotes: [],
  workers: 1,
  state: 'up',
  health: [],
  flags: 'host-reserve 1',
};

/** Each counter has a value of its own, from `base` on. */
function countersFrom(base: number): Record<string, number> {
  return Object.fromEntries(COUNTER_NAMES.map((name, i) => [name, base + i]));
}

export function sampleActivity(): Activity {
  const { bridge, overlay, underlay, io } = FAN;
  return {
    pid: 4711,
    version: '1.2.3',
    hostname: 'alpha',
    startedMs: 1_700_000_000_000,
    uptimeMs: 60_000,
    cpuMs: 1500,
    rssBytes: 80_000_000,
    openFiles: 23,
    workers: [{ cpuMs: 1000, packets: 4000 }],
    fans: [
      FAN,
      {
        ...FAN,
        bridge: 'fan-99-0-28',
        overlay: '99.0.0.0/8',
        state: 'dead',
        health: [
          { check: 'fan-dead', since: '2026-01-02T03:04:05.678Z', evidence: 'gone', fix: 'fanctl up' },
        ],
      },
    ],
    stats: {
      host: { counters: countersFrom(100) },
      fans: [{ bridge, overlay, underlay, io, counters: countersFrom(1000) }],
    },
    peers: [
      { bridge, peer: '172.30.0.27', txPackets: 1, txBytes: 100, rxPackets: 2, rxBytes: 200 },
      { bridge, peer: '172.30.0.29', txPackets: 0, txBytes: 0, rxPackets: 0, rxBytes: 0 },
    ],
    pathMtus: [{ peer: '172.30.0.27', mtu: 1400, expiresInMs: 300_000 }],
  };
}
