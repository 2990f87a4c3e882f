/** fand by itself, in network namespaces with nothing but lo: how it starts, when it leaves, and what it leaves. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parseAddress } from '../../src/addr/ipv4-address.js';
import { parsePrefix } from '../../src/addr/prefix.js';
import { DEFAULT_OPTIONS } from '../../src/config/fan-options.js';
import { createMapping } from '../../src/fan/mapping.js';
import { built, makeScratch, runBuilt, runCommand } from './run-cli.js';

const scratch = makeScratch();

function freshDir(name: string): string {
  const dir = join(scratch, name);
  mkdirSync(dir);
  return dir;
}

interface Fand {
  readonly ended: Promise<number | null>;
  kill(signal?: NodeJS.Signals): void;
  isAlive(): boolean;
}

function startFand(dir: string, ...args: string[]): Fand {
  const env = { ...process.env, UFAN_RUN_DIR: dir };
  // With --fork unshare would stay between us and fand's pid; so it becomes fand.
  const argv = ['--net', process.execPath, built('daemon/fand.js'), ...args];
  const child = spawn('unshare', argv, { env, stdio: 'ignore' });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return { ended, kill: (signal) => child.kill(signal), isAlive: () => child.exitCode === null };
}

async function appears(path: string): Promise<void> {
  await expect.poll(() => existsSync(path), { interval: 2, timeout: 30_000 }).toBe(true);
}

function fanctl(dir: string, ...words: string[]) {
  return runBuilt('cli/fanctl.js', words, dir);
}

/** One request over a connection of its own, begun when `begin` resolves; the answer with its headers. */
async function request(dir: string, line: string, begin: Promise<unknown> = Promise.resolve()) {
  const socket = connect(join(dir, 'fand.sock')).setEncoding('utf8');
  let heard = '';
  socket.on('data', (text: string) => {
    heard += text;
  });
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  await begin;
  socket.write(`${line} HTTP/1.1\r\nhost: fand\r\n\r\n`);
  await new Promise((resolve) => socket.once('close', resolve));
  return heard;
}

/** The socket is there before the start is over. */
async function answers(dir: string): Promise<void> {
  await appears(join(dir, 'fand.sock'));
  // The socket has its name a moment before it listens.
  const ask = () => request(dir, 'GET /v1/status').catch((error: Error) => error.message);
  await expect.poll(ask, { interval: 2, timeout: 30_000 }).toMatch(/^HTTP\/1.1 200 /);
}

const DEAD_FAN = {
  id: '1',
  view: {
    bridge: 'fan-250-0-28',
    overlay: '250.0.0.0/8',
    underlay: '172.30.0.28/16',
    slice: '250.0.28.0/24',
    gateway: '250.0.28.1',
    device: 'eth0',
    mtu: 1480,
    io: 'raw',
    ioNotes: [],
    workers: 1,
    state: 'up',
    flags: 'host-reserve 1',
  },
  request: { overlay: '250.0.0.0/8', underlay: 'eth0/16', options: DEFAULT_OPTIONS },
  plan: {
    mapping: createMapping(parsePrefix('250.0.0.0/8'), parseAddress('172.30.0.28'), 16),
    bridge: 'fan-250-0-28',
    tun: 'tun-250-0-28',
    mtu: 1480,
    hostReserve: 1,
    dhcp: false,
    clampMss: true,
    workers: 1,
    underlayDevice: 'eth0',
    runDir: '/run/ufan',
    stateDir: '/var/lib/ufan',
  },
  steps: [],
  complete: true,
};

describe('fand', () => {
  it.each([
    [['--leave-after', 'soon'], /--leave-after: \\"soon\\" is no number of seconds/],
    [['--leave-after', '-1'], /leave-after/],
    [['--leave-after', '1e9'], /is no number of seconds from 0 to 86400/],
  ])('refuses %j', async (words, text) => {
    const dir = freshDir(`arguments-${words.join('')}`);
    const { status, stdout } = await runBuilt('daemon/fand.js', words, dir);
    expect(stdout).toMatch(text);
    expect(status).toBe(1);
    expect(readdirSync(dir)).toEqual([]);
  });

  it.each([
    [['--frob'], '--frob: see fand --help'],
    [['--restroe'], '--restroe, did you mean --restore?'],
  ])('refuses %j in one line, with no log around it', async (words, text) => {
    const dir = freshDir(`words-${words.join('')}`);
    expect(await runBuilt('daemon/fand.js', words, dir)).toEqual({
      status: 1,
      stdout: '',
      stderr: `fand: unknown option ${text}\n`,
    });
    expect(readdirSync(dir)).toEqual([]);
  });

  it.each([
    ['--version', /^fand \d+\.\d+\.\d+\n$/],
    ['--help', /^usage: fand \[--workers N\]/],
  ])('%s', async (word, text) => {
    const { status, stdout } = await runBuilt('daemon/fand.js', [word], join(scratch, 'none'));
    expect(stdout).toMatch(text);
    expect(status).toBe(0);
  });

  it('leaves nothing when it can not start', async () => {
    const dir = freshDir('damaged');
    writeFileSync(join(dir, 'state.json'), 'no JSON');
    expect((await runBuilt('daemon/fand.js', [], dir)).status).toBe(1);
    expect(readdirSync(dir)).toEqual(['state.json']);
  });

  it('leaves nothing when a signal comes at any moment of its start', async () => {
    for (let moment = 0; moment < 8; moment++) {
      const dir = freshDir(`signal-${moment}`);
      const fand = startFand(dir);
      await appears(join(dir, 'fand.lock'));
      await sleep(moment);
      fand.kill('SIGTERM');
      expect(await fand.ended).toBe(0);
      expect(readdirSync(dir)).toEqual([]);
    }
  });

  it('has a status of its own where another one runs, which is left alone', async () => {
    const dir = freshDir('second');
    startFand(dir);
    await answers(dir);
    const files = readdirSync(dir).sort();
    expect((await runBuilt('daemon/fand.js', [], dir)).status).toBe(3);
    expect(readdirSync(dir).sort()).toEqual(files);
    expect(await fanctl(dir, 'show', '--json')).toMatchObject({ status: 0, stdout: '[]\n' });
  });

  it('leaves where no fan has come up in time', async () => {
    const dir = freshDir('idle');
    const fand = startFand(dir, '--leave-after', '1.5', '--remove-run-dir');
    await appears(join(dir, 'fand.sock'));
    expect(await fand.ended).toBe(0);
    expect(existsSync(dir)).toBe(false);
  });

  it('leaves in time though a fand before it left fans, whose record stays', async () => {
    const dir = freshDir('idle-dead');
    const state = JSON.stringify({ version: 1, host: [], fans: [DEAD_FAN], removeRunDir: true });
    writeFileSync(join(dir, 'state.json'), state);
    expect(await startFand(dir, '--leave-after', '0.5').ended).toBe(0);
    expect(readdirSync(dir)).toEqual(['state.json']);
    expect(readFileSync(join(dir, 'state.json'), 'utf8')).toBe(state);
  });

  it('stays without --leave-after', async () => {
    const dir = freshDir('stays');
    const fand = startFand(dir);
    await appears(join(dir, 'fand.sock'));
    await sleep(1500);
    expect(fand.isAlive()).toBe(true);
  });

  it('answers who had connected before it leaves', async () => {
    const dir = freshDir('connected');
    const fand = startFand(dir);
    await answers(dir);
    // The last fan goes while somebody is connected who has not asked yet, and has a second for it.
    let begin = () => {};
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    const late = request(dir, 'GET /v1/fans', begun);
    expect(await request(dir, 'DELETE /v1/fans')).toMatch(/^HTTP\/1.1 /);
    await sleep(200);
    expect(fand.isAlive()).toBe(true);
    begin();
    expect(await late).toMatch(/^HTTP\/1.1 200 [\s\S]*\n\[\]\n/);
    expect(await fand.ended).toBe(0);
    expect(readdirSync(dir)).toEqual([]);
  });

  it('leaves when its run directory is removed and there is no fan', async () => {
    const dir = freshDir('removed');
    const fand = startFand(dir);
    await answers(dir);
    rmSync(dir, { recursive: true });
    expect(await fand.ended).toBe(0);
    expect(existsSync(dir)).toBe(false);
  });
});

describe('many fanctl at once', () => {
  it('all hear from fand, which comes and goes between them', async () => {
    const dir = freshDir('crowd');
    const script = 'for i in 1 2 3 4 5 6; do "$0" "$1" up $((90 + i)) no$i & done; wait';
    const args = ['--net', 'bash', '-c', script, process.execPath, built('cli/fanctl.js')];
    const { stderr } = await runCommand('unshare', args, dir);
    expect(stderr.trimEnd().split('\n').sort()).toEqual(
      [1, 2, 3, 4, 5, 6].map((i) => expect.stringContaining(`no device no${i}`)),
    );
    expect(readdirSync(dir)).toEqual([]);
  });

  it('down, show, stats, explain and doctor find no fand that leaves', async () => {
    const dir = freshDir('readers');
    const script =
      'for i in 1 2 3; do "$0" "$1" up 9$i no$i 2>/dev/null & "$0" "$1" show --json & "$0" "$1" stats --json >/dev/null & "$0" "$1" down -e & "$0" "$1" explain 250.0.27.2 2>&1 | grep -v "no fan is up" & "$0" "$1" doctor >/dev/null || echo "doctor: $?" & done; wait';
    const args = ['--net', 'bash', '-c', script, process.execPath, built('cli/fanctl.js')];
    const { stdout, stderr } = await runCommand('unshare', args, dir);
    expect(stderr).toBe('');
    expect(stdout).toBe('[]\n'.repeat(3));
    expect(readdirSync(dir)).toEqual([]);
  });
});
