/**
 * `fanctl trace` between two hosts: what it shows of packets that really passed, in every I/O mode; that it ends with
 * its client; and what it says where it can't begin.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunningCommand } from '../../../bench/lab/command.js';
import type { Host } from '../../../bench/lab/host.js';
import { ping, UNANSWERED } from '../../../bench/lab/ping.js';
import { FANCTL, REPOSITORY } from '../../../bench/lab/repository.js';
import { FAN, FanLab, growth, PYTHON, readCounters, until } from '../fan-lab.js';

const FLOOD = join(REPOSITORY, 'test/lab/flood.py');
/** Well over what a trace shows in a second. */
const FLOOD_PACKETS = 20_000;

interface Traced {
  time: number;
  fan: string | null;
  path: string;
  verdict: string;
  reason: string | null;
  packets: number;
  length: number;
  stages: { stage: string; us: number; ok: boolean; detail: string }[];
  layers: string[];
}

async function startTrace(host: Host, ...words: string[]): Promise<RunningCommand> {
  const command = host.spawn([process.execPath, FANCTL, 'trace', ...words]);
  await command.prints(/note: tracing/);
  return command;
}

function objectsOf(stdout: string): Traced[] {
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Traced);
}

describe.each(['raw', 'packet', 'bpf'])('trace with io %s', (io) => {
  let net: FanLab;
  beforeAll(async () => {
    net = await FanLab.open({ hosts: 2 }, [...FAN, '--io', io]);
    await ping(net.container(1), net.address(2), { count: 1 });
  });
  afterAll(() => net?.remove());
  const echo = (count = 1) => ping(net.container(1), net.address(2), { count });

  it('shows each packet with all stages, in order, at the right time', async () => {
    const trace = await startTrace(net.host(1), 'icmp', '-c', '2', '--json');
    const before = Date.now() / 1000;
    await echo();
    const after = Date.now() / 1000;
    const [out, back] = objectsOf((await trace.finish()).stdout);
    expect(out).toMatchObject({
      fan: 'fan-250-0-28',
      path: 'encap',
      verdict: 'sent',
      reason: null,
      length: 84,
    });
    expect(out?.stages.map(({ stage }) => stage)).toEqual([
      ...['tun-read', 'check', 'map', 'fit', 'header', 'sent'],
    ]);
    expect(out?.stages[2]?.detail).toBe(net.host(2).address);
    expect(out?.stages[5]?.detail).toBe(`eth0, io ${io}`);
    expect(back).toMatchObject({ path: 'decap', verdict: 'delivered', length: 104 });
    expect(back?.stages.map(({ stage }) => stage)).toEqual([
      ...['received', 'outer', 'inner', 'source', 'target', 'ecn', 'tun-written'],
    ]);
    expect(back?.layers).toHaveLength(3);
    for (const { stages, time } of [out, back] as Traced[]) {
      expect(stages.every(({ ok }) => ok)).toBe(true);
      expect(stages.map(({ us }) => us)).toEqual(stages.map(({ us }) => us).sort((a, b) => a - b));
      expect(time).toBeGreaterThan(before - 1);
      expect(time).toBeLessThan(after + 1);
    }
    expect(back!.time).toBeGreaterThan(out!.time);
  });

  it('is readable, and ends with an interrupt, exit 0', async () => {
    const trace = await startTrace(net.host(1), 'src', 'host', net.address(1));
    await echo();
    await until(
      async () => trace.stdout,
      (text) => text.includes('sent'),
    );
    const { code, stdout } = await trace.stop('SIGINT');
    expect(code).toBe(0);
    const [head, ip, icmp, stages] = stdout.split('\n');
    expect(head).toMatch(/^\d\d:\d\d:\d\d\.\d{6} fan-250-0-28 encap: sent, \d+\.\d us$/);
    expect(ip).toMatch(/^ {4}IP 250\.0\.28\.2 > 250\.0\.27\.2: ICMP, .* length 84$/);
    expect(icmp).toMatch(/^ {6}ICMP echo request/);
    expect(stages).toMatch(
      /tun-read \(84 bytes, tun-250-0-28\) > check \+\d+\.\d > map \(172\.30\.0\.27\) > /,
    );
  });

  it('matches the outer packet too, and leaves the others out', async () => {
    const trace = await startTrace(net.host(2), '--json', '-c', '2', 'ip proto 4 and dst host 172.30.0.27');
    await echo(2);
    const { stdout } = await trace.finish();
    expect(objectsOf(stdout).map(({ path, fan }) => [path, fan])).toEqual([
      ['decap', 'fan-250-0-27'],
      ['decap', 'fan-250-0-27'],
    ]);
  });

  it('serves several at once', async () => {
    const traces = await Promise.all([
      startTrace(net.host(1), '--json', '-c', '1', 'dst', 'host', net.address(2)),
      startTrace(net.host(1), '--json', '-c', '1', '--fan', 'fan-250-0-28', 'dst', 'host', net.address(1)),
      startTrace(net.host(1), '--json', '-c', '1', '--drops'),
    ]);
    await echo();
    await ping(net.container(1), '250.0.0.9', { ...UNANSWERED, count: 1 });
    const seen = await Promise.all(traces.map(async (trace) => objectsOf((await trace.finish()).stdout)));
    expect(seen.flat().map(({ path, reason }) => [path, reason])).toEqual([
      ['encap', null],
      ['decap', null],
      ['encap', 'underlay-network'],
    ]);
  });

  it('ends with its client, also with one that is killed', async () => {
    const trace = await startTrace(net.host(1));
    await trace.stop('SIGKILL');
    const early = net.host(1).spawn(['sh', '-c', `'${process.execPath}' '${FANCTL}' trace | head -n 1`]);
    await early.prints(/note: tracing/);
    // As tcpdump, it finds out that nobody reads any more when it has the next packet to show.
    await until(
      () => echo(),
      () => !early.running,
    );
    expect((await early.finish()).stdout).toMatch(/encap/);
    // fand goes on, and no tracer is left in it: what it would have had to copy for a dead client is not lost either.
    const next = await startTrace(net.host(1), '-c', '1');
    await echo();
    await next.finish();
    expect(await echo(3)).toMatchObject({ received: 3 });
  });

  it('goes on with the fans that come and go, and says so when fand leaves', async () => {
    const trace = await startTrace(net.host(2), '--json');
    await net.host(2).fanctl(['up', '99', 'eth0/16', '--io', io]);
    await net.host(2).fanctl(['down', '99', 'eth0/16', '--force']);
    await echo();
    await until(
      async () => objectsOf(trace.stdout),
      (seen) => seen.length === 2,
    );
    await net.host(2).fanctl(['down', '-e', '--force']);
    const { code, stderr } = await trace.finish({ anyExit: true });
    expect(code).toBe(1);
    expect(stderr).toMatch(/fanctl: fand broke off/);
    await net.host(2).fanctl(['up', ...FAN, '--io', io]);
  });

  it('says how many came too fast to be shown', async () => {
    const before = await readCounters(net.host(1));
    const trace = await startTrace(net.host(1), '--json', 'udp port 9');
    const flood = [PYTHON, FLOOD, 'udp', net.address(2), `${FLOOD_PACKETS}`];
    // On a busy machine the TUN's queue may have room for no more than can be shown.
    await until(
      () => net.container(1).exec(flood),
      () => trace.stdout.includes('"lost"'),
    );
    const account = async () => {
      const read = growth(before, await readCounters(net.host(1)))['encap-rx-packets'] ?? 0;
      const lines = trace.stdout.split('\n').filter((line) => line.endsWith('}'));
      const objects = lines.map((line) => JSON.parse(line) as { lost?: number; path?: string });
      const lost = objects.reduce((sum, one) => sum + (one.lost ?? 0), 0);
      return { read, lost, shown: objects.filter(({ path }) => path === 'encap').length };
    };
    // Each that was read from the TUN is either shown or lost; what the TUN's queue had no room for was not read.
    const { lost } = await until(account, ({ read, lost, shown }) => lost > 0 && lost + shown === read);
    const { stderr } = await trace.stop('SIGINT');
    expect(lost).toBeGreaterThan(0);
    expect(stderr).toMatch(/^\d+ packets missed \(.*\): narrow the filter$/m);
  });

  it('refuses a fan that is not there', async () => {
    const { code, stderr } = await net.host(1).fanctl(['trace', '--fan', 'fan-9'], { anyExit: true });
    expect([code, stderr]).toEqual([1, 'fanctl: no fan has the bridge fan-9\n']);
  });
});
