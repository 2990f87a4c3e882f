/**
 * The release: npm's tarball in a prefix of its own carries packets between two hosts, and the .deb installs, is whole,
 * and leaves nothing behind. No compiler, no node_modules, no network is needed for either.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../../bench/lab/command.js';
import { attachContainers } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { ping } from '../../../bench/lab/ping.js';
import { REPOSITORY } from '../../../bench/lab/repository.js';
import type { CheckResult } from '../../../src/control/protocol.js';
import { inCopy } from './copy-of-machine.js';

const out = mkdtempSync(join(tmpdir(), 'ufan-package-'));
const prefix = join(out, 'prefix');
const fanctl = join(prefix, 'bin/fanctl');
let tarball: string;
let deb: string;

beforeAll(async () => {
  await run([join(REPOSITORY, 'scripts/package'), '--built', out]);
  const products = readdirSync(out);
  tarball = join(out, products.find((name) => name.endsWith('.tgz')) ?? '');
  deb = join(out, products.find((name) => name.endsWith('.deb')) ?? '');
});
afterAll(() => rmSync(out, { recursive: true, force: true }));

describe("npm's tarball", () => {
  let lab: Lab;

  const fan = async (host: Host, ...words: string[]): Promise<string> => {
    const { stdout } = await host.exec([fanctl, ...words], { anyExit: words[0] === 'probe' });
    return stdout;
  };

  beforeAll(async () => {
    const npm = ['npm', 'install', '--global', '--offline', '--prefix', prefix, tarball];
    await run(npm, { env: { CC: 'false', CXX: 'false' } });
    lab = await createLab();
  });
  afterAll(() => lab?.remove());

  it('installs all three programs and their manuals, and nothing of others', () => {
    expect(readdirSync(join(prefix, 'bin')).sort()).toEqual(['fanatic', 'fanctl', 'fand']);
    expect(readdirSync(join(prefix, 'share/man/man8')).sort()).toEqual(['fanatic.8', 'fanctl.8', 'fand.8']);
    expect(existsSync(join(prefix, 'lib/node_modules/ufan/node_modules'))).toBe(false);
  });

  it('has the modules for other programs, and their declarations', async () => {
    const home = join(prefix, 'lib/node_modules/ufan');
    const program = `import { readFileSync } from 'node:fs';
      const names = await Promise.all(['mapping', 'client'].map(async (name) => Object.keys(await import('ufan/' + name))));
      const { exports } = JSON.parse(readFileSync('package.json', 'utf8'));
      for (const { types } of [exports['./mapping'], exports['./client']]) readFileSync(types);
      console.log(names.every((found) => found.length > 1));`;
    // A package may name itself.
    const script = [
      'sh',
      '-c',
      'cd "$0" && exec "$1" --input-type=module -e "$2"',
      home,
      process.execPath,
      program,
    ];
    expect((await run(script)).stdout).toBe('true\n');
  });

  it('brings fans up between which containers reach each other, probes them, and takes them down', async () => {
    for (const host of lab.hosts) {
      await fan(host, 'up', '250.0.0.0/8', 'eth0/16');
      const [view] = JSON.parse(await fan(host, 'show', '--json'));
      expect(view).toMatchObject({ state: 'up', overlay: '250.0.0.0/8' });
      await attachContainers(host, view);
    }
    const peer = `250.${lab.host(2).address.split('.').slice(2).join('.')}.2`;
    const container = lab.host(1).container(1);
    expect(await ping(container, peer, { count: 3 })).toMatchObject({ received: 3 });
    const checks = JSON.parse(
      await fan(lab.host(1), 'probe', lab.host(2).address, '--json'),
    ) as CheckResult[];
    expect(checks.filter(({ status }) => status !== 'ok')).toEqual([]);
    expect(await fan(lab.host(1), 'explain', peer)).toContain(lab.host(2).address);
    for (const host of lab.hosts) {
      await host.ip(`link set ${host.container(1).port} nomaster`);
      await fan(host, 'down', '-e');
      expect(readdirSync(host.dir)).toEqual([]);
    }
  });

  it.each(['fanctl', 'fanatic', 'fand'])(
    '%s refuses a Node that is too old, in one line',
    async (program) => {
      const old = join(out, 'old.cjs');
      const { code, stderr } = await run(
        [
          'sh',
          '-c',
          `echo "Object.defineProperty(process.versions, 'node', { value: '18.18.2' })" >$0; exec ${process.execPath} -r $0 $1`,
          old,
          join(prefix, 'bin', program),
        ],
        { anyExit: true },
      );
      expect(code).toBe(1);
      expect(stderr).toMatch(
        new RegExp(`^${program}: Node 18\\.19 or newer is needed.* https://nodejs.org\\S* .*\\n$`),
      );
    },
  );

  it('is what npm pack of a clone points to', async () => {
    const { code, stderr } = await run(['npm', 'pack', REPOSITORY, '--dry-run'], { anyExit: true });
    expect(code).not.toBe(0);
    expect(stderr).toContain('npm run package makes the tarball');
  });
});

describe('the .deb', () => {
  it('names what it needs, and holds what its host keeps as configuration', async () => {
    const { stdout: control } = await run(['dpkg-deb', '--field', deb]);
    expect(control).toMatch(/^Depends: nodejs \(>= 18\.19\), iproute2, nftables, .*libbpf1.*libc6/m);
    for (const field of ['Provides', 'Conflicts', 'Replaces']) {
      expect(control).toMatch(new RegExp(`^${field}: ubuntu-fan$`, 'm'));
    }
    const { stdout: conffiles } = await run(['dpkg-deb', '--info', deb, 'conffiles']);
    expect(conffiles.trim().split('\n')).toEqual([
      '/etc/iproute2/rt_protos.d/ufan.conf',
      '/etc/network/fan',
      '/etc/network/if-up.d/ufan',
    ]);
  });

  it('has no fault that lintian knows as an error or a warning', async (context) => {
    const { code } = await run(['sh', '-c', 'command -v lintian'], { anyExit: true });
    if (code !== 0) context.skip('lintian is not installed (apt-get install lintian)');
    const { stdout } = await run(['lintian', '--allow-root', deb], { anyExit: true });
    expect(stdout).toBe('');
  });

  it('installs, works, is enabled, and leaves nothing when it is purged', async () => {
    const { code, stdout, stderr } = await inCopy(`
      PATH=/usr/sbin:/usr/bin:/sbin:/bin
      # Of the lab's hosts.
      unset UFAN_CACHE_DIR
      list() { find /etc /usr /lib /var -xdev -not -path '/var/lib/dpkg*' -not -path '/usr/lib/node_modules*' -not -path '/var/cache/man*' -not -path /var/log/\\* -not -name '*-old' | sort; }
      list >/before
      dpkg --force-depends -i ${deb}
      echo "version $(fanctl --version) of $(command -v fanctl)"
      fanctl show; ls /var/cache/ufan
      systemctl --root=/ is-enabled ubuntu-fan.service
      systemd-analyze verify /lib/systemd/system/fand.service /lib/systemd/system/ubuntu-fan.service && echo "units are right"
      ip route add 203.0.113.0/24 dev nowhere proto ufan 2>&1 | grep -v protocol
      ls /usr/share/man/man8/fanatic.8.gz
      ls /usr/share/bash-completion/completions/fanatic
      dpkg --purge ufan
      # Directories of others that were empty before, dpkg's helper takes away as well.
      list | diff /before - | grep -v '^< .*\\.wants$' | grep '^[<>]' || echo "nothing is left"`);
    expect(code, stdout + stderr).toBe(0);
    const { version } = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8'));
    expect(stdout).toContain(`version fanctl ${version} of /usr/sbin/fanctl`);
    expect(stdout).toMatch(/^fanctl-\d+-.*-(x64|arm64)$/m);
    expect(stdout).toMatch(/^fanctl-short-\d+-.*-(x64|arm64)$/m);
    for (const line of [
      'enabled',
      'units are right',
      'fanatic.8.gz',
      'completions/fanatic',
      'nothing is left',
    ]) {
      expect(stdout).toContain(line);
    }
  });
});
