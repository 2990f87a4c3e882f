/**
 * dnsmasq on the fan bridge with a real DHCP client (udhcpc), and its life: adopted, replaced, ended.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { isAlive } from '../../../src/control/process-end.js';
import { FAN, HostLab } from './host-lab.js';

/** A user's process under the name and the words of a dnsmasq: it says its pid and sleeps. */
const POSE = `
import os, sys
os.setgid(65533); os.setuid(65533)
act = "import os, time; print(os.getpid(), flush=True); time.sleep(100)"
os.execv("/usr/bin/python3", ["/usr/sbin/dnsmasq", "-c", act, *sys.argv[1:]])`;

let lab: HostLab;
let host: string;
let peer: string;

beforeEach(async () => {
  lab = await HostLab.open();
  ({ host, peer } = await lab.hostAndPeer());
});

afterEach(() => lab.close());

/**
 * Asks for a lease on eth0 of a namespace, once a second: what udhcpc got, as its script sees it. Rejects without an
 * answer; dnsmasq takes 3 s to see that nobody else has the address.
 */
async function lease(namespace: string, seconds = 20): Promise<Record<string, string>> {
  const script = `${lab.runDir}/udhcpc-script`;
  await writeFile(script, '#!/bin/sh\n[ "$1" = bound ] && env || true\n', { mode: 0o755 });
  const ask = ['-n', '-q', '-f', '-t', `${seconds}`, '-T', '1', '-O', 'mtu'];
  const out = await lab.run(namespace, 'udhcpc', '-i', 'eth0', '-s', script, ...ask);
  return Object.fromEntries(out.split('\n').map((line) => line.split('=', 2)));
}

async function pid(): Promise<number> {
  return Number(await readFile(`${lab.runDir}/dnsmasq-${FAN.bridge}.pid`, 'utf8'));
}

test('a container gets an address, the router, the name server, the MTU, for an hour', async () => {
  await lab.up(host, { hostReserve: 5 });
  const container = await lab.container(host, FAN.bridge);
  const got = await lease(container);
  expect(got).toMatchObject({
    subnet: '255.255.255.0',
    router: '250.0.28.1',
    dns: '250.0.28.1',
    mtu: '1480',
    lease: '3600',
  });
  const last = Number(/^250\.0\.28\.(\d+)$/.exec(got.ip ?? '')?.[1]);
  expect(last).toBeGreaterThan(5);
  expect(last).toBeLessThan(255);
});

test('nobody on the underlay gets an answer, to DHCP or DNS', async () => {
  await lab.up(host);
  await expect(lease(peer, 4)).rejects.toThrow(/no lease/);
  const sockets = await lab.run(host, 'ss', '-Hln', '--udp', '--tcp');
  const local = sockets
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/)[4]);
  expect([...new Set(local)].sort()).toEqual([`0.0.0.0%${FAN.bridge}:67`, '250.0.28.1:53']);
});

test('the same dnsmasq is adopted, one that died or has other options is replaced', async () => {
  const records = await lab.up(host);
  const first = await pid();
  await lab.call(host, 'reapply', records);
  expect(await pid()).toBe(first);
  process.kill(first, 'SIGKILL');
  await lab.call(host, 'reapply', records);
  const second = await pid();
  expect(second).not.toBe(first);
  await lab.up(host, { mtu: 1400, host: false });
  expect(await pid()).not.toBe(second);
  expect(await readFile(`/proc/${await pid()}/cmdline`, 'utf8')).toContain('26,1400');
});

test('a pid file that names some other process harms nobody', async () => {
  const file = `${lab.runDir}/dnsmasq-${FAN.bridge}.pid`;
  await writeFile(file, String(process.pid));
  const records = await lab.up(host);
  expect(await pid()).not.toBe(process.pid);
  process.kill(await pid(), 'SIGKILL');
  await writeFile(file, String(process.pid));
  expect(await lab.down(host, records)).toEqual([]);
});

test('a pid file that names another process, or is huge, keeps no dnsmasq alive', async () => {
  const records = await lab.up(host);
  const server = await pid();
  const file = `${lab.runDir}/dnsmasq-${FAN.bridge}.pid`;
  for (const bend of [() => writeFile(file, String(process.pid)), () => truncate(file, 300_000_000)]) {
    await bend();
    await lab.call(host, 'reapply', records);
    expect(await isAlive(server)).toBe(true);
    expect((await stat(file)).size).not.toBe(0);
  }
  expect(await lab.down(host, records)).toEqual([]);
  expect(await isAlive(server)).toBe(false);
});

test('a process of a user that calls itself our dnsmasq is neither taken for it nor ended', async () => {
  const records = await lab.up(host);
  const server = await pid();
  const words = (await readFile(`/proc/${server}/cmdline`, 'utf8')).split('\0').slice(1, -1);
  process.kill(server, 'SIGKILL');
  const posing = ['/usr/bin/python3', '-c', POSE, ...words];
  const impostor = spawn('ip', ['netns', 'exec', host, ...posing], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const its = Number(String((await once(impostor.stdout, 'data'))[0]));
    await writeFile(`${lab.runDir}/dnsmasq-${FAN.bridge}.pid`, `${its}\n`);
    const renewed = (await lab.call(host, 'reapply', records)) as typeof records;
    expect(await pid()).not.toBe(its);
    expect(await lab.down(host, renewed)).toEqual([]);
    expect(await isAlive(its)).toBe(true);
  } finally {
    impostor.kill('SIGKILL');
  }
});

test("a port that is taken fails with dnsmasq's own words, and rolls back", async () => {
  const before = await lab.snapshot(host);
  const script = `
import socket, subprocess, sys
taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); taken.bind(("0.0.0.0", 67))
sys.exit(subprocess.run(sys.argv[1:]).returncode)`;
  const driver = new URL('host-driver.mjs', import.meta.url).pathname;
  const request = JSON.stringify({ call: 'up', args: [{ ...FAN, runDir: lab.runDir }] });
  const out = await lab.run(host, '/usr/bin/python3', '-c', script, process.execPath, driver, request);
  expect(JSON.parse(out).error.message).toMatch(
    /^failed to serve DHCP on fan-250-0-28: dnsmasq .*failed to bind DHCP server socket: Address already in use/,
  );
  expect(await lab.snapshot(host)).toEqual(before);
});

test('a bridge name that dnsmasq would read as a pattern is refused', async () => {
  await expect(lab.up(host, { bridge: 'fan,a' })).rejects.toThrow(
    /dnsmasq cannot serve a bridge called "fan,a"/,
  );
});
