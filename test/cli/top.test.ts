/** `fanctl top` against a fand that is played: on a terminal, where it must leave no trace, and without one. */
import { existsSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Reading } from '../../src/cli/output/activity-rates.js';
import { sampleActivity } from '../unit/daemon/sample-activity.js';
import { built, makeScratch, runCommand } from './run-cli.js';

const PYTHON = '/usr/bin/python3';
const OPERATOR = fileURLToPath(new URL('operator-at-terminal.py', import.meta.url));
const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const scratch = makeScratch();

let server: Server;
let asked: number;
beforeEach(async () => {
  asked = 0;
  server = await playFand();
});
afterEach(() => server.close());

/** Each time it is asked a second has passed, with 1000 packets of 1250 bytes out. */
async function playFand(): Promise<Server> {
  const played = createServer((request, response) => {
    if (request.url !== '/v1/activity') return void response.writeHead(404).end('{}');
    const activity = sampleActivity();
    const { counters } = activity.stats.fans[0]!;
    activity.uptimeMs += asked * 1000;
    activity.cpuMs += asked * 500;
    counters['encap-tx-packets']! += asked * 1000;
    counters['encap-tx-bytes']! += asked * 1_250_000;
    asked += 1;
    response.writeHead(200, { connection: 'close' }).end(JSON.stringify(activity));
  });
  await new Promise<void>((resolve) => played.listen(join(scratch, 'fand.sock'), resolve));
  return played;
}

async function appears(file: string): Promise<void> {
  await expect.poll(() => existsSync(file), { timeout: 30_000 }).toBe(true);
}

function top(...words: string[]) {
  return runCommand(process.execPath, [built('cli/fanctl.js'), 'top', ...words], scratch);
}

interface Played {
  output: string;
  status: number;
  restored: boolean;
}

/** On a terminal of 80 × 24 with an operator who does these things. */
async function topOnTerminal(
  actions: string[],
  words: string[] = [],
  env = 'LC_ALL=C.UTF-8',
): Promise<Played> {
  const command = ['env', 'TERM=xterm', env, process.execPath, built('cli/fanctl.js'), 'top', '-d', '0.1'];
  const { stdout, stderr } = await runCommand(
    PYTHON,
    [OPERATOR, '80x24', ...actions, '--', ...command, ...words],
    scratch,
  );
  expect(stderr).toBe('');
  return JSON.parse(stdout) as Played;
}

/** What was on the screen between taking it and giving it back. */
function screenOf({ output }: Played): string {
  expect(output.startsWith(ENTER)).toBe(true);
  expect(output.split(LEAVE)).toHaveLength(2);
  return output.slice(ENTER.length, output.indexOf(LEAVE));
}

describe('without a terminal', () => {
  it('prints one reading, and no control character', async () => {
    const { status, stdout, stderr } = await top('-d', '0.1');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^alpha {2}fand 4711 up 00:01:01 {2}CPU 50 % /);
    expect(stdout).toMatch(/^fan-250-0-28 +out +1\.00k +10\.0M$/m);
    expect(stdout).toMatch(/^fan-250-0-28 +source-forged +/m);
    expect(stdout).not.toMatch(/[^\n -~]/);
    expect(asked).toBe(2);
  });

  it('prints as many as it is told to', async () => {
    const { stdout } = await top('-d=0.1', '-n', '3');
    expect(stdout.match(/^alpha /gm)).toHaveLength(3);
    expect(stdout.match(/^$/gm)!.length).toBeGreaterThan(2);
  });

  it('--json prints an object a line', async () => {
    const { stdout } = await top('--json', '-n', '2', '-d', '0.1');
    const readings = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Reading);
    expect(readings).toHaveLength(2);
    for (const { seconds, cpuPercent, fans, peers, pathMtus } of readings) {
      expect({ seconds, cpuPercent }).toEqual({ seconds: 1, cpuPercent: 50 });
      expect(fans[0]!.out).toEqual({ packetsPerSecond: 1000, bitsPerSecond: 10_000_000 });
      expect(peers).toHaveLength(2);
      expect(pathMtus).toEqual([{ peer: '172.30.0.27', mtu: 1400, expiresInMs: 300_000 }]);
    }
  });

  it('is an error where fand leaves in between', async () => {
    const running = top('-n', '1000', '-d', '0.1');
    await expect.poll(() => asked, { timeout: 30_000 }).toBeGreaterThan(2);
    server.close();
    const { status, stderr } = await running;
    expect(stderr).toBe('fanctl: fand is not running\n');
    expect(status).toBe(1);
  });
});

describe('on a terminal', () => {
  it.each([
    ['q', 'key=q'],
    ['Q', 'key=Q'],
    ['Ctrl-C', 'key=\x03'],
  ])('is a screen until %s, which gives it back', async (_, key) => {
    const played = await topOnTerminal(['wait=10.0M', key]);
    expect(played).toMatchObject({ status: 0, restored: true });
    expect(screenOf(played)).toContain('\x1b[1mFAN ');
  });

  it.each([
    ['TERM', 143],
    ['INT', 130],
    ['HUP', 129],
  ])('gives it back on SIG%s', async (signal, status) => {
    const played = await topOnTerminal(['wait=10.0M', `signal=${signal}`]);
    expect(played).toMatchObject({ status, restored: true });
    screenOf(played);
  });

  it('leaves by itself after -n readings', async () => {
    const played = await topOnTerminal([], ['-n', '2']);
    expect(played).toMatchObject({ status: 0, restored: true });
    expect(screenOf(played).split('\x1b[H')).toHaveLength(3);
  });

  it('draws blocks where the locale has them, ASCII where not', async () => {
    expect(screenOf(await topOnTerminal(['wait=██', 'key=q']))).toContain('█');
    const ascii = screenOf(await topOnTerminal(['wait=##', 'key=q'], [], 'LC_ALL=C'));
    expect([...ascii].filter((character) => character > '~')).toEqual([]);
  });

  it('fits a terminal that changes its size', async () => {
    // Some frames may still be of the old size.
    const frames = new Array<string>(5).fill('wait=FAN');
    const played = await topOnTerminal(['wait=PEER', 'size=40x8', ...frames, 'key=q']);
    const last = screenOf(played).split('\x1b[H').at(-1)!;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken away.
    const lines = last.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, '').split(/\r+\n/);
    expect(lines.length).toBeLessThanOrEqual(8);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(40);
  });

  it('waits for a fand that left', async () => {
    server.close();
    const refused = await topOnTerminal([]);
    expect(refused).toEqual({ output: 'fanctl: fand is not running\r\n', status: 1, restored: true });
    server = await playFand();
    const [seen, missed] = ['seen', 'missed'].map((name) => join(scratch, name));
    const playing = topOnTerminal([
      ...['wait=10.0M', `done=${seen}`, 'wait=fand is not running', `done=${missed}`],
      ...['wait=10.0M', 'key=q'],
    ]);
    await appears(seen!);
    server.close();
    await appears(missed!);
    server = await playFand();
    expect(await playing).toMatchObject({ status: 0, restored: true });
  });

  it('gives it back when fand answers nonsense', async () => {
    const playing = topOnTerminal(['wait=10.0M']);
    await expect.poll(() => asked, { timeout: 30_000 }).toBeGreaterThan(2);
    server.removeAllListeners('request');
    server.on('request', (_request, response) =>
      response.writeHead(500, { connection: 'close' }).end('nonsense'),
    );
    const played = await playing;
    expect(played).toMatchObject({ status: 1, restored: true });
    expect(played.output.split(LEAVE)[1]).toMatch(/^fanctl: what listens on \S+ does not speak as fand/);
  });
});
