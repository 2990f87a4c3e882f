/**
 * What the path says of packets over VXLAN. Their DF is clear, so that routers cut them; one that doesn't, and says so, is
 * believed, and containers are told. narrow-path.ts has the picture; host 3 is such a router, host 4 cuts.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunningCommand } from '../../../bench/lab/command.js';
import { raiseFan } from '../../../bench/lab/fan.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { ping, UNANSWERED } from '../../../bench/lab/ping.js';
import { REPOSITORY } from '../../../bench/lab/repository.js';
import { randomFile, sendFile } from '../../../bench/lab/transfer.js';
import { FandClient } from '../../../src/control/client.js';
import { runPaths } from '../../../src/control/protocol.js';
import { FAN, growth, PYTHON, readCounters, tunReads, until } from '../fan-lab.js';
import { buildNarrowPath } from '../narrow-path.js';

const ROUTER = join(REPOSITORY, 'test/lab/stubborn-router.py');
const [HERE, THERE] = ['250.0.28.2', '250.0.27.2'];
/** ICMP payloads: the most that an inner packet takes of 1450 bytes, and of 1350. */
const [FULL, FITS] = [1450 - 28, 1350 - 28];

describe.each(['raw', 'bpf'])('a path of 1400 between hosts of 1500, io %s', (io) => {
  let lab: Lab;
  let router: RunningCommand;
  const sender = (container = 1) => lab.host(1).container(container);

  beforeAll(async () => {
    lab = await createLab({ hosts: 4, containers: 2 });
    await buildNarrowPath(lab);
    const words = [...FAN, 'vxlan', '--io', io];
    await Promise.all([raiseFan(lab.host(1), words), raiseFan(lab.host(2), words)]);
    const drop = 'add rule ip stubborn forward udp dport 8472 ip length > 1400 drop';
    await lab
      .host(3)
      .exec([
        'nft',
        `add table ip stubborn; add chain ip stubborn forward { type filter hook forward priority 0; }; ${drop}`,
      ]);
    // In a burst that no NIC has cut, packets that fit would be too long.
    await lab.host(1).exec(['ethtool', '-K', 'eth0', 'tx-udp-segmentation', 'off']);
    await lab.host(3).exec(['ethtool', '-K', 'eth0', 'gro', 'off']);
    router = lab.host(3).spawn([PYTHON, ROUTER, 'eth0', '8472', '1400']);
    await router.prints(/ready/);
  });
  afterAll(async () => {
    await router?.stop();
    lab?.remove();
  });

  const paths = async () => (await new FandClient(runPaths(lab.host(1).dir)).activity()).pathMtus;

  it('a TCP sender learns of it, and its stream arrives', async () => {
    const file = await randomFile(lab.host(1), lab.dir, 3_000_000);
    const copy = join(lab.dir, 'copy');
    const before = await readCounters(lab.host(1));
    const { sha256 } = await sendFile(sender(), lab.host(2).container(1), THERE, file.path, copy);
    expect(sha256).toBe(file.sha256);
    expect((await sender().exec(['ip', 'route', 'get', THERE])).stdout).toContain(' mtu 1350');
    const grown = growth(before, await readCounters(lab.host(1)));
    expect(grown['icmp-rx-packets']).toBeGreaterThanOrEqual(1);
    expect(grown['icmp-tx-packets']).toBeGreaterThanOrEqual(1);
    expect(await paths()).toMatchObject([{ peer: lab.host(2).address, mtu: 1400 }]);
  });

  it('the next container is answered by the fan, which now knows', async () => {
    const before = await readCounters(lab.host(1));
    const { text } = await ping(sender(2), THERE, { count: 1, size: FULL, df: true });
    expect(text).toContain(`From ${THERE} icmp_seq=1 Frag needed and DF set (mtu = 1350)`);
    const grown = growth(before, await readCounters(lab.host(1)));
    expect(grown).toMatchObject({ 'drop-too-big-packets': 1, 'icmp-tx-packets': 1 });
  });

  it('what just fits passes, by the kernel where it forwards, and one byte more does not', async () => {
    const reads = await tunReads(lab.host(1));
    expect(await ping(sender(), THERE, { count: 3, size: FITS, df: true })).toMatchObject({ received: 3 });
    if (io === 'bpf') expect((await tunReads(lab.host(1))) - reads).toBeLessThan(3);
    const more = { ...UNANSWERED, count: 1, size: FITS + 1, df: true };
    expect(await ping(sender(), THERE, more)).toMatchObject({ received: 0 });
  });

  it('where routers cut, full packets pass the other way, and nobody is told', async () => {
    const before = await readCounters(lab.host(1));
    // The answer, which is as long, would not pass.
    const argv = ['ping', '-n', '-c', '1', '-W', '1', '-M', 'do', '-s', `${FULL}`, HERE];
    const { stdout } = await lab.host(2).container(1).exec(argv, { anyExit: true });
    expect(stdout).not.toContain('Frag needed');
    await until(
      async () => growth(before, await readCounters(lab.host(1)))['decap-tx-bytes'] ?? 0,
      (bytes) => bytes >= FULL + 28,
    );
  });

  it('a fan that is gone on the other host is told to the container', async () => {
    await lab.host(2).fanctl(['down', '-e', '--force']);
    const text = async () => {
      const argv = ['ping', '-n', '-c', '1', '-W', '2', THERE];
      return (await sender().exec(argv, { anyExit: true })).stdout;
    };
    await until(text, (said) => said.includes(`From ${THERE} icmp_seq=1 Destination Host Unreachable`));
  });
});
