/**
 * What strangers can do to the responder of probes: forged senders don't keep a real probe from its answer, nor does what
 * they ask cost a program each; and no container is answered, neither by its own host nor, in its host's name, by a peer.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Namespace } from '../../../bench/lab/namespace.js';
import { ping } from '../../../bench/lab/ping.js';
import { REPOSITORY } from '../../../bench/lab/repository.js';
import { OwnMacs } from '../../../src/diagnosis/probe/own-macs.js';
import { FanLab, PYTHON } from '../fan-lab.js';

const ASK = join(REPOSITORY, 'test/lab/ask-facts.py');
const PORT = 8326;

let net: FanLab;

beforeAll(async () => {
  net = await FanLab.open({ hosts: 3, containers: 1 });
});
afterAll(() => net?.remove());

async function asked(from: Namespace, address: string, port: number): Promise<string> {
  return (await from.exec([PYTHON, ASK, 'ask', address, `${port}`])).stdout.trim();
}

it('a host is answered', async () => {
  const bare = net.host(3);
  await bare.fanctl(['down', '-e', '--force']);
  expect(await asked(bare, net.host(1).address, PORT)).toBe('answered');
});

it.each([0, PORT])('no container is, from port %i', async (port) => {
  expect(await asked(net.container(1), net.host(2).address, port)).toBe('silent');
  expect(await asked(net.container(1), net.host(1).address, port)).toBe('silent');
  expect(await asked(net.container(1), net.fan(1).gateway, port)).toBe('silent');
});

it('a probe gets its answers while forged senders ask 3,000 times a second', async () => {
  expect(await ping(net.container(2), net.address(1))).toMatchObject({ received: 3 });
  const { stdout } = await net.host(1).exec(['cat', '/sys/class/net/eth0/address']);
  const words = ['flood', 'eth0', stdout.trim(), net.host(1).address, '60'];
  const flood = net.host(3).spawn([PYTHON, ASK, ...words]);
  try {
    await flood.prints(/flooding/);
    const { stdout: checks } = await net
      .host(2)
      .fanctl(['probe', net.address(1), '--json'], { anyExit: true });
    const bad = (JSON.parse(checks) as { check: string; status: string }[]).filter(
      ({ status }) => status !== 'ok',
    );
    expect(bad).toEqual([]);
  } finally {
    await flood.stop();
  }
});

it('what is no request takes no room from those that are', async () => {
  const mac = (await net.host(1).exec(['cat', '/sys/class/net/eth0/address'])).stdout.trim();
  const flood = net.host(3).spawn([PYTHON, ASK, 'garbage', 'eth0', mac, net.host(1).address, '120']);
  try {
    await flood.prints(/flooding/);
    const { stdout } = await net.host(2).fanctl(['probe', net.address(1), '--json'], { anyExit: true });
    const bad = (JSON.parse(stdout) as { status: string }[]).filter(({ status }) => status !== 'ok');
    expect(bad).toEqual([]);
  } finally {
    await flood.stop();
  }
});

it('many requests with hardware addresses start one program', async () => {
  const programs = () => process.getActiveResourcesInfo().filter((what) => what === 'ProcessWrap').length;
  const before = programs();
  const macs = new OwnMacs(() => true);
  const answers = Array.from({ length: 900 }, () => macs.among(['00:00:00:00:00:00']));
  expect(programs() - before).toBeLessThanOrEqual(1);
  expect(new Set((await Promise.all(answers)).map((found) => found.join()))).toEqual(
    new Set(['00:00:00:00:00:00']),
  );
});
