/** Errors that no test of a feature meets, each with the input that makes it. test/arch/error-texts.test.ts looks that every one stands somewhere. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, request as httpRequest, type Server } from 'node:http';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseAddress } from '../../src/addr/ipv4-address.js';
import { parsePrefix } from '../../src/addr/prefix.js';
import { requireOwnDir } from '../../src/base/own-files.js';
import { parseUnderlay } from '../../src/config/underlay.js';
import { readUpRequest } from '../../src/control/requests.js';
import { ControlServer } from '../../src/daemon/server.js';
import { createMapping } from '../../src/fan/mapping.js';
import { arping } from '../../src/host/arping.js';
import { writeSysctl } from '../../src/host/sysctl.js';
import { buildTrialImage } from '../../src/runtimes/trial-image.js';
import { compileFilter } from '../../src/trace/filter-compiler.js';
import { built, makeScratch, type Result, runBuilt, runCommand } from './run-cli.js';

const scratch = makeScratch();
const fresh = (): string => mkdtempSync(join(scratch, 'dir-'));
const fanctl = (runDir: string, ...args: string[]): Promise<Result> =>
  runBuilt('cli/fanctl.js', args, runDir);

/** A program of this text, alone on PATH. */
function withProgram(name: string, script: string): string {
  const dir = fresh();
  writeFileSync(join(dir, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return dir;
}

describe('words', () => {
  it.each(['a b', '.', 'eth0eth0eth0eth0eth0'])('an underlay "%s"', (text) => {
    expect(() => parseUnderlay(text)).toThrow(`"${text}" is no underlay: `);
  });

  it('a mode that is none', async () => {
    const { stderr } = await fanctl(fresh(), 'up', '250', 'eth0', 'io', 'fast');
    expect(stderr).toBe('fanctl: io: "fast" is no mode: say auto or raw or packet or bpf\n');
  });

  it.each(['172.30.0.0', '172.30.255.255'])('a host %s', (address) => {
    expect(() => createMapping(parsePrefix('250.0.0.0/8'), parseAddress(address), 16)).toThrow(
      / is the (network|broadcast) address of underlay 172\.30\.0\.0\/16: name this host's own address/,
    );
  });

  it('packets for a terminal', async () => {
    const command = `${process.execPath} ${built('cli/fanctl.js')} capture -w -`;
    const { stdout } = await runCommand('script', ['-qec', command, '/dev/null'], fresh());
    expect(stdout).toContain('standard output is a terminal: give it a pipe, or name a file');
  });

  it('a request that is no object, or without a field', () => {
    expect(() => readUpRequest([])).toThrow(': want an object with named fields');
    expect(() => readUpRequest({})).toThrow(/^overlay: want /);
  });
});

describe('the control socket', () => {
  let path: string;
  let server: ControlServer;
  beforeEach(async () => {
    path = join(fresh(), 'sock');
    server = new ControlServer(path, {}, () => {}, pino({ level: 'silent' }));
  });
  afterEach(() => server.refuse());

  it('that cannot be where a directory is missing', async () => {
    server = new ControlServer(join(scratch, 'none', 'sock'), {}, () => {}, pino({ level: 'silent' }));
    await expect(server.listen()).rejects.toThrow(/^cannot listen on .*none\/sock: /);
  });

  it('asked for what it does not know', async () => {
    await server.listen();
    const answer = await new Promise<string>((resolve) => {
      httpRequest({ socketPath: path, path: '/nonsense' }, (response) => {
        let text = '';
        response.on('data', (chunk) => (text += chunk));
        response.on('end', () => resolve(text));
      }).end();
    });
    expect(JSON.parse(answer)).toMatchObject({ error: { message: 'no such request: GET /nonsense' } });
  });
});

describe('files', () => {
  it('with a name that is too long', async () => {
    const dir = join(fresh(), 'x'.repeat(300));
    await expect(requireOwnDir(dir)).rejects.toThrow(`cannot look at ${dir}: ENAMETOOLONG`);
  });

  it('a state file that is no JSON', async () => {
    const dir = fresh();
    writeFileSync(join(dir, 'state.json'), '{"version": 1,', { mode: 0o600 });
    const { status, stderr } = await fanctl(dir, 'show');
    expect([status, stderr]).toEqual([1, expect.stringMatching(/^fanctl: .*state\.json is damaged: /)]);
  });

  it('a lock that is a directory', async () => {
    const dir = fresh();
    mkdirSync(join(dir, 'fand.lock'));
    const { stdout, stderr } = await runBuilt('daemon/fand.js', [], dir);
    expect(stdout + stderr).toMatch(/cannot lock .*\/fand\.lock: /);
  });

  it('a capture with a record that is too long', async () => {
    const file = join(fresh(), 'x.pcap');
    const bytes = Buffer.alloc(40);
    bytes.writeUInt32LE(0xa1b2c3d4, 0);
    bytes.writeUInt32LE(0x7fffffff, 24 + 8);
    writeFileSync(file, bytes);
    const { stderr } = await fanctl(fresh(), 'dissect', file, '--fan', '250.0.0.0/8 172.30.0.28/16');
    expect(stderr).toMatch(/: a record of 2147483647 bytes: damaged/);
  });
});

describe('what the host lacks', () => {
  const path = process.env.PATH;
  afterEach(() => {
    process.env.PATH = path;
    delete process.env.UFAN_BUSYBOX;
  });

  it('a busybox of its own', async () => {
    process.env.UFAN_BUSYBOX = '/bin/ls';
    await expect(buildTrialImage(fresh(), 'plain')).rejects.toThrow('/bin/ls is not static, so no image');
  });

  it('a tcpdump that prints a program', async () => {
    process.env.PATH = withProgram('tcpdump', 'echo 3; echo 40 0 0');
    await expect(compileFilter('icmp')).rejects.toThrow('tcpdump -ddd prints no program that fanctl knows');
  });

  it('a device with ARP', async () => {
    await expect(arping('lo', '127.0.0.1', false)).rejects.toThrow(/^arping on lo: /);
  });

  it('a setting with that value', async () => {
    await expect(writeSysctl('ipv4/ip_default_ttl', '4096')).rejects.toThrow(
      /^cannot set \/proc\/sys\/net\/ipv4\/ip_default_ttl to 4096: /,
    );
  });

  it('a program that prints logs', async () => {
    const dir = fresh();
    writeFileSync(join(dir, 'fand.log'), '{"level":30,"msg":"x"}\n', { mode: 0o600 });
    const logs = (PATH: string) =>
      runCommand('env', [`PATH=${PATH}`, process.execPath, built('cli/fanctl.js'), 'logs'], dir);
    expect((await logs(fresh())).stderr).toMatch(/tail can't be run: install coreutils, or systemd/);
    expect((await logs(withProgram('tail', 'exit 3'))).stderr).toMatch(/tail ended with status 3/);
  });

  it('an answer that is no fand', async () => {
    const dir = fresh();
    const other: Server = createServer((request) => request.socket.destroy());
    await new Promise<void>((resolve) => other.listen(join(dir, 'fand.sock'), resolve));
    afterAll(() => void other.close());
    const { status, stderr } = await fanctl(dir, 'stats');
    expect([status, stderr]).toEqual([1, expect.stringMatching(/^fanctl: \S/)]);
  });
});
