/**
 * `fanctl probe` over a path of routers: what is told by ICMP is no black hole, in either direction; what is not told is
 * one. And what the responder answers to whom, when asked by hand.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { raiseFan } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import type { Namespace } from '../../../bench/lab/namespace.js';
import { FANCTL } from '../../../bench/lab/repository.js';
import type { CheckResult, Explanation } from '../../../src/control/protocol.js';
import { FAN, PYTHON } from '../fan-lab.js';
import { buildNarrowPath } from '../narrow-path.js';

const [HERE, THERE] = ['172.30.0.28', '172.30.0.27'];

async function probe(from: Host, target: string): Promise<CheckResult[]> {
  const { stdout } = await from.fanctl(['probe', target, '--json'], { anyExit: true });
  return JSON.parse(stdout) as CheckResult[];
}

const bad = (checks: readonly CheckResult[]) => checks.filter(({ status }) => status !== 'ok');

describe('a path of 1400 between hosts of 1500', () => {
  let lab: Lab;
  let one: Host;
  let two: Host;
  beforeAll(async () => {
    lab = await createLab({ hosts: 4, containers: 1 });
    [one, two] = [lab.host(1), lab.host(2)];
    await buildNarrowPath(lab);
    await Promise.all([raiseFan(one, FAN), raiseFan(two, FAN)]);
  });
  afterAll(() => lab?.remove());

  it('that routers announce is no fault, the first time and when it is known', async () => {
    for (let time = 0; time < 2; time++) {
      const checks = await probe(one, THERE);
      expect(bad(checks)).toEqual([]);
      expect(checks.find(({ check }) => check === 'mtu-black-hole')?.evidence).toBe(
        'packets of 1400 bytes pass, as a router on the path announced',
      );
    }
    const { stdout } = await one.fanctl(['explain', THERE, '--json']);
    expect((JSON.parse(stdout) as Explanation).here?.mtu.path).toBe(1400);
  });

  it('of which nobody tells is a black hole', async () => {
    // What the fans have learnt goes with their fand.
    await Promise.all([one, two].map((host) => host.fanctl(['down', '-e', '--force'])));
    for (const router of [lab.host(3), lab.host(4)]) {
      await router.exec(['iptables', '-A', 'OUTPUT', '-p', 'icmp', '-j', 'DROP']);
    }
    await Promise.all([raiseFan(one, FAN), raiseFan(two, FAN)]);
    expect(bad(await probe(one, THERE))).toMatchObject([
      { check: 'mtu-black-hole', status: 'fail', direction: 'out' },
    ]);
    for (const router of [lab.host(3), lab.host(4)]) await router.exec(['iptables', '-F', 'OUTPUT']);
  });

  it('on the way back only, announced to the peer, is no fault', async () => {
    const [near, far] = [lab.host(3), lab.host(4)];
    await near.ip('link set eth1 mtu 1500');
    await far.ip('link set eth1 mtu 1500', `route replace ${HERE} via 10.0.0.1 mtu lock 1400`);
    const checks = await probe(one, THERE);
    expect(bad(checks)).toEqual([]);
    expect(checks.find(({ check }) => check === 'mtu-black-hole')?.evidence).toContain('1400 bytes pass');
  });
});

/** As long as an answer would be waited for that shall not come, s. */
const SILENT = 0.5;

/** Sends `text` to the responder at THERE from the port of probes; its answer, or undefined where none comes in time. */
async function ask(from: Namespace, source: string, text: string, seconds = 10): Promise<string | undefined> {
  const script = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("${source}", 8326)); s.settimeout(${seconds})
s.sendto(sys.stdin.buffer.read(), ("${THERE}", 8326))
try: sys.stdout.write(s.recv(65536).decode())
except TimeoutError: pass`;
  const { stdout } = await from.exec([PYTHON, '-c', script], { input: text });
  return stdout === '' ? undefined : stdout;
}

describe('the responder', () => {
  let lab: Lab;
  let one: Host;
  let two: Host;
  /** Without a fan, and so with the port of probes to itself. */
  let asker: Host;
  const facts = JSON.stringify({ ufan: 1, id: 'x', ask: 'facts', overlay: '250.0.0.0/8', nonce: '' });
  beforeAll(async () => {
    lab = await createLab({ hosts: 3, containers: 0 });
    [one, two, asker] = [lab.host(1), lab.host(2), lab.host(3)];
    await Promise.all([raiseFan(one, FAN), raiseFan(two, FAN)]);
    await asker.ip('address add 10.77.0.1/24 dev eth0');
    await two.ip('route add 10.77.0.0/24 dev eth0');
  });
  afterAll(() => lab?.remove());

  it('answers facts to the underlay, and nobody else', async () => {
    expect(JSON.parse((await ask(asker, asker.address, facts.padEnd(1024)))!)).toMatchObject({
      answer: 'facts',
      fans: 1,
      fan: {
        overlay: '250.0.0.0/8',
        underlay: '172.30.0.27/16',
        slice: '250.0.27.0/24',
        mtu: 1480,
        path: null,
      },
    });
    expect(await ask(asker, '10.77.0.1', facts.padEnd(1024), SILENT)).toBeUndefined();
  });

  it('never answers with more than it was asked with, nor what is no request', async () => {
    expect(await ask(asker, asker.address, facts, SILENT)).toBeUndefined();
    for (const text of [
      '',
      'x'.repeat(1024),
      '{}',
      'null',
      '[]',
      '{"ufan":1,"id":"x","ask":"facts"}'.padEnd(1024),
    ]) {
      expect(await ask(asker, asker.address, text, SILENT)).toBeUndefined();
    }
    expect(await ask(asker, asker.address, facts.padEnd(1024))).toBeDefined();
  });

  it('answers a host only so often', async () => {
    const script = `
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
s.bind(("${asker.address}", 8326)); s.settimeout(1)
request = sys.stdin.buffer.read()
for i in range(1000):
    s.sendto(request, ("${THERE}", 8326))
    if i % 50 == 0: time.sleep(0.005)
count = 0
try:
    while True: s.recv(65536); count += 1
except TimeoutError: print(count)`;
    const { stdout } = await asker.exec([PYTHON, '-c', script], { input: facts.padEnd(1024) });
    expect(Number(stdout)).toBeGreaterThan(50);
    expect(Number(stdout)).toBeLessThan(500);
  });

  it('that is off leaves a fan that works, of which probe warns', async () => {
    await two.fanctl(['down', '-e', '--force']);
    await two.exec(['env', 'UFAN_RESPONDER=off', process.execPath, FANCTL, 'up', ...FAN]);
    const checks = await probe(one, THERE);
    expect(bad(checks)).toMatchObject([{ check: 'responder-silent', status: 'warn' }]);
    expect(bad(await probe(two, HERE))).toEqual([]);
  });
});
