/** What is printed for people on terminals of 40, 60 and 80 columns: broken between words, and nothing lost. */
import { mkdirSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fitText } from '../../src/cli/output/fit.js';
import type { ProbeReply, Stats } from '../../src/control/protocol.js';
import { sampleActivity } from '../unit/daemon/sample-activity.js';
import { built, makeScratch, type Result, runBuilt, runCommand } from './run-cli.js';

const OPERATOR = fileURLToPath(new URL('operator-at-terminal.py', import.meta.url));
const runDir = makeScratch();
const WIDTHS = [40, 60, 80];
/** Wide enough for every line. */
const WIDE = 400;

const PROBE: ProbeReply = {
  bridge: 'fan-250-0-28',
  overlay: '250.0.0.0/8',
  io: 'raw',
  from: '172.30.0.28',
  host: '172.30.0.27',
  slice: '250.0.27.0/24',
  steps: [{ name: 'responder', text: '3 of 3 answers, ufan 1.2.3, io raw, MTU 1480', rttMs: 0.31 }],
  checks: [
    {
      check: 'protocol-4-blocked',
      status: 'fail',
      severity: 'critical',
      evidence: 'no packet of protocol 4 came back, while UDP packets between the same two hosts do',
      fix: 'allow IP protocol 4 between 172.30.0.28 and 172.30.0.27 in the firewalls between the hosts',
      direction: 'out',
    },
  ],
  incomplete: false,
} as ProbeReply;

const STATS: Stats = {
  host: { counters: {} },
  fans: [
    {
      ...{ bridge: 'fan-250-0-28', overlay: '250.0.0.0/8', underlay: '172.30.0.28/16', io: 'raw' },
      counters: { 'encap-tx-packets': 1234, 'encap-tx-bytes': 1_500_000, 'drop-ttl-expired-packets': 2 },
    },
  ],
};

/** fand, as far as these commands ask it. */
let played: Server;
beforeAll(async () => {
  const answers: Record<string, unknown> = {
    '/v1/probe': PROBE,
    '/v1/stats': STATS,
    '/v1/fans': sampleActivity().fans,
  };
  played = createServer((request, response) => {
    const answer = answers[request.url ?? ''];
    const code = answer === undefined ? 404 : 200;
    response.writeHead(code, { connection: 'close' }).end(JSON.stringify(answer ?? {}));
  });
  await new Promise<void>((resolve) => played.listen(join(runDir, 'fand.sock'), resolve));
});
afterAll(() => played.close());

async function onTerminal(columns: number, words: readonly string[], dir = runDir): Promise<string> {
  const command = ['unshare', '--net', process.execPath, built('cli/fanctl.js'), ...words];
  const { stdout, stderr } = await runCommand(
    '/usr/bin/python3',
    [OPERATOR, `${columns}x24`, '--', ...command],
    dir,
  );
  expect(stderr).toBe('');
  return (JSON.parse(stdout) as { output: string }).output.replaceAll('\r\n', '\n');
}

function inPipe(...words: string[]): Promise<Result> {
  return runBuilt('cli/fanctl.js', words, runDir);
}

function wordsOf(text: string): string[] {
  return stripVTControlCharacters(text)
    .split(/\s+/)
    .filter((word) => word !== '');
}

function tooLong(text: string, columns: number): string[] {
  // A word that is longer than all there is room for stands in a line of its own.
  return stripVTControlCharacters(text)
    .split('\n')
    .filter((line) => line.length > columns && / \S/.test(line.trim()));
}

describe.each(WIDTHS)('on %i columns', (columns) => {
  it.each([
    { words: ['help'] },
    { words: ['help', 'up'] },
    { words: ['capture', '--help'] },
    { words: ['doctor'] },
    { words: ['probe', '172.30.0.27'] },
    { words: ['explain', '250.0.27.2', 'from', '250.0.28.5', '--fan', '250.0.0.0/8 172.30.0.28/16'] },
    { words: ['explain', '172.30.0.27', '--fan', '250.0.0.0/8 172.30.0.28/16'] },
    { words: ['show'] },
    { words: ['stats', '--all'] },
  ])('$words', async ({ words }) => {
    const dir = words[0] === 'doctor' ? makeEmptyDir() : runDir;
    const narrow = await onTerminal(columns, words, dir);
    expect(tooLong(narrow, columns)).toEqual([]);
    const wide = await onTerminal(WIDE, words, dir);
    // Doctor's evidence has times in it.
    if (words[0] === 'doctor') expect(wordsOf(narrow)).toHaveLength(wordsOf(wide).length);
    else expect(wordsOf(narrow)).toEqual(wordsOf(wide));
  });
});

let dirs = 0;
function makeEmptyDir(): string {
  const dir = join(runDir, `empty-${dirs++}`);
  mkdirSync(dir);
  return dir;
}

describe('in a pipe', () => {
  it('lines stay whole, numbers plain, and the table is that of the announcement', async () => {
    const { stdout } = await inPipe('explain', '250.0.27.2', '--fan', '250.0.0.0/8 172.30.0.28/16');
    expect(stdout).toContain(
      '  fan       250.0.0.0/8 on 172.30.0.0/16, this host is 172.30.0.28 with slice 250.0.28.0/24\n',
    );
    expect((await inPipe('stats')).stdout).toContain('  encap-tx-bytes            1500000\n');
    expect((await inPipe('show')).stdout).toMatch(/^Bridge {11}Overlay .*\n(?:fan-\S+ .*\n){2}$/);
  });
});

describe('show', () => {
  it('has slice, gateway, MTU and io on a terminal, and with -v', async () => {
    const detail = / {17}slice 250\.0\.28\.0\/24, gateway 250\.0\.28\.1, MTU 1480, io \w+\n$/;
    expect(await onTerminal(80, ['show'])).toMatch(detail);
    expect((await inPipe('show', '-v')).stdout).toMatch(detail);
  });

  it('finds a fan by its bridge', async () => {
    expect((await inPipe('show', 'fan-250-0-28')).stdout).toMatch(/\nfan-250-0-28 .*\n$/);
  });
});

it('stats has units on a terminal', async () => {
  expect(await onTerminal(80, ['stats'])).toMatch(
    / {2}encap-tx-packets +1,234 packets\n {2}encap-tx-bytes +1,500,000 bytes\n/,
  );
});

describe('fitText', () => {
  it('goes on behind the label, or a bit further in', () => {
    expect(fitText('  verdict   deliverable: IP-in-IP to 172.30.0.27', 40)).toBe(
      '  verdict   deliverable: IP-in-IP to\n            172.30.0.27',
    );
    expect(fitText('    IPv4 172.30.0.28 > 172.30.0.27 ttl 64 DF', 40)).toBe(
      '    IPv4 172.30.0.28 > 172.30.0.27 ttl\n        64 DF',
    );
  });

  it('never cuts a word', () => {
    expect(fitText(`fix: ${'x'.repeat(60)} y`, 40)).toBe(`fix:\n    ${'x'.repeat(60)}\n    y`);
  });

  it('sees past colours', () => {
    const line = '\x1b[32mok    \x1b[0mname: seven words that are well within it';
    expect(fitText(line, 52)).toBe(line);
    expect(fitText(line, 40).split('\n')[1]).toMatch(/^ {6}\S/);
  });
});
