/** Starting fand from `fanctl up`, in network namespaces with nothing but lo: failures, and what they leave. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FandClient } from '../../src/control/client.js';
import { runPaths } from '../../src/control/protocol.js';
import { built, makeScratch, runBuilt, runCommand } from './run-cli.js';

const scratch = makeScratch();

describe('fanctl up', () => {
  it('reports why fand did not start, in its own words', async () => {
    const dir = join(scratch, 'damaged');
    mkdirSync(dir);
    writeFileSync(join(dir, 'state.json'), 'no JSON');
    const { status, stdout, stderr } = await runBuilt('cli/fanctl.js', ['up', '250', 'eth0'], dir);
    expect(stderr).toMatch(/^fanctl: fand did not start: \S+\/state\.json [^\n]+\n$/);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(existsSync(join(dir, 'fand.log'))).toBe(false);
  });

  it('reports a run directory that can not be made', async () => {
    const file = join(scratch, 'file');
    writeFileSync(file, '');
    const { status, stderr } = await runBuilt('cli/fanctl.js', ['up', '250', 'eth0'], join(file, 'run'));
    expect(stderr).toMatch(/^fanctl: cannot make [^\n]+\n$/);
    expect(status).toBe(1);
  });

  it('leaves no file and no process when fand refuses the fan', async () => {
    const dir = join(scratch, 'new', 'run');
    const { status, stderr } = await runBuilt('cli/fanctl.js', ['up', '250', 'nosuch0'], dir);
    expect(stderr).toMatch(/^fanctl: [^\n]*nosuch0[^\n]*\n$/);
    expect(status).toBe(1);
    expect(existsSync(dir)).toBe(false);
  });

  it('leaves a directory that was there, empty', async () => {
    const dir = join(scratch, 'kept');
    mkdirSync(dir);
    const { status } = await runBuilt('cli/fanctl.js', ['up', '250', 'nosuch0'], dir);
    expect(status).toBe(1);
    expect(readdirSync(dir)).toEqual([]);
  });

  it('shares one fand when two start it at once', async () => {
    const dir = join(scratch, 'race');
    mkdirSync(dir);
    // Both name a device that is not there: each must hear it from fand, and neither of the other's lock.
    const script = '"$0" "$1" up 250 no0 & "$0" "$1" up 99 no1; wait';
    const args = ['--net', 'bash', '-c', script, process.execPath, built('cli/fanctl.js')];
    const { stderr } = await runCommand('unshare', args, dir);
    expect(stderr.trimEnd().split('\n').sort()).toEqual([
      expect.stringContaining('no device no0'),
      expect.stringContaining('no device no1'),
    ]);
    expect(readdirSync(dir)).toEqual([]);
  });
});

describe('fand', () => {
  it('is what fanctl quotes where its environment is wrong', async () => {
    const dir = join(scratch, 'environment');
    const args = ['--net', 'env', 'UFAN_RESPONDER=maybe', process.execPath, built('cli/fanctl.js')];
    const { status, stderr } = await runCommand('unshare', [...args, 'up', '250', 'lo'], dir);
    expect(stderr).toMatch(/^fanctl: fand did not start: UFAN_RESPONDER: "maybe" is neither on nor off\n$/);
    expect(status).toBe(1);
    expect(existsSync(dir)).toBe(false);
  });

  it('tells its service manager that it is ready, that it lives, and that it leaves', async () => {
    const program = `
import os, signal, socket, subprocess, sys
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(sys.argv[1])
manager.settimeout(30)
env = {**os.environ, 'NOTIFY_SOCKET': sys.argv[1], 'WATCHDOG_USEC': '900000'}
fand = subprocess.Popen(sys.argv[2:], env=env, stdout=subprocess.DEVNULL)
print(*[manager.recv(100).decode() for _ in range(3)])
fand.terminate()
while (said := manager.recv(100).decode()) == 'WATCHDOG=1': pass
print(said, fand.wait())`;
    const socket = join(scratch, 'notify');
    const args = ['--net', 'python3', '-c', program, socket, process.execPath, built('daemon/fand.js')];
    const { stdout } = await runCommand('unshare', args, join(scratch, 'notified'));
    expect(stdout).toBe('READY=1 WATCHDOG=1 WATCHDOG=1\nSTOPPING=1 0\n');
  });

  it('tells its service manager which fand goes on in its place', async () => {
    const program = `
import os, socket, subprocess, sys
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(sys.argv[1])
manager.settimeout(60)
hear = lambda: manager.recv(100).decode()
env = {**os.environ, 'NOTIFY_SOCKET': sys.argv[1], 'UFAN_RUN_DIR': sys.argv[2]}
fand = subprocess.Popen(sys.argv[3:5], env=env, stdout=subprocess.DEVNULL)
print(hear())
subprocess.run([sys.argv[3], sys.argv[5], 'restart', '-q'], env=env, check=True)
said = hear()
print(said == 'MAINPID=' + open(sys.argv[2] + '/fand.pid').read().strip(), hear(), fand.wait())
os.kill(int(said.split('=')[1]), 15)
print(hear())`;
    const socket = join(scratch, 'notify-next');
    const dir = join(scratch, 'next');
    const programs = [built('daemon/fand.js'), built('cli/fanctl.js')];
    const args = ['--net', 'python3', '-c', program, socket, dir, process.execPath, ...programs];
    const { stdout } = await runCommand('unshare', args, dir);
    expect(stdout).toBe('READY=1\nTrue READY=1 0\nSTOPPING=1\n');
  });

  it.each(['UFAN_RESPONDER', 'UFAN_IO_URING'])('refuses a %s that is neither on nor off', async (name) => {
    const args = ['--net', 'env', `${name}=maybe`, process.execPath, built('daemon/fand.js')];
    const { status, stdout } = await runCommand('unshare', args, join(scratch, 'switch'));
    expect(stdout).toContain(`${name}: \\"maybe\\" is neither on nor off`);
    expect(status).toBe(1);
    expect(existsSync(join(scratch, 'switch'))).toBe(false);
  });
});

describe('a hand-over', () => {
  const start = async (dir: string, ...unshare: string[]) => {
    const env = { ...process.env, UFAN_RUN_DIR: dir };
    const args = ['--net', ...unshare, process.execPath, built('daemon/fand.js')];
    const fand = spawn('unshare', args, { env, stdio: 'ignore' });
    const client = new FandClient(runPaths(dir));
    // The socket is there a moment before it is listened on.
    while (!(await client.status()) && fand.exitCode === null) await sleep(20);
    return {
      fand,
      client,
      ended: new Promise((end) => fand.once('exit', end)),
    };
  };

  it('is to one fand, whoever asks for it', async () => {
    const { client, ended } = await start(join(scratch, 'twice'));
    const said = await Promise.allSettled([client.handOver(), client.handOver()]);
    await ended;
    const [done] = said.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    expect(done).toEqual({ pid: expect.any(Number), pausedMs: null });
    process.kill(done!.pid);
    const [refused] = said.flatMap((each) => (each.status === 'rejected' ? [`${each.reason}`] : []));
    expect(refused).toMatch('another fand is just taking over');
  });

  it('is refused where fand is the first process of a container', async () => {
    const { fand, client, ended } = await start(join(scratch, 'first'), '--pid', '--fork', '--kill-child');
    const refusal = /fand is process 1 here, and would take all others with it: restart the container/;
    await expect(client.handOver()).rejects.toThrow(refusal);
    fand.kill('SIGKILL');
    await ended;
  });

  it('is unknown to an older fand, which is ended only where that is asked for', async () => {
    const dir = join(scratch, 'older');
    mkdirSync(dir);
    const older = createServer((request, response) => {
      if (request.url === '/v1/status') response.end(JSON.stringify({ version: '0.1.0', pid: 1 }));
      else
        response.writeHead(400).end(JSON.stringify({ error: { code: 'usage', message: 'no such request' } }));
    });
    await new Promise<void>((listening) => older.listen(join(dir, 'fand.sock'), listening));
    const { status, stderr } = await runBuilt('cli/fanctl.js', ['restart'], dir);
    older.close();
    expect(stderr).toMatch(/^fanctl: fand 0\.1\.0 knows of no handing over: "fanctl restart --hard" ends it/);
    expect(status).toBe(1);
  });
});

describe('a fand of another network namespace', () => {
  const dir = join(scratch, 'foreign');
  let fand: ChildProcess;

  beforeAll(async () => {
    const env = { ...process.env, UFAN_RUN_DIR: dir };
    fand = spawn('unshare', ['--net', process.execPath, built('daemon/fand.js')], { env, stdio: 'ignore' });
    const client = new FandClient(runPaths(dir));
    while (!(await client.status()) && fand.exitCode === null) await sleep(20);
  });

  afterAll(async () => {
    const ended = new Promise((resolve) => fand.once('exit', resolve));
    fand.kill();
    await ended;
  });

  it.each([
    ['up', '250', 'eth0'],
    ['down', '250', 'eth0'],
    ['down', '-e'],
  ])('refuses %s', async (...words) => {
    const { status, stderr } = await runBuilt('cli/fanctl.js', words, dir);
    expect(stderr).toMatch(/^fanctl: [^\n]+ serves another network namespace: set UFAN_RUN_DIR [^\n]+\n$/);
    expect(status).toBe(1);
  });

  it('may be read', async () => {
    expect(await runBuilt('cli/fanctl.js', ['show', '--json'], dir)).toEqual({
      status: 0,
      stdout: '[]\n',
      stderr: '',
    });
  });
});
