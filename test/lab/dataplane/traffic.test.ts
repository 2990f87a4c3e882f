/**
 * Whatever containers send arrives unharmed: streams both ways at once, datagrams and pings of every size, many flows,
 * large files; with an underlay that merges and cuts as a NIC, one that passes super-packets, and one that does neither.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { iperf } from '../../../bench/lab/iperf.js';
import { ping } from '../../../bench/lab/ping.js';
import { randomFile, sendFile } from '../../../bench/lab/transfer.js';
import { type Profile, portOf } from '../../../bench/lab/underlay.js';
import { echoUdp, FAN, FanLab, growth, readCounters, until } from '../fan-lab.js';

/**
 * Payload bytes: the least, all around the MTU of the overlay (1480: UDP and ICMP take 28) and of the underlay, many
 * fragments, the most.
 */
const DATAGRAMS = [1, 2, 17, 1400, 1451, 1452, 1453, 1472, 1473, 1480, 3000, 9000, 32_768, 65_506, 65_507];
const PINGS = [1, 2, 8, 56, 1451, 1452, 1453, 1472, 1480, 3000, 20_000, 60_000];
const FILE_BYTES = 200_000_000;

const UNDERLAYS: readonly [string, string, Profile, boolean][] = ['raw', 'packet', 'bpf'].flatMap(
  (io): [string, string, Profile, boolean][] => [
    [io, 'that cuts and merges as a NIC does', 'nic-like', true],
    [io, 'that passes super-packets uncut', 'offload', true],
    // Encap in the kernel changes nothing on the way in.
    ...(io === 'bpf' ? [] : [[io, 'without GRO', 'nic-like', false] as [string, string, Profile, boolean]]),
  ],
);

describe.each(UNDERLAYS)('io %s on an underlay %s', (io, _, profile, gro) => {
  let net: FanLab;
  let file: { path: string; sha256: string };
  beforeAll(async () => {
    net = await FanLab.open({ profile }, [...FAN, '--io', io]);
    file = await randomFile(net.host(1), net.lab.dir, FILE_BYTES);
    if (gro) return;
    for (const host of net.lab.hosts) {
      await host.exec(['ethtool', '-K', 'eth0', 'gro', 'off']);
      await net.lab.wire.exec(['ethtool', '-K', portOf(host), 'gro', 'off']);
    }
  });
  afterAll(() => net?.remove());

  it('carries UDP of every size, one way and the other', async () => {
    await echoUdp(net.container(1), net.container(2), net.address(2), DATAGRAMS);
    await echoUdp(net.container(2), net.container(1), net.address(1), DATAGRAMS);
  });

  it('carries pings of every size', async () => {
    for (const size of PINGS) {
      const { received, text } = await ping(net.container(1), net.address(2), { count: 1, size });
      expect({ size, received, text }).toMatchObject({ received: 1 });
    }
  });

  it('carries TCP both ways at once', async () => {
    const { json } = await iperf(net.container(1), net.container(2), net.address(2), {
      seconds: 1,
      args: ['--bidir'],
    });
    const streams = json.end.streams ?? [];
    expect(streams.map(({ receiver }) => receiver.sender)).toEqual([true, false]);
    for (const { receiver } of streams) expect(receiver.bytes).toBeGreaterThan(1_000_000);
  });

  it('carries 100 TCP flows at once', async () => {
    const { json } = await iperf(net.container(1), net.container(2), net.address(2), {
      // Long enough for a flow whose first packet was lost to send it again.
      seconds: 2,
      args: ['-P', '100'],
    });
    const received = (json.end.streams ?? []).map(({ receiver }) => receiver.bytes);
    expect(received).toHaveLength(100);
    expect(Math.min(...received)).toBeGreaterThan(0);
  });

  it.each([
    [1, 2],
    [2, 1],
  ])('carries a file of 200 MB from host %i to host %i', async (from, to) => {
    const copy = join(net.lab.dir, 'copy');
    const before = await readCounters(net.host(to));
    const sent = await sendFile(net.container(from), net.container(to), net.address(to), file.path, copy);
    rmSync(copy);
    expect(sent).toMatchObject({ sha256: file.sha256, bytes: FILE_BYTES });
    // Every packet that the host took off the wire is either delivered or dropped by name.
    // All since the fan came up: `before` may have met a batch of the last test half counted.
    const counted = await until(
      () => readCounters(net.host(to)),
      (now) => now['decap-tx-packets'] === now['decap-rx-packets'],
    );
    expect(growth(before, counted)['decap-tx-bytes']).toBeGreaterThan(FILE_BYTES);
  });

  it('no packet of all these was refused', async () => {
    for (const host of net.lab.hosts) {
      const counters = await readCounters(host);
      const drops = Object.entries(counters).filter(([name, n]) => name.startsWith('drop-') && n > 0);
      expect(drops.filter(([name]) => !name.endsWith('-overflow-packets'))).toEqual([]);
    }
  });
});
