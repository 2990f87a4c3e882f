/**
 * A path that carries less than its ends do, and peers that can't be reached (RFC 2003 §5, RFC 4459): containers hear
 * what they need to, and nothing hangs. narrow-path.ts has the picture.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Capture, complaints, fields } from '../../../bench/lab/capture.js';
import { raiseFan } from '../../../bench/lab/fan.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { ping, UNANSWERED } from '../../../bench/lab/ping.js';
import { randomFile, sendFile } from '../../../bench/lab/transfer.js';
import { echoUdp, FAN, growth, readCounters } from '../fan-lab.js';
import { buildNarrowPath } from '../narrow-path.js';

/** ICMP payloads: the most that an inner packet takes of 1480 bytes, and of 1380. */
const FULL = 1480 - 28;
const FITS = 1380 - 28;
const HERE = '250.0.28.2';
const THERE = '250.0.27.2';

let lab: Lab;

/** What `action` adds to the counters of a host's fan shall be `expected`. */
async function expectAdded(host: number, action: () => Promise<unknown>, expected: object): Promise<void> {
  const before = await readCounters(lab.host(host));
  await action();
  await expect.poll(async () => growth(before, await readCounters(lab.host(host)))).toEqual(expected);
}

async function routeMtu(host: number, container: number, to: string): Promise<string | undefined> {
  const { stdout } = await lab.host(host).container(container).exec(['ip', 'route', 'get', to]);
  return / mtu (\d+)/.exec(stdout)?.[1];
}

/** One ping from host 1's container, and all that it printed. */
async function pingText(...args: string[]): Promise<string> {
  const argv = ['ping', '-n', '-c', '1', '-W', '8', ...args];
  return (await lab.host(1).container(1).exec(argv, { anyExit: true })).stdout;
}

beforeAll(async () => {
  lab = await createLab({ hosts: 4, containers: 2 });
  await buildNarrowPath(lab);
  await Promise.all([raiseFan(lab.host(1), FAN), raiseFan(lab.host(2), FAN)]);
});
afterAll(() => lab?.remove());

// In this order: what a fan has learnt of the path stays known.
describe('a path of 1400 between hosts of 1500', () => {
  it('a TCP sender learns of it, and its stream arrives', async () => {
    const file = await randomFile(lab.host(1), lab.dir, 3_000_000);
    const [from, to] = [lab.host(1).container(1), lab.host(2).container(1)];
    const before = await readCounters(lab.host(1));
    const { sha256 } = await sendFile(from, to, THERE, file.path, join(lab.dir, 'copy'));
    expect(sha256).toBe(file.sha256);
    expect(await routeMtu(1, 1, THERE)).toBe('1380');
    const grown = growth(before, await readCounters(lab.host(1)));
    expect(grown['icmp-rx-packets']).toBeGreaterThanOrEqual(1);
    expect(grown['icmp-tx-packets']).toBeGreaterThanOrEqual(1);
    expect(grown['fragment-tx-packets']).toBeUndefined();
  });

  it('the first packet of a pinging container is answered by the router, through us', async () => {
    const action = async () => {
      const { text } = await ping(lab.host(2).container(1), HERE, { count: 1, size: FULL, df: true });
      expect(text).toContain(`From ${HERE} icmp_seq=1 Frag needed and DF set (mtu = 1380)`);
    };
    await expectAdded(2, action, {
      'encap-rx-packets': 1,
      'encap-rx-bytes': 1480,
      'encap-tx-packets': 1,
      'encap-tx-bytes': 1480,
      'icmp-rx-packets': 1,
      'icmp-tx-packets': 1,
    });
    expect(await routeMtu(2, 1, HERE)).toBe('1380');
  });

  it('the next container is answered by the fan, which now knows', async () => {
    const action = async () => {
      const { text } = await ping(lab.host(2).container(2), HERE, { count: 1, size: FULL, df: true });
      expect(text).toContain(`From ${HERE} icmp_seq=1 Frag needed and DF set (mtu = 1380)`);
    };
    await expectAdded(2, action, {
      'encap-rx-packets': 1,
      'encap-rx-bytes': 1480,
      'drop-too-big-packets': 1,
      'icmp-tx-packets': 1,
    });
  });

  it('what just fits passes whole, and one byte more does not', async () => {
    const from = lab.host(2).container(1);
    expect(await ping(from, HERE, { count: 1, size: FITS, df: true })).toMatchObject({ received: 1 });
    expect(await ping(from, HERE, { ...UNANSWERED, count: 1, size: FITS + 1, df: true })).toMatchObject({
      received: 0,
    });
  });

  it('without DF it passes in outer fragments that share an ID', async () => {
    const path = join(lab.dir, 'fragments.pcap');
    const capture = await Capture.start(lab.host(3), 'eth1', path, 'ip proto 4 and src host 172.30.0.28');
    const action = async () => {
      const pings = await ping(lab.host(1).container(1), THERE, { count: 3, size: FULL, df: false });
      expect(pings).toMatchObject({ received: 3 });
    };
    await expectAdded(1, action, {
      'encap-rx-packets': 3,
      'encap-rx-bytes': 3 * 1480,
      'encap-tx-packets': 3,
      'encap-tx-bytes': 3 * 1480,
      'fragment-tx-packets': 6,
      'decap-rx-packets': 3,
      'decap-rx-bytes': 3 * 1480,
      'decap-tx-packets': 3,
      'decap-tx-bytes': 3 * 1480,
    });
    await capture.stop();
    expect(await complaints(path)).toEqual([]);
    const rows = await fields(path, ['ip.flags.df', 'ip.flags.mf', 'ip.frag_offset', 'ip.len', 'ip.id']);
    const outer = rows.map((row) => row.map((values) => values.split(',')[0]));
    expect(outer.map((row) => row.slice(0, 4).join(' '))).toEqual(
      Array.from({ length: 3 }, () => ['0 1 0 1396', '0 0 172 124']).flat(),
    );
    const ids = outer.map(([, , , , id]) => id);
    expect(new Set(ids).size).toBe(3);
    expect(ids).not.toContain('0x0000');
    for (const i of [0, 2, 4]) expect(ids[i]).toBe(ids[i + 1]);
  });

  it.each(['clear', 'auto'] as const)('UDP of every size passes, DF %s', async (df) => {
    const sizes = [FITS, FITS + 1, FULL, FULL + 1, 3000, 65_507];
    const echo = () => echoUdp(lab.host(1).container(1), lab.host(2).container(1), THERE, sizes, df);
    // The two between 1380 and 1480, in two each: where the container has cut them, the host's conntrack joins them.
    await expectAdded(1, echo, expect.objectContaining({ 'fragment-tx-packets': 4 }));
  });

  it('TCP passes the other way as well', async () => {
    const file = await randomFile(lab.host(2), lab.dir, 3_000_000);
    const [from, to] = [lab.host(2).container(2), lab.host(1).container(2)];
    const sent = await sendFile(from, to, '250.0.28.3', file.path, join(lab.dir, 'copy'));
    expect(sent.sha256).toBe(file.sha256);
  });
});

describe('a peer that cannot be reached', () => {
  it.each([
    ['no host answers ARP for', ['250.0.99.2'], '250.0.99.2'],
    ['the router knows no way to', ['250.0.77.2'], '250.0.77.2'],
    ['the TTL ends before', ['-t', '3', THERE], THERE],
  ])('a container is told host unreachable: %s it', async (_, args, peer) => {
    const action = async () => {
      expect(await pingText(...args)).toContain(`From ${peer} icmp_seq=1 Destination Host Unreachable`);
    };
    await expectAdded(1, action, {
      'encap-rx-packets': 1,
      'encap-rx-bytes': 84,
      'encap-tx-packets': 1,
      'encap-tx-bytes': 84,
      'icmp-rx-packets': 1,
      'icmp-tx-packets': 1,
    });
  });

  it('what the kernel refuses while the link is down is counted', async () => {
    await lab.host(1).ip('link set eth0 down');
    await expectAdded(1, () => ping(lab.host(1).container(1), THERE, { ...UNANSWERED, count: 1 }), {
      'encap-rx-packets': 1,
      'encap-rx-bytes': 84,
      'drop-send-failed-packets': 1,
    });
  });
});
