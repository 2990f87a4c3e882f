/**
 * `fanctl probe` between real hosts, whole and broken in each way that it has a name for: the true cause fails, nothing
 * else does, and a healthy pair has no fail. In every I/O mode.
 *
 *   hosts 1 and 2 have fans, host 3 has none; the switch between them is lab.wire, its ports h1, h2, h3
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DockerHost } from '../../../bench/lab/docker-host.js';
import { raiseFan } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { awaitLinks } from '../../../bench/lab/links.js';
import type { Namespace } from '../../../bench/lab/namespace.js';
import { FANCTL } from '../../../bench/lab/repository.js';
import { portOf } from '../../../bench/lab/underlay.js';
import type { CheckResult } from '../../../src/control/protocol.js';
import { FAN, growth, readCounters } from '../fan-lab.js';

const PEER = '172.30.0.27';
const HEALTHY = [
  'route-overridden',
  'forward-drop',
  'overlay-nat',
  'underlay-unreachable',
  'duplicate-slice',
  'peer-down',
  'width-mismatch',
  'protocol-4-blocked',
  'mtu-black-hole',
];

interface Probed {
  code: number | null;
  checks: CheckResult[];
}

async function probe(from: Host, target: string, ...words: string[]): Promise<Probed> {
  const { stdout, stderr, code } = await from.fanctl(['probe', target, '--json', ...words], {
    anyExit: true,
  });
  expect(stderr).toBe('');
  return { code, checks: JSON.parse(stdout) as CheckResult[] };
}

/** The one check that fails, and that it is alone. */
async function failure(from: Host, target: string): Promise<CheckResult> {
  const { code, checks } = await probe(from, target);
  const bad = checks.filter(({ status }) => status !== 'ok');
  expect(bad.map(({ check, status }) => [check, status])).toEqual([[expect.any(String), 'fail']]);
  expect(code).toBe(1);
  expect(bad[0]!.evidence).not.toBe('');
  expect(bad[0]!.fix).not.toBe('');
  return bad[0]!;
}

async function expectHealthy(from: Host, target: string): Promise<void> {
  const { code, checks } = await probe(from, target);
  expect(checks.filter(({ status }) => status !== 'ok')).toEqual([]);
  expect(checks.map(({ check }) => check)).toEqual(HEALTHY);
  expect(code).toBe(0);
}

/** A table of nftables with one chain, until the end of the test. */
const undo: (() => Promise<unknown>)[] = [];
async function filter(where: Namespace, family: string, chain: string, rule: string): Promise<void> {
  const table = `table ${family} broken {\n chain c {\n ${chain} policy accept;\n ${rule} drop\n }\n}`;
  await where.exec(['nft', '-f', '-'], { input: `${table}\n` });
  undo.push(() => where.exec(['nft', 'delete', 'table', family, 'broken']));
}

const INGRESS = 'type filter hook ingress device "eth0" priority 0;';
const FORWARD = 'type filter hook forward priority 0;';

describe.each(['raw', 'packet', 'bpf'])('io %s', (io) => {
  let lab: Lab;
  let one: Host;
  let two: Host;

  beforeAll(async () => {
    lab = await createLab({ hosts: 3, containers: 1 });
    [one, two] = [lab.host(1), lab.host(2)];
    await Promise.all([
      raiseFan(one, [...FAN, 'no-heal', 'io', io]),
      raiseFan(two, [...FAN, 'no-heal', 'io', io]),
    ]);
  });
  afterEach(async () => {
    for (const step of undo.splice(0).reverse()) await step();
  });
  afterAll(() => lab?.remove());

  it('a healthy pair, by underlay and overlay address, counts no drop', async () => {
    const before = await Promise.all([readCounters(one), readCounters(two)]);
    await expectHealthy(one, PEER);
    await expectHealthy(two, '250.0.28.2');
    const after = await Promise.all([readCounters(one), readCounters(two)]);
    for (const [i, counters] of after.entries()) {
      expect(Object.keys(growth(before[i]!, counters)).filter((name) => name.startsWith('drop-'))).toEqual(
        [],
      );
    }
  });

  it('says it in words as well', async () => {
    const { stdout } = await one.fanctl(['probe', PEER, '-c', '2']);
    expect(stdout).toContain(
      `probe of ${PEER} (250.0.27.0/24) from 172.30.0.28: fan-250-0-28, 250.0.0.0/8, io ${io}`,
    );
    expect(stdout).toMatch(/^ {2}underlay {4}2 of 2 ICMP echoes answered, [\d.]+ ms$/m);
    expect(stdout).toMatch(/^ {2}protocol 4 {2}2 of 2 probes went there and back, [\d.]+ ms$/m);
    expect(stdout).toMatch(/^ {2}gateway {5}2 of 2 ICMP echoes of 250\.0\.27\.1 answered, [\d.]+ ms$/m);
    expect(stdout).toMatch(
      /^ok {4}packets of every size pass \(mtu-black-hole\): packets of 1500 bytes pass/m,
    );
  });

  it('protocol 4 dropped on the peer: out', async () => {
    await filter(two, 'netdev', INGRESS, 'ip protocol 4');
    expect(await failure(one, PEER)).toMatchObject({ check: 'protocol-4-blocked', direction: 'out' });
  });

  it('protocol 4 dropped on our own device: in', async () => {
    await filter(one, 'netdev', INGRESS, 'ip protocol 4');
    expect(await failure(one, PEER)).toMatchObject({ check: 'protocol-4-blocked', direction: 'in' });
    expect(await failure(two, '172.30.0.28')).toMatchObject({
      check: 'protocol-4-blocked',
      direction: 'out',
    });
  });

  it('protocol 4 dropped by the switch, one way and both', async () => {
    await filter(lab.wire, 'bridge', FORWARD, `iifname ${portOf(two)} ip protocol 4`);
    expect(await failure(one, PEER)).toMatchObject({ check: 'protocol-4-blocked', direction: 'in' });
    await undo.pop()!();
    await filter(lab.wire, 'bridge', FORWARD, 'ip protocol 4');
    expect(await failure(one, PEER)).toMatchObject({ check: 'protocol-4-blocked', direction: 'out' });
  });

  it.each([
    ['out', 'one', ''],
    ['in', 'two', ''],
  ])('a hop that drops more than 1400 bytes: %s', async (direction, port) => {
    const from = portOf(port === 'one' ? one : two);
    await filter(lab.wire, 'bridge', FORWARD, `iifname ${from} ip length > 1400`);
    const { check, evidence, ...rest } = await failure(one, PEER);
    expect({ check, direction: rest.direction }).toEqual({ check: 'mtu-black-hole', direction });
    expect(evidence).toContain('packets of 1400 bytes pass');
  });

  it('a peer with another width', async () => {
    const before = await readCounters(one);
    await two.fanctl(['down', '-e', '--force']);
    await two.fanctl(['up', '250.0.0.0/8', 'eth0/20', 'io', io]);
    undo.push(async () => {
      await two.fanctl(['down', '-e', '--force']);
      await raiseFan(two, [...FAN, 'no-heal', 'io', io]);
    });
    expect(await failure(one, PEER)).toMatchObject({
      check: 'width-mismatch',
      evidence: 'the peer has 250.0.0.0/8 on 172.30.0.27/20, this host 250.0.0.0/8 on 172.30.0.28/16',
    });
    expect((await failure(two, '172.30.0.28')).check).toBe('width-mismatch');
    expect(growth(before, await readCounters(one))['drop-source-forged-packets']).toBeUndefined();
  });

  it('a peer without fand, and one with another fan', async () => {
    expect(await failure(one, lab.host(3).address)).toMatchObject({ check: 'peer-down' });
    await lab.host(3).fanctl(['up', '99', 'eth0/16']);
    undo.push(() => lab.host(3).fanctl(['down', '-e', '--force']));
    expect(await failure(one, '250.0.29.7')).toMatchObject({
      check: 'peer-down',
      evidence: expect.stringContaining('with no fan that overlaps 250.0.0.0/8'),
    });
  });

  it('a filter on the way that lets neither protocol 4 nor UDP pass', async () => {
    undo.push(() => lab.wire.exec(['nft', 'delete table bridge f']));
    await lab.wire.exec([
      'nft',
      'add table bridge f; add chain bridge f pass { type filter hook forward priority 0; }; add rule bridge f pass ip protocol { 4, 17 } drop',
    ]);
    expect(await failure(one, PEER)).toMatchObject({
      check: 'protocol-4-blocked',
      direction: 'unknown',
    });
  });

  it('a host without a fan that answers nothing but protocol 4, which it refuses', async () => {
    undo.push(() => lab.host(3).exec(['nft', 'delete table ip quiet']));
    await lab
      .host(3)
      .exec([
        'nft',
        'add table ip quiet; add chain ip quiet in { type filter hook input priority 0; }; add rule ip quiet in ip protocol { icmp, udp } drop',
      ]);
    expect(await failure(one, lab.host(3).address)).toMatchObject({ check: 'peer-down' });
  });

  it.each([
    ['a route', 'ip route add 250.0.27.0/24 via 172.30.0.99', 'ip route del 250.0.27.0/24'],
    ['a blackhole', 'ip route add blackhole 250.0.27.2', 'ip route del blackhole 250.0.27.2'],
    [
      'a policy rule for containers',
      'ip route add default via 172.30.0.99 table 77; ip rule add iif fan-250-0-28 table 77',
      'ip rule del iif fan-250-0-28; ip route flush table 77',
    ],
  ])('%s that takes overlay addresses elsewhere', async (_title, arrange, restore) => {
    undo.push(() => one.exec(['sh', '-c', restore]));
    await one.exec(['sh', '-c', arrange]);
    expect(await failure(one, '250.0.27.2')).toMatchObject({ check: 'route-overridden' });
  });

  it('a route on the peer that takes its replies elsewhere', async () => {
    undo.push(() => two.ip('route del 250.0.28.0/24'));
    await two.ip('route add 250.0.28.0/24 via 172.30.0.99');
    expect(await failure(one, PEER)).toMatchObject({
      check: 'route-overridden',
      direction: 'in',
      evidence: expect.stringMatching(
        /^on 172\.30\.0\.27: 250\.0\.28\.0, sent by this host, leads to eth0 instead of to tun-250-0-27/,
      ),
    });
    expect((await failure(two, '172.30.0.28')).check).toBe('route-overridden');
  });

  it('a host that does not forward, and one without the route', async () => {
    undo.push(() => one.exec(['sysctl', '-qw', 'net.ipv4.ip_forward=1']));
    await one.exec(['sysctl', '-qw', 'net.ipv4.ip_forward=0']);
    expect((await failure(one, PEER)).check).toBe('ip-forward-off');
    await undo.pop()!();
    undo.push(() => one.ip('route add 250.0.0.0/8 dev tun-250-0-28 src 250.0.28.1 proto static'));
    await one.ip('route del 250.0.0.0/8');
    expect((await failure(one, PEER)).check).toBe('route-missing');
  });

  it('no host at all', async () => {
    expect((await failure(one, '172.30.0.99')).check).toBe('underlay-unreachable');
  });

  it('two hosts with one underlay address: the peer’s, and our own', async () => {
    const three = lab.host(3);
    await three.ip(`address add ${PEER}/16 dev eth0`);
    undo.push(
      () => three.ip(`address del ${PEER}/16 dev eth0`),
      () => one.ip('neighbour flush dev eth0'),
    );
    expect((await failure(one, PEER)).check).toBe('duplicate-slice');
    expect((await failure(two, '172.30.0.28')).evidence).toContain(
      'another host claims our underlay address 172.30.0.27',
    );
  });

  it('a host with two devices on the link, which answers ARP by both, is one host', async () => {
    await lab.wire.ip(
      `link add name second type veth peer name eth1 netns ${two.name}`,
      'link set second up master underlay',
    );
    await two.ip('link set eth1 up');
    await awaitLinks(two.name, 'eth1');
    await awaitLinks(lab.wire.name, 'second');
    undo.push(
      () => two.ip('link del eth1'),
      () => one.ip('neighbour flush dev eth0'),
    );
    const arping = ['arping', '-b', '-c', '2', '-w', '5', '-I', 'eth0', PEER];
    const { stdout } = await one.exec(arping, { anyExit: true });
    expect(new Set(stdout.match(/\[[0-9A-F:]+\]/g)).size).toBe(2);
    // What comes by eth1, which is not the fan's underlay device, the guard refuses: that is said as what it is.
    for (const [from, target] of [
      [one, PEER],
      [two, '172.30.0.28'],
    ] as const) {
      const { checks } = await probe(from, target);
      expect(checks.find(({ check }) => check === 'duplicate-slice')).toMatchObject({ status: 'ok' });
    }
  });

  it('a check that can’t be made has a status of its own', async () => {
    await one.fanctl(['down', '-e', '--force']);
    // For the fand that starts there, arping is no program.
    const script = 'mount --bind /dev/null /usr/bin/arping && exec "$@"';
    const up = [process.execPath, FANCTL, 'up', ...FAN, 'no-heal', 'io', io];
    await one.exec(['unshare', '-m', 'sh', '-c', script, 'sh', ...up]);
    undo.push(async () => {
      await one.fanctl(['down', '-e', '--force']);
      await raiseFan(one, [...FAN, 'no-heal', 'io', io]);
    });
    const { code, checks } = await probe(one, PEER);
    expect(checks.filter(({ status }) => status !== 'ok')).toMatchObject([
      {
        check: 'duplicate-slice',
        status: 'warn',
        evidence: expect.stringMatching(/^not checked: /),
      },
    ]);
    expect(code).toBe(2);
  });

  it('a responder that a firewall hides is a warning, as the fan works', async () => {
    await filter(two, 'inet', 'type filter hook input priority 0;', 'udp dport 8326');
    const { code, checks } = await probe(one, PEER);
    expect(checks.filter(({ status }) => status !== 'ok').map(({ check }) => check)).toEqual([
      'responder-silent',
    ]);
    expect(code).toBe(0);
  });
});

describe('hosts with a firewall of their own', () => {
  let lab: Lab | undefined;
  let docker: DockerHost | undefined;
  afterEach(async () => {
    await docker?.stop();
    docker = undefined;
    lab?.remove();
  });

  it('Docker’s usual rules are no fault', async () => {
    lab = await createLab();
    const [one, two] = [lab.host(1), lab.host(2)];
    docker = await DockerHost.start(two, ['--bridge=none']);
    await Promise.all([raiseFan(one, FAN), raiseFan(two, FAN)]);
    await expectHealthy(one, PEER);
    await expectHealthy(two, '172.30.0.28');
  });

  it('INPUT that drops is opened for probes', async () => {
    lab = await createLab();
    const [one, two] = [lab.host(1), lab.host(2)];
    for (const host of [one, two]) {
      await host.exec(['sh', '-c', 'iptables -P INPUT DROP; iptables -A INPUT -p icmp -j ACCEPT']);
    }
    await Promise.all([raiseFan(one, FAN), raiseFan(two, FAN)]);
    await expectHealthy(one, PEER);
    await expectHealthy(two, '172.30.0.28');
  });
});
