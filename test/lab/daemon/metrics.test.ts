/**
 * What a monitor reads: Prometheus' text on the control socket and on the loopback port, equal to `fanctl stats`; and
 * the packets that the kernel drops before fand sees them, counted to the last one, in each I/O mode.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CommandError } from '../../../bench/lab/command.js';
import type { Host } from '../../../bench/lab/host.js';
import { ping } from '../../../bench/lab/ping.js';
import { REPOSITORY } from '../../../bench/lab/repository.js';
import type { Stats } from '../../../src/control/protocol.js';
import { countersOf, parsePrometheus } from '../../unit/daemon/prometheus-text.js';
import { FAN, FanLab, PYTHON, readStats, until } from '../fan-lab.js';
import { overflowSocket, overflowTun, scrapeSocket } from '../kernel-drops.js';

const FLOOD = join(REPOSITORY, 'test/lab/flood.py');
/** More than a receive buffer of 16 MB takes: each small packet weighs a kernel buffer of some 800 bytes. */
const IPIP_FLOOD = 60_000;
/** More than the TUN's queue of 1000. */
const UDP_FLOOD = 5000;
const PORT = '127.0.0.1:9477';

/** Status and body of a request that is made inside the host's namespace. */
async function fetchIn(host: Host, path: string, method = 'GET'): Promise<{ status: number; body: string }> {
  const script = `const r = await fetch(process.argv[1], { method: process.argv[2] });
    console.log(JSON.stringify({ status: r.status, body: await r.text() }));`;
  const argv = [process.execPath, '--input-type=module', '-e', script, `http://${PORT}${path}`, method];
  return JSON.parse((await host.exec(argv)).stdout) as { status: number; body: string };
}

/** All counters of a host, as metrics and as fanctl prints them, in the same shape. */
async function bothWays(host: Host): Promise<{ metrics: unknown; stats: unknown }> {
  const metrics = await scrapeSocket(host);
  const stats = JSON.parse((await host.fanctl(['stats', '--json'])).stdout) as Stats;
  const shape = (read: (fan: string) => unknown) =>
    [...stats.fans.map(({ bridge }) => bridge), 'host'].map(read);
  return {
    metrics: shape((fan) => countersOf(metrics, fan)),
    stats: shape((fan) => setOf(stats, fan)),
  };
}

function setOf({ fans, host }: Stats, fan: string): unknown {
  return (fans.find(({ bridge }) => bridge === fan) ?? host).counters;
}

describe.each(['raw', 'packet'])('io %s', (io) => {
  let net: FanLab;
  beforeAll(async () => {
    net = await FanLab.open({}, [...FAN, '--io', io]);
    await ping(net.container(1), net.address(2), { count: 3 });
  });
  afterAll(() => net?.remove());

  it('metrics are the counters of stats', async () => {
    const same = await until(
      () => bothWays(net.host(1)),
      ({ metrics, stats }) => JSON.stringify(metrics) === JSON.stringify(stats),
    );
    expect(same.metrics).toEqual(same.stats);
    const counters = countersOf(await scrapeSocket(net.host(1)), net.fan(1).bridge);
    expect(counters['encap-rx-packets']).toBeGreaterThanOrEqual(3);
    const { labels } = (await scrapeSocket(net.host(1))).get('ufan_drop_packets_total')!.samples[0]!;
    expect(labels).toMatchObject({ fan: net.fan(1).bridge, overlay: '250.0.0.0/8', io });
  });

  it('gauges say who the peers are', async () => {
    const metrics = await scrapeSocket(net.host(1));
    expect(metrics.get('ufan_peers')!.samples).toEqual([{ labels: { fan: net.fan(1).bridge }, value: 1 }]);
    expect(metrics.get('ufan_worker_cpu_seconds_total')!.samples[0]!.value).toBeGreaterThan(0);
  });

  it('counts what overflowed the receive buffer as socket-overflow, each once', async () => {
    const host = net.host(1);
    const before = await readStats(host);
    const flood = [PYTHON, FLOOD, 'ipip', host.address, net.address(2), net.address(1), `${IPIP_FLOOD}`];
    const { received, overflow, arrived } = await overflowSocket(host, () => net.host(2).exec(flood));
    expect(received).toBeGreaterThan(1000);
    expect(overflow).toBeGreaterThan(1000);
    expect(arrived).toBeGreaterThan(IPIP_FLOOD / 2);
    expect(countersOf(await scrapeSocket(host), 'host')['drop-socket-overflow-packets']).toBe(
      before.host.counters['drop-socket-overflow-packets']! + overflow,
    );
  });

  it('counts what overflowed the TUN as tun-overflow, each once', async () => {
    const host = net.host(1);
    const flood = [PYTHON, FLOOD, 'udp', net.address(2), `${UDP_FLOOD}`];
    const { read, overflow } = await overflowTun(host, () => net.container(1).exec(flood));
    expect(read).toBeGreaterThan(900);
    expect(overflow).toBeGreaterThan(0);
  });

  it('keeps the count of a receiver that is closed', async () => {
    const host = net.host(1);
    const drops = async () => (await readStats(host)).host.counters['drop-socket-overflow-packets'];
    const before = await drops();
    await host.fanctl(['up', '99', 'eth0/16']);
    await host.fanctl(['down', ...FAN, '--force']);
    expect(await drops()).toBe(before);
  });
});

describe('the loopback port', () => {
  let net: FanLab;
  let host: Host;
  beforeAll(async () => {
    net = await FanLab.open({ hosts: 1 });
    host = net.host(1);
    await host.fanctl(['down', '-e', '--force']);
    await host.ip('link set lo up');
  });
  afterAll(() => net?.remove());

  it('serves the same as the socket, and nothing else', async () => {
    await host.fanctl(['up', ...FAN], { env: { UFAN_METRICS: PORT } });
    const served = parsePrometheus((await fetchIn(host, '/metrics')).body);
    expect([...served.keys()]).toEqual([...(await scrapeSocket(host)).keys()]);
    for (const [path, method] of [['/'], ['/v1/fans'], ['/metrics', 'POST']] as const)
      expect((await fetchIn(host, path, method)).status).toBe(404);
    expect((await host.exec(['ss', '-Hltn', 'sport = :9477'])).stdout).toMatch(/127\.0\.0\.1:9477/);
    await host.fanctl(['down', '-e', '--force']);
    expect((await host.exec(['ss', '-Hltn'])).stdout).toBe('');
  });

  it.each([
    ['0.0.0.0:9477', /metrics: "0\.0\.0\.0:9477" is no loopback address/],
    ['127.0.0.1:22222', /cannot serve metrics on 127\.0\.0\.1 port 22222: .*EADDRINUSE/],
  ])('%s is an error of up, which leaves nothing', async (address, message) => {
    const taken = host.spawn([PYTHON, '-m', 'http.server', '--bind', '127.0.0.1', '22222']);
    try {
      await until(
        async () => (await host.exec(['ss', '-Hltn', 'sport = :22222'])).stdout,
        (listening) => listening !== '',
      );
      const failed = await host
        .fanctl(['up', ...FAN], { env: { UFAN_METRICS: address } })
        .catch((error: CommandError) => error);
      expect((failed as CommandError).output.stderr).toMatch(/^fanctl: fand did not start: /);
      expect((failed as CommandError).output.stderr).toMatch(message);
      expect((await host.fanctl(['show', '--json'])).stdout).toBe('[]\n');
    } finally {
      await taken.stop();
    }
  });
});
