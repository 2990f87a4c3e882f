/**
 * A VXLAN fan's life on its host: what DHCP gives, who may speak to the port, what is refused, several workers, what is put
 * back when somebody takes it away, and that `down` leaves nothing.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { containerAddress, raiseFan, showFans } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { ping } from '../../../bench/lab/ping.js';
import { REPOSITORY } from '../../../bench/lab/repository.js';
import { randomFile, sendFile } from '../../../bench/lab/transfer.js';
import type { FanView } from '../../../src/control/protocol.js';
import { FAN, killFand, PYTHON, readCounters, until } from '../fan-lab.js';

const MAKE = join(REPOSITORY, 'test/lab/vxlan-hostile.py');
const SEND = join(REPOSITORY, 'test/lab/send-frames.py');
const [TAP, BRIDGE] = ['tap-250-0-28', 'fan-250-0-28'];
const FILE_BYTES = 10_000_000;
/** A client's hook: sets up what it was given, and prints it. */
const HOOK = `#!/bin/sh
[ "$1" = bound ] || exit 0
ip address add "$ip/$mask" dev "$interface"
ip link set "$interface" mtu "$mtu"
ip route add default via "$router"
env
`;

async function refusal(host: Host, ...words: string[]): Promise<string> {
  const { code, stderr } = await host.fanctl(['up', ...words], { anyExit: true });
  expect(code).toBe(1);
  return stderr;
}

/** What is left of a fan on a host. */
async function remains(host: Host): Promise<string> {
  const [links, routes, rules] = await Promise.all([
    host.exec(['ip', '-br', 'link']),
    host.exec(['ip', 'route']),
    host.exec(['nft', 'list', 'ruleset']),
  ]);
  const own = links.stdout.split('\n').filter((line) => !/^(lo|eth0|c[0-9-]+|veth)/.test(line));
  return [...own, routes.stdout.replace(/.* dev eth0.*\n/g, ''), rules.stdout].join('').trim();
}

describe.each([
  ['routed', ['vxlan'], '24'],
  ['layer 2', ['vxlan', 'layer2'], '8'],
])('a %s fan', (shape, words, mask) => {
  let lab: Lab;
  let before: string;
  beforeAll(async () => {
    lab = await createLab({ hosts: 3 });
    writeFileSync(join(lab.dir, 'hook'), HOOK, { mode: 0o755 });
    before = await remains(lab.host(1));
    for (const host of [lab.host(1), lab.host(2)]) await host.fanctl(['up', ...FAN, ...words, 'dhcp']);
  });
  afterAll(() => lab?.remove());

  it('gives containers addresses by DHCP, with its own width and MTU, and they reach each other', async () => {
    const addresses: string[] = [];
    for (const host of [lab.host(1), lab.host(2)]) {
      const [{ bridge, gateway }] = (await showFans(host)) as [FanView];
      await host.container(1).attach({ bridge, mtu: 1500 });
      const ask = ['-n', '-q', '-f', '-t', '20', '-T', '1', '-O', 'mtu', '-s', join(lab.dir, 'hook')];
      const { stdout } = await host.container(1).exec(['udhcpc', '-i', 'eth0', ...ask]);
      const got = Object.fromEntries(stdout.split('\n').map((line) => line.split('=', 2)));
      expect(got).toMatchObject({ mask, router: gateway, dns: gateway, mtu: '1450' });
      addresses.push(got.ip!);
    }
    expect(addresses[0]).toMatch(/^250\.0\.28\./);
    const { received } = await ping(lab.host(1).container(1), addresses[1]!, {
      count: 1,
      size: 1422,
      df: true,
    });
    expect(received).toBe(1);
    // The host itself, and what it reaches by NAT.
    expect((await ping(lab.host(1), addresses[1]!, { count: 1 })).received).toBe(1);
    expect((await ping(lab.host(1).container(1), lab.host(3).address, { count: 1 })).received).toBe(1);
  });

  it('doctor finds nothing wrong, and show says what it is', async () => {
    const { stdout } = await lab.host(1).fanctl(['doctor'], { anyExit: true });
    expect(stdout).not.toMatch(/^ *(fail|FAIL)/m);
    expect((await showFans(lab.host(1)))[0]).toMatchObject({
      state: 'up',
      io: 'bpf',
      health: [],
      flags: `dhcp host-reserve 1 type ${words.join(' ')}`,
    });
  });

  it('no container speaks to the port of another host, nor anybody by another device', async () => {
    const [victim, peer] = [lab.host(1), lab.host(2)];
    const inside = victim.container(1);
    const ask = ['nc', '-n', '-u', '-w', '1', peer.address, '8472'];
    await inside.exec(ask, { input: 'x', anyExit: true });
    await until(
      () => readCounters(victim),
      (now) => now['drop-container-tunnel-packets'] === 1,
    );
    // By the bridge, with the peer's address: what only the underlay's device may bring.
    const { stdout: mac } = await victim.exec(['cat', `/sys/class/net/${BRIDGE}/address`]);
    const made = await victim.exec([PYTHON, MAKE, victim.address, mac.trim(), peer.address, mac.trim()]);
    const frames = JSON.parse(made.stdout) as Record<string, string[]>;
    const dropped = async () => {
      const counters = await readCounters(victim);
      return counters['drop-tunnel-astray-packets']! + counters['drop-container-tunnel-packets']!;
    };
    const sofar = await dropped();
    await inside.exec([PYTHON, SEND, 'eth0', ...frames.good!]);
    await until(dropped, (now) => now === sofar + 1);
    expect((await readCounters(victim))['drop-source-forged-packets']).toBe(0);
  });

  it('is explained as it is', async () => {
    const { stdout } = await lab.host(1).fanctl(['explain', '250.0.27.2']);
    expect(stdout).toMatch(/verdict +deliverable/);
    expect(stdout).toContain(`inner     dev ${shape === 'routed' ? TAP : BRIDGE}`);
  });

  it('puts back what somebody takes away', async () => {
    const host = lab.host(1);
    await host.ip(
      `link set ${TAP} address 02:00:00:00:00:99`,
      `link set ${TAP} ${shape === 'routed' ? 'mtu 1400' : 'nomaster'}`,
    );
    await host.exec(['nft', 'flush', 'ruleset']);
    await until(
      async () => (await ping(host.container(1), '250.0.27.1', { count: 1, timeoutMs: 1000 })).received,
      (received) => received === 1,
    );
    await until(
      async () => (await host.fanctl(['doctor', '--json'], { anyExit: true })).stdout,
      (said) => !/"status": ?"fail"/.test(said),
    );
  });

  it('a fand that died comes back with the same fan', async () => {
    const host = lab.host(1);
    await killFand(host);
    await host.fanctl(['up', ...FAN, ...words, 'dhcp']);
    expect((await ping(host.container(1), '250.0.27.1', { count: 1 })).received).toBe(1);
  });

  it('comes back from a hard restart', async () => {
    const host = lab.host(1);
    await host.fanctl(['restart', '--hard']);
    expect((await ping(host.container(1), '250.0.27.1', { count: 1 })).received).toBe(1);
  });

  it('leaves nothing behind', async () => {
    await lab.host(1).fanctl(['down', ...FAN, '--force']);
    expect(await remains(lab.host(1))).toBe(before);
  });
});

describe('several', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab();
  });
  afterAll(() => lab?.remove());

  it('refuses a port that a program or a device of the kernel has, by its name', async () => {
    const host = lab.host(1);
    const nc = host.spawn(['nc', '-n', '-u', '-l', '8472']);
    await until(
      async () => (await host.exec(['ss', '-Hlnu', 'sport', '=', ':8472'])).stdout,
      (listed) => listed !== '',
    );
    expect(await refusal(host, ...FAN, 'vxlan')).toMatch(
      /udp port 8472 is held by .*(pid \d+|ss -lnup sport = :8472 names it)\): end that, or say "port N"/,
    );
    await nc.stop();
    await host.ip(
      'link add flannel.1 type vxlan id 1 dstport 8472 local 172.30.0.28 dev eth0',
      'link set flannel.1 up',
    );
    expect(await refusal(host, ...FAN, 'vxlan')).toContain('held by flannel.1, a VXLAN device of the kernel');
    const { stdout } = await host.fanctl(['up', ...FAN, 'vxlan', 'port', '4790']);
    expect(stdout.trim()).toBe(BRIDGE);
    await host.ip('link delete flannel.1');
  });

  it('refuses one overlay over both types, and another overlay with the same VNI', async () => {
    const host = lab.host(1);
    expect(await refusal(host, '250.0.0.0/12', 'eth0/16')).toContain('which is of type vxlan');
    expect(await refusal(host, '99.0.0.0/8', 'eth0/16', 'vxlan', 'vni', '16384000')).toContain(
      `is that of ${BRIDGE} already`,
    );
  });

  it('refuses a fan of another io than the one that has its port', async () => {
    const host = lab.host(1);
    const [first, second, third] = ['99.0.0.0/8', '98.0.0.0/8', '97.0.0.0/8'].map((overlay) => {
      return [overlay, 'eth0/16', 'vxlan', 'port', '4791'];
    });
    await host.fanctl(['up', ...first!, '--io', 'bpf']);
    expect(await refusal(host, ...second!, '--io', 'raw')).toContain(
      'another fan over VXLAN has udp port 4791 by io bpf, and fans on one port are of one io: say "io bpf" here',
    );
    await host.fanctl(['down', '99.0.0.0/8', 'eth0/16']);
    await host.fanctl(['up', ...first!, '--io', 'raw']);
    expect(await refusal(host, ...second!, '--io', 'bpf')).toContain('has udp port 4791 by io raw');
    // Who leaves it to fand gets what works, and is told why.
    await host.fanctl(['up', ...third!]);
    const fans = await showFans(host);
    expect(fans.map(({ overlay }) => overlay)).not.toContain('98.0.0.0/8');
    expect(fans.find(({ overlay }) => overlay === '97.0.0.0/8')).toMatchObject({
      io: 'raw',
      ioNotes: [expect.stringContaining('has udp port 4791 by io raw')],
    });
    for (const overlay of ['99.0.0.0/8', '97.0.0.0/8']) await host.fanctl(['down', overlay, 'eth0/16']);
  });

  it('several workers, and a fan of IP-in-IP beside, carry files', async () => {
    for (const host of lab.hosts) {
      await host.fanctl(['down', '-e'], { anyExit: true });
      await host.fanctl(['up', ...FAN, 'vxlan', '--workers', '2']);
      await host.fanctl(['up', '99.0.0.0/8', 'eth0/16']);
    }
    const fans = [];
    for (const host of lab.hosts) fans.push((await raiseFan(host, [...FAN, 'vxlan'])).view);
    const file = await randomFile(lab.host(1), lab.dir, FILE_BYTES);
    const [from, to] = [lab.host(1).container(1), lab.host(2).container(1)];
    for (let i = 0; i < 4; i++) {
      const sent = await sendFile(from, to, containerAddress(fans[1]!, 1), file.path, join(lab.dir, 'copy'));
      expect(sent).toMatchObject({ sha256: file.sha256, bytes: FILE_BYTES });
    }
    expect((await ping(lab.host(1), '99.0.27.1', { count: 1 })).received).toBe(1);
  });
});
