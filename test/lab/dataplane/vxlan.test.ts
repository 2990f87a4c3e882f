/**
 * A fan over VXLAN between two hosts of ours, routed, layer 2 and one of each: whatever containers send arrives unharmed,
 * and nothing of it is refused.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { containerAddress, raiseFan } from '../../../bench/lab/fan.js';
import { iperf } from '../../../bench/lab/iperf.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { ping } from '../../../bench/lab/ping.js';
import { randomFile, sendFile } from '../../../bench/lab/transfer.js';
import type { Profile } from '../../../bench/lab/underlay.js';
import type { FanView } from '../../../src/control/protocol.js';
import { echoUdp, FAN, readCounters, until } from '../fan-lab.js';

/** All around the MTU of the overlay (1450: UDP and ICMP take 28), many fragments, the most. */
const SIZES = [1, 2, 56, 1400, 1421, 1422, 1423, 1450, 3000, 8000, 60_000];
const FILE_BYTES = 50_000_000;

const ROUTED: readonly string[] = ['vxlan'];
const LAYER2: readonly string[] = ['vxlan', 'layer2'];
/** UDP sockets; what the kernel carries is for vxlan-bpf.test.ts. */
const RAW = ['--io', 'raw'];
const FANS: readonly [string, Profile, readonly string[], readonly string[]][] = [
  ['routed, on an underlay that merges and cuts as a NIC does', 'nic-like', ROUTED, ROUTED],
  ['routed, on an underlay that passes super-packets uncut', 'offload', ROUTED, ROUTED],
  ['layer 2', 'nic-like', LAYER2, LAYER2],
  ['layer 2, on an underlay that passes super-packets uncut', 'offload', LAYER2, LAYER2],
  ['routed on one host and layer 2 on the other', 'nic-like', ROUTED, LAYER2],
];

describe.each(FANS)('a VXLAN fan, %s', (_, profile, first, second) => {
  let lab: Lab;
  let fans: readonly FanView[];
  let addresses: readonly string[];
  const container = (host: number) => lab.host(host).container(1);
  beforeAll(async () => {
    lab = await createLab({ profile });
    const raised = [
      await raiseFan(lab.host(1), [...FAN, ...RAW, ...first]),
      await raiseFan(lab.host(2), [...FAN, ...RAW, ...second]),
    ];
    fans = raised.map(({ view }) => view);
    addresses = fans.map((fan) => containerAddress(fan, 1));
  });
  afterAll(() => lab?.remove());

  it('has the MTU that VXLAN leaves', () => {
    expect(fans.map(({ mtu }) => mtu)).toEqual([1450, 1450]);
    expect(fans.map(({ flags }) => flags)[1]).toBe(`host-reserve 1 io raw type ${second.join(' ')}`);
  });

  it('carries pings of every size', async () => {
    for (const size of SIZES) {
      const { received, text } = await ping(container(1), addresses[1]!, { count: 1, size });
      expect({ size, received, text }).toMatchObject({ received: 1 });
    }
  });

  it('carries UDP of every size, one way and the other', async () => {
    await echoUdp(container(1), container(2), addresses[1]!, SIZES);
    await echoUdp(container(2), container(1), addresses[0]!, SIZES);
  });

  it('carries TCP both ways at once', async () => {
    const { json } = await iperf(container(1), container(2), addresses[1]!, {
      seconds: 1,
      args: ['--bidir'],
    });
    for (const { receiver } of json.end.streams ?? []) expect(receiver.bytes).toBeGreaterThan(1_000_000);
  });

  it.each([
    [1, 2],
    [2, 1],
  ])('carries a file from host %i to host %i', async (from, to) => {
    const file = await randomFile(lab.host(from), lab.dir, FILE_BYTES);
    const copy = join(lab.dir, 'copy');
    const sent = await sendFile(container(from), container(to), addresses[to - 1]!, file.path, copy);
    rmSync(copy);
    expect(sent).toMatchObject({ sha256: file.sha256, bytes: FILE_BYTES });
    await until(
      () => readCounters(lab.host(to)),
      (now) => now['decap-tx-packets'] === now['decap-rx-packets'],
    );
  });

  it('no packet of all these was refused', async () => {
    for (const host of lab.hosts) {
      const counters = await readCounters(host);
      const drops = Object.entries(counters).filter(([name, n]) => name.startsWith('drop-') && n > 0);
      // A bridge floods what is for all to the tunnel as well, where it goes no further.
      const flooded = ['drop-to-ourselves-packets', 'drop-group-frame-packets'];
      expect(
        drops.filter(([name]) => !name.endsWith('-overflow-packets') && !flooded.includes(name)),
      ).toEqual([]);
    }
  });
});
