/**
 * Who calls fanctl, with what, replayed word for word on hosts that have what they have: Juju, cloud-init, Chef, Salt and
 * shell scripts. Each gets the exit status and the output that it looks at.
 */
import { writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Output } from '../../../bench/lab/command.js';
import { attachContainers, containerAddress, showFans } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { ping } from '../../../bench/lab/ping.js';
import { FANCTL } from '../../../bench/lab/repository.js';
import { fandPid, killFand } from '../fan-lab.js';

let lab: Lab;
let host: Host;
let peer: Host;
beforeAll(async () => {
  lab = await createLab({ hosts: 2, containers: 1, underlays: ['10.0.0.28/16', '10.0.0.27/16'] });
  host = lab.host(1);
  peer = lab.host(2);
});
afterEach(async () => {
  for (const each of lab.hosts) {
    await each.ip('link set c1 nomaster');
    await each.fanctl(['down', '-e']);
  }
});
afterAll(() => lab.remove());

/** A line of a shell script, in which fanctl is ours. */
const shell = (line: string, on = host): Promise<Output> =>
  on.exec(['bash', '-c', `fanctl() { "${process.execPath}" "${FANCTL}" "$@"; }; ${line}`], { anyExit: true });
const configFile = (on = host): string => `${on.dir}/fan.conf`;
const writeConfig = (text: string, on = host): void => writeFileSync(configFile(on), text);

async function reach(): Promise<void> {
  const [here] = await showFans(host);
  const [there] = await showFans(peer);
  await Promise.all([attachContainers(host, here!), attachContainers(peer, there!)]);
  expect(await ping(host.container(1), containerAddress(there!, 1))).toMatchObject({ received: 3 });
}

describe('Juju', () => {
  it('writes the network form, brings all up and finds the bridge by its prefix, also the second time', async () => {
    for (const each of lab.hosts) writeConfig('252.0.0.0/8 10.0.0.0/16 dhcp\n', each);
    const [first] = await Promise.all(lab.hosts.map((each) => shell('fanctl up -a', each)));
    expect(first).toMatchObject({ code: 0, stdout: 'fan-252-0-28\n', stderr: '' });
    expect((await host.exec(['sh', '-c', 'ls /sys/class/net | grep ^fan-'])).stdout).toBe('fan-252-0-28\n');
    await reach();
    const pid = fandPid(host);
    expect(await shell('fanctl up -a')).toEqual({
      code: 0,
      stdout: 'fan-252-0-28\n',
      stderr: 'fanctl: note: fan-252-0-28 is up already, with these flags\n',
    });
    expect(fandPid(host)).toBe(pid);
    expect((await showFans(host))[0]).toMatchObject({
      underlay: '10.0.0.28/16',
      flags: 'dhcp host-reserve 1 auto',
    });
  });
});

describe('cloud-init', () => {
  /** Its documentation's own example. */
  const FAN = `# fan configuration
10.0.0.0/8 eth0/16 dhcp
10.0.0.0/8 eth1/16 dhcp off
# 240.0.0.0/4 lo0/16 dhcp
`;

  it('writes comments and lines that are off, and stops, enables and starts the service', async () => {
    writeConfig(FAN.replaceAll('10.0.0.0/8', '250.0.0.0/8'));
    expect(await shell('fanctl down -a')).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(await shell('fanctl up -a')).toEqual({ code: 0, stdout: 'fan-250-0-28\n', stderr: '' });
    expect((await shell('fanctl show')).stdout).toBe(
      'Bridge           Overlay              Underlay             Flags\n' +
        'fan-250-0-28     250.0.0.0/8          10.0.0.28/16         dhcp host-reserve 1 auto\n',
    );
    expect(await shell('fanctl down -a')).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(await showFans(host)).toEqual([]);
  });

  it('a line that can not be brought up is named with file and line, and stops no other', async () => {
    writeConfig(`${FAN}\n250.0.0.0/8 nosuch/16\n251.0.0.0/8 eth0/16 dchp\n252.0.0.0/8 eth0/16\n`);
    const file = configFile();
    const { code, stdout, stderr } = await shell('fanctl up -a');
    expect({ code, stdout }).toEqual({ code: 1, stdout: 'fan-252-0-28\n' });
    const lines = stderr.trim().split('\n');
    expect(lines).toHaveLength(4);
    // The lab's own underlay lies in 10.0.0.0/8, as it may on the host that somebody copied this to.
    expect(lines[0]).toMatch(
      new RegExp(`^fanctl: ${file}:7:21: .*"dchp": want one overlay and one underlay`),
    );
    expect(lines[1]).toMatch(new RegExp(`^fanctl: ${file}:2: .*overlap`));
    expect(lines[2]).toMatch(new RegExp(`^fanctl: ${file}:6: this host has no device nosuch`));
    expect(lines[3]).toBe(`fanctl: see above for ${file}:7:21, ${file}:2, ${file}:6: all others are fine`);
  });
});

describe('Chef and shell', () => {
  const UP = 'fanctl up -u 10.0.0.0/16 -o 250.0.0.0/8 --bridge=fan-10 --dhcp';

  it('brings a fan of its own bridge name up once, guarded by grep, after taking all down', async () => {
    const recipe = `fanctl down -e; fanctl show | grep fan- || ${UP}`;
    expect(await shell(recipe)).toEqual({ code: 0, stdout: 'fan-10\n', stderr: '' });
    expect((await shell(recipe)).stdout).toBe('fan-10\n');
    expect(await shell(`fanctl show | grep fan- || ${UP}`)).toMatchObject({
      code: 0,
      stdout:
        'fan-10           250.0.0.0/8          10.0.0.28/16         dhcp host-reserve 1 bridge fan-10\n',
    });
    expect(await shell(UP)).toMatchObject({ code: 0, stdout: 'fan-10\n' });
    await shell(UP, peer);
    await reach();
  });

  it('reads the first column, or greps a line for the overlay, as of 0.12', async () => {
    await shell(UP);
    expect((await shell("fanctl show | tail -n +2 | awk '{print $1}'")).stdout).toBe('fan-10\n');
    expect((await shell("fanctl show | grep -w 250.0.0.0/8 | cut -d' ' -f1")).stdout).toBe('fan-10\n');
    expect((await shell('fanctl show --quiet')).stdout).toBe('fan-10\n');
  });
});

describe('Salt', () => {
  it('writes the file and brings all up; what is up stays as it is, whatever its line says by now', async () => {
    writeConfig('250.0.0.0/8 eth0/16\n251.0.0.0/8 eth0/16 off\n');
    expect((await shell('fanctl up -a')).code).toBe(0);
    writeConfig('250.0.0.0/8 eth0/16 dhcp\n251.0.0.0/8 eth0/16\n');
    const { code, stdout, stderr } = await shell('fanctl up -a');
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'fan-250-0-28\nfan-251-0-28\n' });
    expect(stderr).toBe(
      'fanctl: note: 250.0.0.0/8 on 10.0.0.28/16 is already configured (fan-250-0-28) with other flags, and left ' +
        'alone: it lacks dhcp; to change that: fanctl down 250.0.0.0/8 eth0/16; ' +
        'fanctl up 250.0.0.0/8 eth0/16 dhcp host-reserve 1 auto\n',
    );
    // The line goes, the fan is still one that -a brought up; a fan by hand is not.
    writeConfig('# nothing any more\n');
    await shell('fanctl up 99 eth0');
    expect(await shell('fanctl down -a')).toMatchObject({ code: 0, stderr: '' });
    expect((await showFans(host)).map(({ bridge }) => bridge)).toEqual(['fan-99-0-28']);
  });
});

describe('everybody', () => {
  it('without a file: nothing to be done, which is no error', async () => {
    const { code, stdout, stderr } = await host.fanctl(['up', '-a'], {
      env: { UFAN_CONFIG: '/nonexistent/fan' },
    });
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(stderr).toBe('fanctl: note: there is no /nonexistent/fan: nothing to bring up\n');
  });

  it('as JSON, and quietly', async () => {
    writeConfig('250 eth0\n251 nosuch\n');
    const up = await shell('fanctl up -a --json 2>/dev/null');
    expect(up.code).toBe(1);
    expect(JSON.parse(up.stdout)).toEqual([{ line: 1, bridge: 'fan-250-0-28', outcome: 'new', notes: [] }]);
    expect(await shell('fanctl up 250 eth0 --quiet')).toEqual({ code: 0, stdout: '', stderr: '' });
    const again = JSON.parse((await shell('fanctl up 250 eth0 --json 2>/dev/null')).stdout);
    expect(again).toEqual({
      bridge: 'fan-250-0-28',
      outcome: 'kept',
      notes: ['fan-250-0-28 is up already, with these flags'],
    });
    const down = await shell('fanctl down -e --json');
    expect(JSON.parse(down.stdout)).toEqual({ bridges: ['fan-250-0-28'], notes: [] });
  });
});

describe('restart and logs', () => {
  it('another fand has the same fans, and says so in its log', async () => {
    await shell('fanctl up 250 eth0 --workers 2; fanctl up 99 eth0 dhcp');
    await shell('fanctl up 250 eth0; fanctl up 99 eth0', peer);
    const fans = await showFans(host);
    const before = fandPid(host);
    const { code, stdout, stderr } = await shell('fanctl restart');
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'fan-250-0-28\nfan-99-0-28\n' });
    expect(stderr).toMatch(/fand \(pid \d+\) has taken over within \d+\.\d ms\n$/);
    expect(fandPid(host)).not.toBe(before);
    expect(await showFans(host)).toEqual(fans);
    await reach();
    const logs = await shell('fanctl logs -n 9');
    expect(logs.stdout).toMatch(
      /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} info {2}fand goes on in place of another$/m,
    );
    expect((await shell('fanctl logs --json | head -1')).stdout).toMatch(/^\{"level":30,/);
  });

  it('one that died is started again', async () => {
    await shell('fanctl up 250 eth0');
    await killFand(host);
    expect(await shell('fanctl restart')).toEqual({ code: 0, stdout: 'fan-250-0-28\n', stderr: '' });
  });

  it('logs -f goes on with what comes', async () => {
    await shell('fanctl up 250 eth0');
    const follower = host.spawn([process.execPath, FANCTL, 'logs', '-f', '-n', '1']);
    try {
      await follower.prints(/fan-250-0-28 is up/);
      await shell('fanctl up 99 eth0');
      await follower.prints(/fan-99-0-28 is up/);
    } finally {
      await follower.stop();
    }
  });
});
