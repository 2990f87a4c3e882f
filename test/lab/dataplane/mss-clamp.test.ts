/**
 * Containers that keep MTU 1500 on a fan of 1480 where nobody hears ICMP: TCP would hang, and by the MSS that the fan's
 * table clamps it does not, in each io; with `no-mss-clamp` it does.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Capture, fields } from '../../../bench/lab/capture.js';
import type { Namespace } from '../../../bench/lab/namespace.js';
import { randomFile, sendFile } from '../../../bench/lab/transfer.js';
import { FAN, FanLab } from '../fan-lab.js';

const BULK = 4e6;
const KEPT = 1500;
/** Of a path of 1480 bytes, and of one of 1500. */
const [CLAMPED, WHOLE] = ['1440', '1460'];
const DEAF = 'table inet deaf { chain in { type filter hook input priority 0; ip protocol icmp drop; }; }';
/** A filter on the way: errors of a router are lost, whomever they are for. */
const MUTE =
  'table inet mute { chain out { type filter hook output priority 0; icmp type destination-unreachable drop; }; }';

let net: FanLab | undefined;
afterAll(() => net?.remove());

async function open(...flags: string[]): Promise<FanLab> {
  net = await FanLab.open({}, [...FAN, ...flags]);
  for (const host of net.lab.hosts) {
    const container = host.container(1);
    await host.ip(`link set ${container.port} mtu ${KEPT}`);
    await container.ip(`link set eth0 mtu ${KEPT}`);
    await container.exec(['nft', DEAF]);
    await host.exec(['nft', MUTE]);
  }
  return net;
}

/** What came of bulk TCP from one to the other; null where it hangs. */
async function bulk(from: Namespace, to: Namespace, address: string, timeoutMs: number) {
  const { path, sha256 } = await randomFile(from, net!.lab.dir, BULK);
  const sent = sendFile(from, to, address, path, join(net!.lab.dir, 'received'), { timeoutMs });
  const got = await sent.catch(() => null);
  return got && got.sha256 === sha256 && got.bytes;
}

/** Container 1 asks host 2 for a file, as it would a server of the Internet: the server sends. */
async function download({ lab }: FanLab, timeoutMs: number): Promise<string> {
  const [client, server] = [lab.host(1).container(1), lab.host(2)];
  const { path } = await randomFile(server, lab.dir, BULK);
  const serving = server.spawn(['sh', '-c', 'exec nc -n -N -l 9001 < "$0"', path]);
  try {
    await expect.poll(async () => (await server.exec(['ss', '-Hltn', 'sport = :9001'])).stdout).not.toBe('');
    const fetch = `timeout ${timeoutMs / 1000} nc -n -d ${server.address} 9001 | wc -c`;
    return (await client.exec(['sh', '-c', fetch], { timeoutMs: 2 * timeoutMs })).stdout.trim();
  } finally {
    await serving.stop();
  }
}

describe.each(['raw', 'packet', 'bpf'])('io %s', (io) => {
  let lab: FanLab;
  beforeAll(async () => {
    lab = await open('io', io);
  });
  afterAll(() => lab?.remove());

  it('containers of two hosts exchange bulk each way', async () => {
    for (const [from, to] of [
      [1, 2],
      [2, 1],
    ] as const) {
      expect(await bulk(lab.container(from), lab.container(to), lab.address(to), 60_000)).toBe(BULK);
    }
  });

  it('a container downloads by NAT', async () => {
    expect(await download(lab, 60_000)).toBe(`${BULK}`);
  });

  it('is lowered in both directions, and nothing else is touched', async () => {
    const [one, two] = [lab.container(1), lab.container(2)];
    // The container completes its checksums itself, so that a wrong one is the clamp's.
    await one.exec(['ethtool', '-K', 'eth0', 'tx', 'off']);
    const capture = await Capture.start(two, 'eth0', join(lab.lab.dir, `${io}.pcap`));
    await bulk(one, two, lab.address(2), 60_000);
    // Less than the path takes, as a container with a smaller MTU announces: it stays.
    await one.ip('link set eth0 mtu 1400');
    await bulk(one, two, lab.address(2), 60_000);
    await one.ip(`link set eth0 mtu ${KEPT}`);
    await capture.stop();
    const announced = async (filter: string) =>
      (await fields(capture.file, ['tcp.options.mss_val'], filter)).map(([mss]) => mss);
    expect(await announced('tcp.flags.syn==1 && tcp.flags.ack==0')).toEqual([CLAMPED, '1360']);
    // What leaves this container has not met its host's table yet.
    expect(await announced('tcp.flags.syn==1 && tcp.flags.ack==1')).toEqual([WHOLE, WHOLE]);
    expect(
      await fields(
        capture.file,
        ['frame.number'],
        'tcp.flags.syn==1 && tcp.flags.ack==0 && tcp.checksum.status==0',
      ),
    ).toEqual([]);
  });
});

it('no-mss-clamp: both hang, and the table has no such chain', async () => {
  const lab = await open('no-mss-clamp');
  expect(await bulk(lab.container(1), lab.container(2), lab.address(2), 4000)).toBeNull();
  expect(await download(lab, 4000)).toBe('0');
  const { stdout } = await lab.host(1).exec(['nft', 'list', 'ruleset']);
  expect(stdout).not.toContain('maxseg');
  expect(lab.fan(1).flags).toContain('no-mss-clamp');
});
