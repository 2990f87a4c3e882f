/**
 * The harness as a user runs it, on the shortest matrix: figures, results on disk, nothing left behind; and the same when
 * it is interrupted.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { listLabs } from '../../../bench/lab/cleanup.js';
import { RunningCommand, run } from '../../../bench/lab/command.js';
import { REPOSITORY } from '../../../bench/lab/repository.js';
import { Progress } from '../../../bench/report/progress.js';
import type { Result, ScalePoint } from '../../../bench/report/result.js';
import { measureScale } from '../../../bench/scale.js';

const BENCH = join(REPOSITORY, 'dist/bench/bench.js');
const SHORT = ['--seconds', '1', '--only', 'untunnelled', '--only', 'ufan-raw'];

const written: string[] = [];

function bench(...args: string[]): RunningCommand {
  return new RunningCommand([process.execPath, BENCH, ...SHORT, ...args]);
}

/** The raw results that the text names; all files that it names exist. */
function resultNamedIn(text: string): Result {
  const files = text.match(/\/\S+\.(json|html|svg)/g) ?? [];
  written.push(...files);
  expect(files.every((file) => existsSync(file))).toBe(true);
  const file = files.find((name) => name.endsWith('.json')) ?? 'no file is named';
  return JSON.parse(readFileSync(file, 'utf8')) as Result;
}

afterEach(() => {
  for (const file of written.splice(0)) rmSync(file, { force: true });
});

describe('npm run bench', () => {
  it('-- --quick measures, tells, writes and leaves nothing behind', async () => {
    const command = bench('--quick', '--repeats', '1');
    const { stdout, stderr } = await command.finish({ timeoutMs: 110_000 });
    expect(stdout).toMatch(/untunnelled, routed +\d+\.\d\d .* 1\.00 /);
    expect(stdout).toMatch(/ufan, --io raw +\d+\.\d\d .* \d+\.\d\d /);
    expect(stderr).toMatch(/\[2\/2 +0:00 left\]/);
    const result = resultNamedIn(stderr);
    expect(result).toMatchObject({ complete: true, failures: [], seconds: 1, repeats: 1 });
    const [environment] = result.environments;
    expect(environment).toMatchObject({ profile: 'nic-like', mtu: 1500 });
    expect(environment!.paths[1]).toMatchObject({ name: 'ufan-raw', notes: ['io raw'] });
    expect(environment!.paths[1]!.idle.rssBytes).toBeGreaterThan(10e6);
    for (const { runs } of environment!.workloads[0]!.series) {
      expect(runs.length).toBe(1);
      expect(runs[0]!.value).toBeGreaterThan(0.01);
      expect(runs[0]!.bytes).toBeGreaterThan(1e6);
      expect(runs[0]!.cost.machineCpuSeconds).toBeGreaterThan(0.1);
    }
    expect(environment!.workloads[0]!.series[1]!.runs[0]!.cost.tunnel[0]!.cpuSeconds).toBeGreaterThan(0.01);
    expect([...listLabs().values()]).not.toContain(command.pid);
  });

  it('measures UDP, round trips and connections', async () => {
    const works = ['udp-512', 'rtt', 'connect', 'iperf2', 'tcp-bidir'].flatMap((name) => ['--work', name]);
    const { stdout, stderr } = await bench('--repeats', '1', '--json', ...works).finish({
      timeoutMs: 110_000,
    });
    const { environments, failures } = JSON.parse(stdout) as Result;
    expect(resultNamedIn(stderr)).toEqual(JSON.parse(stdout));
    expect(failures).toEqual([]);
    const measured = environments[0]!.workloads.flatMap(({ name, series }) => {
      return series.map((one) => `${one.name} ${name} ${(one.runs[0]?.value ?? 0) > 0}`);
    });
    expect(measured.length).toBe(10);
    for (const one of measured) expect(one).toMatch(/true$/);
  });

  it('keeps what it measured, and leaves no lab, when it is interrupted', async () => {
    const command = bench('--repeats', '50', '--work', 'tcp-1');
    await command.prints(/\[ *2\/100 /, 60_000);
    const { code, stderr } = await command.stop('SIGINT');
    expect(code).toBe(130);
    const result = resultNamedIn(stderr);
    expect(result.complete).toBe(false);
    for (const { runs } of result.environments[0]!.workloads[0]!.series) {
      expect(runs.length).toBeGreaterThanOrEqual(1);
      expect(runs.length).toBeLessThan(50);
    }
    expect([...listLabs().values()]).not.toContain(command.pid);
  });

  it('brings up a lab host by host, and each reaches the others', async () => {
    const points: ScalePoint[] = [];
    await measureScale(1, new Progress(0, 0, 0), points, [2, 4]);
    expect(points.map(({ hosts, pings, answered }) => [hosts, pings, answered])).toEqual([
      [2, 2, 2],
      [4, 12, 12],
    ]);
    for (const { gigabits, rssBytes } of points) {
      expect(Math.min(...gigabits)).toBeGreaterThan(0.01);
      expect(rssBytes).toBeGreaterThan(10e6);
    }
    expect([...listLabs().values()]).not.toContain(process.pid);
  });

  it('says which path it does not know, and what there is', async () => {
    await expect(run([process.execPath, BENCH, '--only', 'pigeon'])).rejects.toThrow(
      /no such path: pigeon .there are/,
    );
    const { stdout } = await run([process.execPath, BENCH, '--help']);
    expect(stdout).toMatch(/^usage: npm run bench/);
  });
});
