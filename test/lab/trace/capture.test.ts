/**
 * `fanctl capture` of real traffic, read by tshark, which finds nothing malformed and no wrong checksum, and by
 * `fanctl dissect`, which judges as the dataplane did. Every I/O mode, at the size of the offloads and of the wire.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fields } from '../../../bench/lab/capture.js';
import type { RunningCommand } from '../../../bench/lab/command.js';
import { ping, UNANSWERED } from '../../../bench/lab/ping.js';
import { FANCTL } from '../../../bench/lab/repository.js';
import { randomFile, sendFile } from '../../../bench/lab/transfer.js';
import { echoUdp, FAN, FanLab, faults, until } from '../fan-lab.js';

const FILE_BYTES = 300_000;
const DESCRIBED = '250.0.0.0/8 172.30.0.1/16';

describe.each(['raw', 'packet', 'bpf'])('capture with io %s', (io) => {
  let net: FanLab;
  beforeAll(async () => {
    net = await FanLab.open({ hosts: 2 }, [...FAN, '--io', io]);
    await ping(net.container(1), net.address(2), { count: 1 });
  });
  afterAll(() => net?.remove());

  async function start(host: number, file: string, ...words: string[]): Promise<RunningCommand> {
    const command = net.host(host).spawn([process.execPath, FANCTL, 'capture', '-w', file, ...words]);
    await command.prints(/note: capturing/);
    return command;
  }

  async function traffic(): Promise<void> {
    const [one, two] = [net.container(1), net.container(2)];
    await ping(one, net.address(2), { count: 2 });
    await echoUdp(one, two, net.address(2), [1, 1452, 9000], 'clear');
    const { path } = await randomFile(one, net.lab.dir, FILE_BYTES);
    await sendFile(one, two, net.address(2), path, join(net.lab.dir, 'there'));
  }

  /** Pings once with a payload like no other, and waits until it and the answer, each twice, are in all files: all before it then is. */
  async function lastPackets(files: readonly string[]): Promise<void> {
    const mark = 'the last';
    const pattern = Buffer.from(mark).toString('hex');
    await net.container(1).exec(['ping', '-n', '-c', '1', '-s', '24', '-p', pattern, net.address(2)]);
    const count = (file: string) => readFileSync(file, 'latin1').split(mark).length - 1;
    await until(
      async () => files.map(count),
      (counts) => Math.min(...counts) >= 4,
    );
  }

  it.each([
    ['as it came', []],
    ['at wire size', ['--wire-size']],
  ])('%s: no packet is malformed, all are there on both sides', async (title, words) => {
    const files = [1, 2].map((host) => join(net.lab.dir, `${title.replaceAll(' ', '-')}-${host}.pcapng`));
    const captures = await Promise.all(files.map((file, i) => start(i + 1, file, ...words)));
    await traffic();
    await lastPackets(files);
    const outputs = await Promise.all(captures.map((capture) => capture.stop('SIGINT')));
    expect(outputs.map(({ code }) => code)).toEqual([0, 0]);
    for (const [i, file] of files.entries()) {
      // Each side by itself: on both together tshark sees every segment twice.
      for (const side of ['overlay', 'underlay']) {
        expect(await faults(file, `frame.interface_name contains "${side}"`)).toEqual([]);
      }
      const rows = await fields(file, ['frame.interface_name', 'frame.len', 'tcp.len', 'frame.comment']);
      const bridge = `fan-250-0-${i === 0 ? 28 : 27}`;
      expect([...new Set(rows.map(([name]) => name))].sort()).toEqual([
        `${bridge}/overlay`,
        `${bridge}/underlay`,
      ]);
      const bytes = (side: string) =>
        rows
          .filter(([name]) => name?.endsWith(side))
          .reduce((sum, [, , length]) => sum + Number(length || 0), 0);
      expect(bytes('overlay')).toBe(bytes('underlay'));
      expect(bytes('overlay')).toBeGreaterThanOrEqual(FILE_BYTES);
      const longest = Math.max(...rows.map(([, length]) => Number(length)));
      if (words.length > 0) expect(longest).toBe(1500);
      else if (i === 0) expect(longest).toBeGreaterThan(1500);
      expect(new Set(rows.map(([, , , comment]) => comment?.replace(/, (segment|fragment) .*/, '')))).toEqual(
        new Set(['encap: sent', 'decap: delivered']),
      );
    }
  });

  it('lives in a pipe: tshark and tcpdump print a packet when it comes', async () => {
    const shell = (reader: string) =>
      net.host(1).spawn(['sh', '-c', `'${process.execPath}' '${FANCTL}' capture -w - -c 4 icmp | ${reader}`]);
    const readers = [
      shell('tshark -l -n -r - -T fields -e frame.interface_name -e frame.comment'),
      shell('tcpdump -l -n -r -'),
    ];
    await Promise.all(readers.map((reader) => reader.prints(/note: capturing/)));
    await ping(net.container(1), net.address(2), { count: 1 });
    await readers[0]?.prints(/fan-250-0-28\/overlay\tdecap: delivered/);
    await readers[1]?.prints(/IP 172\.30\.0\.27 > 172\.30\.0\.28: IP 250\.0\.27\.2 > 250\.0\.28\.2: ICMP/);
    await ping(net.container(1), net.address(2), { count: 1 });
    await Promise.all(readers.map((reader) => reader.finish()));
  });

  it('ends after as many packets as were asked for, and shows what was dropped', async () => {
    const file = join(net.lab.dir, 'dropped.pcapng');
    const capture = await start(1, file, '--drops', '-c', '1');
    await ping(net.container(1), net.address(2), { count: 1 });
    await ping(net.container(1), '250.0.0.9', { ...UNANSWERED, count: 1 });
    expect((await capture.finish()).stderr).toMatch(/^1 packet captured$/m);
    expect(await fields(file, ['frame.interface_name', 'ip.dst', 'frame.comment'])).toEqual([
      [
        'fan-250-0-28/overlay',
        '250.0.0.9',
        'encap: dropped underlay-network: the destination maps to the network address of the underlay',
      ],
    ]);
  });

  it('is judged by dissect as it was by fand', async () => {
    const file = join(net.lab.dir, 'judged.pcapng');
    const capture = await start(1, file, 'icmp');
    await ping(net.container(1), net.address(2), { count: 2 });
    await ping(net.container(1), '250.0.0.9', { ...UNANSWERED, count: 1 });
    await until(
      async () => fields(file, ['frame.number']),
      (rows) => rows.length === 9,
    );
    await capture.stop('SIGINT');
    const { stdout } = await net.host(1).fanctl(['dissect', file, '--json', '--fan', DESCRIBED]);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.at(-1)).toEqual({
      summary: expect.objectContaining({
        frames: 9,
        accepted: 8,
        dropped: 1,
        reasons: { 'underlay-network': 1 },
      }),
    });
    // By the fan that is up, in words.
    const text = (await net.host(1).fanctl(['dissect', file])).stdout;
    expect(text).toContain('encap: DROPPED underlay-network: the destination maps to');
    expect(text).toContain('9 frames: 8 accepted, 1 dropped (underlay-network 1), 0 of no fan');
  });
});
