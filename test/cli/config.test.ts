/** `fanctl config`, `up -a` and `down -a` where no fan comes up: the file as it is read and written, and what is wrong with it. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { built, makeScratch, type Result, runCommand } from './run-cli.js';

const scratch = makeScratch();
const runDir = join(scratch, 'run');
const file = join(scratch, 'fan');

function fanctl(words: string, path = file): Promise<Result> {
  const program = ['env', `UFAN_CONFIG=${path}`, process.execPath, built('cli/fanctl.js')];
  return runCommand('unshare', ['--net', ...program, ...words.split(' ')], runDir);
}

const FILE = `# fans
250.0.0.0/8 eth0/16 dhcp   # the first
\teth1/16 251  bridge=fan-251
10.0.0.0/8 eth1/16 off`;

const HEADER = 'Line  Overlay              Underlay             Flags\n';
const LIST = `${HEADER}2     250.0.0.0/8          eth0/16              dhcp host-reserve 1
3     251.0.0.0/8          eth1/16              host-reserve 1 bridge fan-251
4     10.0.0.0/8           eth1/16              host-reserve 1 off
`;

describe('config', () => {
  it.each([
    ['list', LIST],
    ['show', '250.0.0.0/8 eth0/16 dhcp\neth1/16 251  bridge=fan-251\n10.0.0.0/8 eth1/16 off\n'],
    ['show 250', '250.0.0.0/8 eth0/16 dhcp\n'],
    ['show eth1', 'eth1/16 251  bridge=fan-251\n10.0.0.0/8 eth1/16 off\n'],
    ['show 10.0.0.0/8 eth1/16', '10.0.0.0/8 eth1/16 off\n'],
    ['list --quiet', ''],
  ])('%s reads', async (words, stdout) => {
    writeFileSync(file, FILE);
    expect(await fanctl(`config ${words}`)).toEqual({ status: 0, stdout, stderr: '' });
    expect(readFileSync(file, 'utf8')).toBe(FILE);
  });

  it.each([
    ['set 250 eth0 dhcp', '250.0.0.0/8 eth0/16 dhcp', FILE],
    ['set 250 eth0 ttl 9', '250.0.0.0/8 eth0/16 ttl 9', FILE.replace('dhcp', 'ttl 9')],
    [
      'set -o 251 -u eth1 --bridge=x',
      'eth1/16 251 bridge x',
      FILE.replace('251  bridge=fan-251', '251 bridge x'),
    ],
    [
      'set 252 172.30.0.0/16 --dhcp',
      '252.0.0.0/8 172.30.0.0/16 dhcp',
      `${FILE}\n252.0.0.0/8 172.30.0.0/16 dhcp\n`,
    ],
    ['unset 250 eth0', '', FILE.replace('250.0.0.0/8 eth0/16 dhcp   # the first\n', '')],
    ['unset eth1 10.0.0.0/8', '', FILE.replace('10.0.0.0/8 eth1/16 off', '')],
  ])('%s changes that line only, and keeps mode and owner', async (words, line, after) => {
    writeFileSync(file, FILE);
    chmodSync(file, 0o640);
    const link = join(scratch, 'link');
    if (!existsSync(link)) symlinkSync(file, link);
    expect(await fanctl(`config ${words}`, link)).toEqual({
      status: 0,
      stdout: line && `${line}\n`,
      stderr: '',
    });
    expect(readFileSync(file, 'utf8')).toBe(after);
    expect(statSync(file).mode & 0o777).toBe(0o640);
  });

  it('makes the file and its directory', async () => {
    const fresh = join(scratch, 'etc/network/fan');
    expect(await fanctl('config list', fresh)).toEqual({ status: 0, stdout: HEADER, stderr: '' });
    const { stdout } = await fanctl('config set 250 eth0 --json', fresh);
    expect(JSON.parse(stdout)).toEqual({
      file: fresh,
      changed: true,
      line: 1,
      overlay: '250.0.0.0/8',
      underlay: 'eth0/16',
      flags: 'host-reserve 1',
      off: false,
      text: '250.0.0.0/8 eth0/16',
    });
    expect(readFileSync(fresh, 'utf8')).toBe('250.0.0.0/8 eth0/16\n');
  });

  it('list --json has the lines and the errors', async () => {
    writeFileSync(file, '250 eth0\n\n250 eth0/33\n');
    const { status, stdout } = await fanctl('config list --json');
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      file,
      fans: [{ line: 1, overlay: '250.0.0.0/8' }],
      errors: [{ line: 3, column: 5, message: expect.stringContaining('"eth0/33" is no underlay') }],
    });
  });

  it.each([
    ['show 252', FILE, () => `no line of ${file} is 252`],
    ['unset 252 eth0', FILE, () => `no line of ${file} is 252.0.0.0/8 eth0/16`],
    ['set 250 eth0', '250 eth0\neth0 250 dhcp\n', () => 'lines 1 and 2 are both 250.0.0.0/8 eth0/16'],
  ])('%s is refused, and changes nothing', async (words, text, message) => {
    writeFileSync(file, text);
    const { status, stdout, stderr } = await fanctl(`config ${words}`);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/^fanctl: [^\n]+\n$/);
    expect(stderr).toContain(message());
    expect(readFileSync(file, 'utf8')).toBe(text);
  });

  it('says so where the file is none, or can not be written', async () => {
    const dir = join(scratch, 'directory');
    mkdirSync(dir);
    expect((await fanctl('config list', dir)).stderr).toBe(
      `fanctl: cannot read ${dir}: EISDIR: illegal operation on a directory, read\n`,
    );
    expect((await fanctl('config set 250 eth0', '/proc/fan')).stderr).toMatch(
      /^fanctl: cannot write \/proc\/fan: /,
    );
  });
});

describe('-a', () => {
  it('says of every line what is wrong, and starts nothing that stays', async () => {
    writeFileSync(file, '250 nosuch\n# note\n251 eth0 ttl 0\n252 172.30.0.0/16\n253 eth0 off\n');
    const { status, stdout, stderr } = await fanctl('up -a');
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    const remedy = '"ip link" lists those that it has';
    expect(stderr.split('\n')).toEqual([
      `fanctl: ${file}:3:14: ttl: "0" is out of range: say a number from 1 to 255 or inherit`,
      `fanctl: ${file}:1: this host has no device nosuch: ${remedy}`,
      `fanctl: ${file}:4: this host has no address in 172.30.0.0/16; it has none: name the network of one, or a device`,
      `fanctl: see above for ${file}:3:14, ${file}:1, ${file}:4: all others are fine`,
      '',
    ]);
    expect(existsSync(runDir)).toBe(false);
    const dry = await fanctl('up -a --dry-run --json');
    expect({ ...dry, stderr: '' }).toEqual({ status: 1, stdout: '[]\n', stderr: '' });
    expect(dry.stderr).toBe(stderr);
  });

  it('of down takes nothing down where nothing is up, whatever the file says', async () => {
    writeFileSync(file, '250 eth0\n251 eth0 ttl 0\n');
    expect(await fanctl('down -a')).toEqual({
      status: 0,
      stdout: '',
      stderr: `fanctl: note: ${file}:2:14: ttl: "0" is out of range: say a number from 1 to 255 or inherit\n`,
    });
    expect(await fanctl('down -a --quiet', join(scratch, 'none'))).toEqual({
      status: 0,
      stdout: '',
      stderr: '',
    });
  });
});
