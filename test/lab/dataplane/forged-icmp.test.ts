/**
 * What strangers say of a path (fan-spec: "what a fan promises"; RFC 5927): ICMP "fragmentation needed" forged by a host of
 * the underlay, in a third party's name, or by a neighbour container. None of it narrows a path that nobody was sent much
 * by, nor any below 576; what a router says of a path that is in use is believed, also where the kernel forwards.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { raiseFan } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import type { Namespace } from '../../../bench/lab/namespace.js';
import { ping } from '../../../bench/lab/ping.js';
import { REPOSITORY } from '../../../bench/lab/repository.js';
import { FandClient } from '../../../src/control/client.js';
import { runPaths } from '../../../src/control/protocol.js';
import { FAN, PYTHON, readCounters, readStats, tunReads, until } from '../fan-lab.js';

const MAKE = join(REPOSITORY, 'test/lab/hostile.py');
const SEND = join(REPOSITORY, 'test/lab/send-frames.py');
const [FULL, THERE] = [1480 - 28, '250.0.27.2'];
const TOLD = 1000;

let lab: Lab;
let victim: Host;

/** Frames of each kind for the device with this MAC address. */
async function framesTo(from: Host, mac: string): Promise<Record<string, string[]>> {
  const { stdout } = await from.exec([PYTHON, MAKE, victim.address, mac, lab.host(2).address]);
  return JSON.parse(stdout) as Record<string, string[]>;
}

async function macOf(where: Namespace, device: string): Promise<string> {
  return (await where.exec(['cat', `/sys/class/net/${device}/address`])).stdout.trim();
}

async function paths(): Promise<unknown[]> {
  return (await new FandClient(runPaths(victim.dir)).activity()).pathMtus;
}

async function counted(name: string): Promise<number> {
  const { fans, host } = await readStats(victim);
  return (fans[0]?.counters[name] ?? 0) + (host.counters[name] ?? 0);
}

/** A stranger's frame is dropped for this reason, and no path is known. */
async function expectRefused(from: Namespace, frames: readonly string[], reason: string): Promise<void> {
  const name = `drop-${reason}-packets`;
  const before = await counted(name);
  await from.exec([PYTHON, SEND, 'eth0', ...frames]);
  await until(
    () => counted(name),
    (count) => count > before,
  );
  expect(await paths()).toEqual([]);
}

const fullPings = () => ping(victim.container(1), THERE, { count: 3, size: FULL, df: true });

describe.each(['raw', 'packet', 'bpf'])('with io %s', (io) => {
  let byUnderlay: Record<string, string[]>;
  let byBridge: Record<string, string[]>;

  beforeAll(async () => {
    lab = await createLab({ hosts: 3, containers: 2 });
    victim = lab.host(1);
    const [{ view }] = await Promise.all([
      raiseFan(victim, [...FAN, '--io', io]),
      raiseFan(lab.host(2), FAN),
    ]);
    for (const device of ['all', 'eth0', view.bridge]) {
      await victim.sysctl(`net/ipv4/conf/${device}/rp_filter`, 0);
    }
    byUnderlay = await framesTo(lab.host(3), await macOf(victim, 'eth0'));
    byBridge = await framesTo(lab.host(3), await macOf(victim, view.bridge));
  });
  afterAll(() => lab?.remove());

  it('nobody narrows the path to a peer that was sent nothing', async () => {
    await expectRefused(lab.host(3), byUnderlay['icmp-too-big']!, 'icmp-implausible');
    await expectRefused(lab.host(3), byUnderlay['icmp-unsent']!, 'icmp-implausible');
  });

  it('nor the one to a peer in use: below 576, by a third party, or from a container', async () => {
    expect(await fullPings()).toMatchObject({ received: 3 });
    await expectRefused(lab.host(3), byUnderlay['icmp-68']!, 'icmp-implausible');
    await expectRefused(lab.host(3), byUnderlay['icmp-stranger']!, 'icmp-source');
    await expectRefused(victim.container(2), byBridge['icmp-too-big']!, 'bridge-source');
    await expectRefused(lab.host(3), byUnderlay['icmp-unsent']!, 'icmp-implausible');
  });

  it('and all is as before, in the routes of the host too', async () => {
    const { stdout } = await victim.exec(['ip', 'route', 'get', lab.host(2).address]);
    expect(stdout).not.toContain('mtu');
    const before = io === 'bpf' ? await tunReads(victim) : 0;
    expect(await fullPings()).toMatchObject({ received: 3 });
    if (io === 'bpf') expect(await tunReads(victim)).toBe(before);
  });

  it('a router is believed of a path in use', async () => {
    await fullPings();
    await lab.host(3).exec([PYTHON, SEND, 'eth0', ...byUnderlay['icmp-too-big']!]);
    await until(paths, (known) => known.length > 0);
    expect(await paths()).toMatchObject([{ peer: lab.host(2).address, mtu: TOLD }]);
    const { text } = await ping(victim.container(1), THERE, {
      count: 1,
      size: FULL,
      df: true,
      timeoutMs: 2000,
    });
    expect(text).toContain(`(mtu = ${TOLD - 20})`);
    expect((await readCounters(victim))['drop-too-big-packets']).toBeGreaterThan(0);
  });
});
