/**
 * `fanctl trace`, `capture` and `dissect` of fans over VXLAN, routed and layer 2, by sockets and by the kernel: every packet
 * with its stages, read by tshark as VXLAN without a complaint, judged by dissect as by fand.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Capture } from '../../../bench/lab/capture.js';
import { type RunningCommand, run } from '../../../bench/lab/command.js';
import { ping, UNANSWERED } from '../../../bench/lab/ping.js';
import { FANCTL } from '../../../bench/lab/repository.js';
import { randomFile, sendFile } from '../../../bench/lab/transfer.js';
import { echoUdp, FAN, FanLab, NO_ANALYSIS, RANDOM_BYTES, tunReads, until } from '../fan-lab.js';

const FILE_BYTES = 300_000;
const PINGS = 50;
const DESCRIBED = '250.0.0.0/8 172.30.0.1/16 vxlan';

interface Traced {
  path: string;
  verdict: string;
  reason: string | null;
  stages: { stage: string; detail: string }[];
  layers: string[];
}

const objectsOf = (stdout: string): Traced[] =>
  stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));

/** Fields of the packets that pass `filter`; by its port tshark would take the tunnel for something else. */
async function fields(file: string, names: readonly string[], filter = 'frame'): Promise<string[][]> {
  const checks = ['ip.check_checksum:TRUE', 'tcp.check_checksum:TRUE', 'tcp.analyze_sequence_numbers:FALSE'];
  const { stdout } = await run([
    ...['tshark', '-n', '-r', file, '-d', 'udp.port==8472,vxlan', '-Y', filter],
    ...RANDOM_BYTES.flatMap((port) => ['-d', `${port},data`]),
    ...[...checks.flatMap((check) => ['-o', check]), '-T', 'fields'],
    ...names.flatMap((name) => ['-e', name]),
  ]);
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split('\t'));
}

describe.each([
  ['routed', 'raw'],
  ['routed', 'bpf'],
  ['layer2', 'raw'],
  ['layer2', 'bpf'],
])('a %s fan over VXLAN, io %s', (shape, io) => {
  let net: FanLab;
  beforeAll(async () => {
    const words = ['vxlan', ...(shape === 'layer2' ? ['layer2'] : []), '--io', io];
    net = await FanLab.open({ hosts: 2 }, [...FAN, ...words]);
    await ping(net.container(1), net.address(2), { count: 1 });
  });
  afterAll(() => net?.remove());

  async function start(what: 'trace' | 'capture', host: number, ...words: string[]): Promise<RunningCommand> {
    const command = net.host(host).spawn([process.execPath, FANCTL, what, ...words]);
    await command.prints(/note: (tracing|capturing)/);
    return command;
  }

  /** Returns how many packets fand read at each host meanwhile. Each is sent after the answer to the one before. */
  async function pings(): Promise<number[]> {
    const hosts = [net.host(1), net.host(2)];
    const before = await Promise.all(hosts.map(tunReads));
    await net.container(1).exec(['ping', '-n', '-A', '-c', `${PINGS}`, net.address(2)]);
    return (await Promise.all(hosts.map(tunReads))).map((reads, i) => reads - before[i]!);
  }

  it('traces a ping, there and back, with all stages', async () => {
    const trace = await start('trace', 1, 'icmp', '-c', '2', '--json');
    await ping(net.container(1), net.address(2), { count: 1 });
    const [out, back] = objectsOf((await trace.finish()).stdout);
    expect(out).toMatchObject({ fan: 'fan-250-0-28', path: 'encap', verdict: 'sent', length: 98 });
    expect(out?.stages.map(({ stage }) => stage)).toEqual([
      ...['tun-read', 'check', 'map', 'fit', 'header', 'sent'],
    ]);
    expect(out?.stages[0]?.detail).toBe('98 bytes, tap-250-0-28');
    expect(out?.stages[2]?.detail).toBe(net.host(2).address);
    expect(out?.stages[4]?.detail).toMatch(/^tos 0x0 ttl 64 id 0 port 8472 vni 16384000$/);
    expect(out?.stages[5]?.detail).toBe(`eth0, io ${io}`);
    expect(out?.layers.map((layer) => layer.split(' ')[0])).toEqual(['Ethernet', 'IP', 'ICMP']);
    expect(back).toMatchObject({ path: 'decap', verdict: 'delivered', length: 98 + 36 });
    expect(back?.stages.map(({ stage }) => stage)).toEqual([
      ...['received', 'outer', 'inner', 'source', 'target', 'ecn', 'tun-written'],
    ]);
    expect(back?.layers.map((layer) => layer.split(' ')[0])).toEqual([
      ...['IP', 'UDP', 'VXLAN,', 'Ethernet', 'IP', 'ICMP'],
    ]);
    expect(back?.layers[2]).toBe('VXLAN, vni 16384000');
  });

  it('traces ARP by its addresses, and what is dropped', async () => {
    const trace = await start('trace', 2, 'host 250.0.27.99', '--json', '-c', '1');
    const drops = await start('trace', 1, 'host 250.0.0.9', '--drops', '--json', '-c', '1');
    await ping(net.container(1), '250.0.27.99', { ...UNANSWERED, count: 1 });
    await ping(net.container(1), '250.0.0.9', { ...UNANSWERED, count: 1 });
    const [asked] = objectsOf((await trace.finish()).stdout);
    expect(asked?.path).toBe('decap');
    if (asked?.layers[4]?.startsWith('ARP'))
      expect(asked.layers[4]).toMatch(/ARP request: who has 250\.0\.27\.99/);
    const [dropped] = objectsOf((await drops.finish()).stdout);
    expect(dropped).toMatchObject({ path: 'encap', verdict: 'dropped', reason: 'underlay-network' });
  });

  it('leaves to the kernel what no trace can show, and has the rest come to fand', async (context) => {
    if (io !== 'bpf') context.skip('with io raw all comes to fand');
    const [one, two] = [await start('trace', 1, 'udp port 7'), await start('trace', 2, 'udp port 7')];
    // Of each flow the first packets, until it is found to be another, and ARP.
    for (const reads of await pings()) expect(reads).toBeLessThan(PINGS / 2);
    await Promise.all([one.stop('SIGINT'), two.stop('SIGINT')]);
    const [first, second] = [await start('trace', 1, 'icmp'), await start('trace', 2, 'icmp')];
    // Out, and back.
    for (const reads of await pings()) expect(reads).toBeGreaterThanOrEqual(2 * PINGS);
    const shown = (text: string, what: string) => text.split(what).length - 1;
    for (const trace of [first, second]) {
      await until(
        async () => trace.stdout,
        (text) => shown(text, 'encap: sent') === PINGS && shown(text, 'decap: delivered') === PINGS,
      );
    }
    await Promise.all([first.stop('SIGINT'), second.stop('SIGINT')]);
  });

  it.each([
    ['as it came', []],
    ['at wire size', ['--wire-size']],
  ])('captures %s: no packet is malformed, all are there on both sides', async (title, words) => {
    const files = [1, 2].map((host) => join(net.lab.dir, `${title.replaceAll(' ', '-')}-${host}.pcapng`));
    const captures = await Promise.all(
      files.map((file, i) => start('capture', i + 1, '-w', file, '-s', '0', ...words)),
    );
    const [one, two] = [net.container(1), net.container(2)];
    await ping(one, net.address(2), { count: 2 });
    await echoUdp(one, two, net.address(2), [1, 1422, 9000], 'clear');
    const { path } = await randomFile(one, net.lab.dir, FILE_BYTES);
    await sendFile(one, two, net.address(2), path, join(net.lab.dir, 'there'));
    const outputs = await Promise.all(captures.map((capture) => capture.stop('SIGINT')));
    expect(outputs.map(({ code }) => code)).toEqual([0, 0]);
    for (const [i, file] of files.entries()) {
      for (const side of ['overlay', 'underlay']) {
        const ofSide = `${NO_ANALYSIS} && frame.interface_name contains "${side}"`;
        const wrong = `${ofSide} && _ws.expert.severity >= 0x00600000`;
        expect(await fields(file, ['frame.number', '_ws.expert.message'], wrong)).toEqual([]);
      }
      const names = ['frame.interface_name', 'frame.len', 'tcp.len', 'frame.comment', 'vxlan.vni'];
      const rows = await fields(file, names);
      const bridge = `fan-250-0-${i === 0 ? 28 : 27}`;
      expect([...new Set(rows.map(([name]) => name))].sort()).toEqual([
        `${bridge}/overlay`,
        `${bridge}/underlay`,
      ]);
      const sideOf = (side: string) => rows.filter(([name]) => name?.endsWith(side));
      const bytes = (side: string) =>
        sideOf(side).reduce((sum, [, , length]) => sum + Number(length || 0), 0);
      expect(bytes('overlay')).toBe(bytes('underlay'));
      expect(bytes('overlay')).toBeGreaterThanOrEqual(FILE_BYTES);
      expect(new Set(sideOf('underlay').map(([, , , , vni]) => vni))).toEqual(new Set(['16384000']));
      const longest = Math.max(...rows.map(([, length]) => Number(length)));
      if (words.length > 0) expect(longest).toBe(14 + 1500);
      else if (i === 0) expect(longest).toBeGreaterThan(14 + 1500);
      expect(new Set(rows.map(([, , , comment]) => comment?.replace(/, segment .*/, '')))).toEqual(
        new Set(['encap: sent', 'decap: delivered']),
      );
    }
  });

  it('is judged by dissect as it was by fand, and tcpdump reads it too', async () => {
    const file = join(net.lab.dir, 'judged.pcapng');
    const capture = await start('capture', 1, '-w', file, 'icmp or host 250.0.0.9');
    await ping(net.container(1), net.address(2), { count: 2 });
    // Nobody has that address, nor may have it: what asks for it by ARP is dropped.
    await ping(net.container(1), '250.0.0.9', { ...UNANSWERED, count: 1 });
    await until(
      async () => fields(file, ['frame.comment']),
      (rows) => rows.length > 8 && rows.some(([comment]) => comment?.includes('dropped underlay-network')),
    );
    await capture.stop('SIGINT');
    for (const words of [['--fan', DESCRIBED], []]) {
      const { stdout } = await net.host(1).fanctl(['dissect', file, ...words]);
      expect(stdout).toMatch(/frames: 8 accepted, (\d+) dropped \(underlay-network \1\), 0 of no fan/);
      expect(stdout).toContain('ARP request: who has 250.0.0.9?');
    }
    const { stdout } = await run(['tcpdump', '-n', '-r', file]);
    expect(stdout).toMatch(/IP 250\.0\.28\.2 > 250\.0\.27\.2: ICMP echo request/);
  });

  it('dissects what tcpdump sees on the wire, fragments too', async () => {
    const file = join(net.lab.dir, 'wire.pcap');
    const capture = await Capture.start(net.host(2), 'eth0', file, 'udp port 8472 or ip[6:2] & 0x3fff != 0');
    await ping(net.container(1), net.address(2), { count: 1, size: 4000 });
    await capture.stop();
    const { stdout } = await net.host(1).fanctl(['dissect', file, '--json', '--fan', DESCRIBED]);
    const { summary } = JSON.parse(stdout.trim().split('\n').at(-1)!);
    expect(summary).toMatchObject({ dropped: 0, incomplete: 0, cut: 0 });
    expect(summary.accepted).toBeGreaterThanOrEqual(6);
    const other = await net.host(1).fanctl(['dissect', file, '--fan', `${DESCRIBED} vni 7`]);
    expect(other.stdout).toMatch(/ 0 accepted, \d+ dropped \(vni \d+\)/);
  });
});
