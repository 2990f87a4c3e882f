/**
 * `fanctl probe` of fans over VXLAN: whole, and broken in the ways of their own; and, of either type of fan, what it says of
 * the other. The switch between the hosts is lab.wire.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { raiseFan } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import type { Namespace } from '../../../bench/lab/namespace.js';
import { portOf } from '../../../bench/lab/underlay.js';
import type { CheckResult } from '../../../src/control/protocol.js';
import { FAN, growth, readCounters } from '../fan-lab.js';

const [US, PEER] = ['172.30.0.28', '172.30.0.27'];
const HEALTHY = [
  'route-overridden',
  'forward-drop',
  'overlay-nat',
  'underlay-unreachable',
  'duplicate-slice',
  'peer-down',
  'width-mismatch',
  'udp-blocked',
  'mtu-black-hole',
];
const IPIP_PASSES = /; or type ipip on all hosts: protocol 4 passes both ways$/;
const VXLAN_PASSES = /; or type vxlan on all hosts: UDP port 8472 passes both ways$/;

async function checksOf(from: Host, target: string): Promise<CheckResult[]> {
  const { stdout, stderr } = await from.fanctl(['probe', target, '--json'], { anyExit: true });
  expect(stderr).toBe('');
  return JSON.parse(stdout);
}

async function failure(from: Host, target: string): Promise<CheckResult> {
  const bad = (await checksOf(from, target)).filter(({ status }) => status !== 'ok');
  expect(bad.map(({ check, status }) => [check, status])).toEqual([[expect.any(String), 'fail']]);
  return bad[0]!;
}

/** An ear rests for half a minute after each that asks; those of a new fand have not been asked yet. */
async function refreshEars(): Promise<void> {
  for (const host of [one, two]) await host.fanctl(['restart']);
}

const undo: (() => Promise<unknown>)[] = [];
async function filter(where: Namespace, family: string, chain: string, rule: string): Promise<void> {
  const table = `table ${family} broken {\n chain c {\n ${chain} policy accept;\n ${rule} drop\n }\n}`;
  await where.exec(['nft', '-f', '-'], { input: `${table}\n` });
  undo.push(() => where.exec(['nft', 'delete', 'table', family, 'broken']));
}
const INGRESS = 'type filter hook ingress device "eth0" priority 0;';
const FORWARD = 'type filter hook forward priority 0;';

let lab: Lab;
let one: Host;
let two: Host;
async function raise(words: readonly string[]): Promise<void> {
  lab = await createLab({ hosts: 2, containers: 1 });
  [one, two] = [lab.host(1), lab.host(2)];
  await Promise.all([one, two].map((host) => raiseFan(host, [...FAN, 'no-heal', ...words])));
}
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

describe.each([
  ['routed', 'raw', []],
  ['routed', 'bpf', []],
  ['layer2', 'bpf', ['layer2']],
])('a %s fan over VXLAN, io %s', (_shape, io, more) => {
  beforeAll(() => raise(['vxlan', ...more, 'io', io]));
  afterAll(() => lab?.remove());

  it('is well, counts no drop, and says that IP-in-IP would pass', async () => {
    const before = await Promise.all([readCounters(one), readCounters(two)]);
    for (const [from, target] of [
      [one, PEER],
      [two, US],
    ] as const) {
      const checks = await checksOf(from, target);
      expect(checks.filter(({ status }) => status !== 'ok')).toEqual([]);
      expect(checks.map(({ check }) => check)).toEqual(HEALTHY);
    }
    await refreshEars();
    const { stdout } = await one.fanctl(['probe', '250.0.27.2', '-c', '2']);
    expect(stdout).toMatch(/^ {2}UDP port 8472 2 of 2 probes went there and back, [\d.]+ ms$/m);
    expect(stdout).toMatch(/^ {2}type ipip {3}protocol 4 passes both ways$/m);
    expect(stdout).toMatch(/\(mtu-black-hole\): packets of 1500 bytes pass/m);
    const after = await Promise.all([readCounters(one), readCounters(two)]);
    for (const [i, counters] of after.entries()) {
      // What a container says to a group by itself (IPv6) is none of ours.
      const drops = Object.keys(growth(before[i]!, counters)).filter((name) =>
        /^drop-(?!group-frame)/.test(name),
      );
      expect(drops).toEqual([]);
    }
  });

  it('whose port is dropped on the peer: out; on our own device: in', async () => {
    await refreshEars();
    await filter(two, 'netdev', INGRESS, 'udp dport 8472');
    const out = await failure(one, PEER);
    expect(out).toMatchObject({ check: 'udp-blocked', direction: 'out' });
    expect(out.evidence).toMatch(/^none of 3 VXLAN packets arrived at the peer/);
    expect(out.fix).toMatch(IPIP_PASSES);
    expect(await failure(two, US)).toMatchObject({ check: 'udp-blocked', direction: 'in' });
  });

  it('that neither type passes', async () => {
    await refreshEars();
    await filter(lab.wire, 'bridge', FORWARD, 'ip protocol 4 drop; udp dport 8472');
    const { check, fix } = await failure(one, PEER);
    expect([check, fix]).toEqual([
      'udp-blocked',
      'let UDP port 8472 pass, in host firewalls and security groups',
    ]);
  });

  it('on a path that loses more than 1400 bytes', async () => {
    await filter(lab.wire, 'bridge', FORWARD, `iifname ${portOf(one)} ip length > 1400`);
    const { check, direction, evidence, fix } = await failure(one, PEER);
    expect([check, direction]).toEqual(['mtu-black-hole', 'out']);
    expect(evidence).toContain('VXLAN packets of 1400 bytes pass');
    expect(fix).toMatch(/^let IP fragments pass, or on all hosts: ip link set dev eth0 mtu 1400/);
  });

  it('whose peer has another type, or another VNI, or none', async () => {
    await two.fanctl(['down', '-e', '--force']);
    undo.push(async () => {
      await two.fanctl(['down', '-e', '--force']);
      await raiseFan(two, [...FAN, 'no-heal', 'vxlan', ...more, 'io', io]);
    });
    const down = await failure(one, PEER);
    expect(down.check).toBe('peer-down');
    expect(down.fix).toBe(
      'on 172.30.0.27: fanctl up 250.0.0.0/8 172.30.0.27/16 type vxlan vni 16384000 port 8472',
    );
    await two.fanctl(['up', ...FAN, 'type', 'ipip']);
    const { check, evidence } = await failure(one, PEER);
    expect([check, evidence]).toEqual([
      'type-mismatch',
      'the peer has 250.0.0.0/8 of type ipip, this host of type vxlan, vni 16384000, port 8472',
    ]);
    expect((await failure(two, US)).check).toBe('type-mismatch');
  });
});

describe.each(['raw', 'bpf'])('a fan over IP-in-IP, io %s', (io) => {
  beforeAll(() => raise(['io', io]));
  afterAll(() => lab?.remove());

  it('is told that VXLAN would pass, where it would', async () => {
    expect((await one.fanctl(['probe', PEER])).stdout).toMatch(
      /^ {2}type vxlan {2}UDP port 8472 passes both ways$/m,
    );
    await refreshEars();
    await filter(lab.wire, 'bridge', FORWARD, 'ip protocol 4');
    const { check, fix } = await failure(one, PEER);
    expect(check).toBe('protocol-4-blocked');
    expect(fix).toMatch(VXLAN_PASSES);
    await undo.pop()!();
    await refreshEars();
    await filter(lab.wire, 'bridge', FORWARD, 'ip protocol 4 drop; udp dport 8472');
    expect((await failure(one, PEER)).fix).not.toMatch(VXLAN_PASSES);
  });
});
