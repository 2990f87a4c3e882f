/**
 * The MTU of the underlay changes while a fan is up: fand follows, in every io, and with several workers; what
 * containers send meanwhile arrives, or they are told.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { showFans } from '../../../bench/lab/fan.js';
import { ping } from '../../../bench/lab/ping.js';
import { randomFile, sendFile } from '../../../bench/lab/transfer.js';
import { FAN, FanLab, fandPid, growth, killFand, readCounters, until } from '../fan-lab.js';

const BRIDGE = 'fan-250-0-28';
/** ICMP payload of a packet of the fan's first MTU, 1480. */
const FULL = 1480 - 28;

async function openLab(...words: string[]): Promise<FanLab> {
  const net = await FanLab.open({}, [...FAN, ...words]);
  onTestFinished(() => net.remove());
  return net;
}

async function setMtu(net: FanLab, mtu: number): Promise<void> {
  await Promise.all(net.lab.hosts.map((host) => host.ip(`link set eth0 mtu ${mtu}`)));
}

/** Until fand says so, and both devices of the fan have it, on both hosts. */
async function follows(net: FanLab, mtu: number): Promise<void> {
  for (const host of net.lab.hosts) {
    const ask = async () => ({
      said: (await showFans(host)).map((fan) => fan.mtu),
      set: (await host.exec(['ip', '-o', 'link'])).stdout.match(/^\d+: (fan|tun)-.* mtu \d+/gm),
    });
    const holds = ({ said, set }: Awaited<ReturnType<typeof ask>>) =>
      said[0] === mtu && set?.length === 2 && set.every((device) => device.endsWith(` mtu ${mtu}`));
    await until(ask, holds);
  }
}

function dnsmasqWords(net: FanLab): string {
  const pid = readFileSync(join(net.host(1).dir, `dnsmasq-${BRIDGE}.pid`), 'utf8').trim();
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
}

function log(net: FanLab): string {
  return readFileSync(join(net.host(1).dir, 'fand.log'), 'utf8');
}

describe.each([
  ['raw', []],
  ['packet', []],
  ['bpf', ['--workers', '2']],
])('io %s %j', (io, words) => {
  it('follows down and up again, and counts on', async () => {
    const net = await openLab('io', io, 'dhcp', ...words);
    const [from, to] = [net.container(1), net.address(2)];
    const file = await randomFile(net.host(1), net.lab.dir, 3_000_000);
    const send = (copy: string) => {
      return sendFile(from, net.container(2), to, file.path, join(net.lab.dir, copy));
    };
    await send('before');
    const before = await readCounters(net.host(1));

    await setMtu(net, 1400);
    await follows(net, 1380);
    expect(dnsmasqWords(net)).toContain('--dhcp-option=26,1380');
    const refused = await ping(from, to, { count: 1, size: FULL, df: true });
    expect(refused.text).toContain('Frag needed and DF set (mtu = 1380)');
    expect(await ping(from, to, { count: 1, size: 1380 - 28, df: true })).toMatchObject({ received: 1 });
    expect(await ping(from, to, { count: 1, size: FULL, df: false })).toMatchObject({ received: 1 });
    expect((await send('narrow')).sha256).toBe(file.sha256);
    const grown = growth(before, await readCounters(net.host(1)));
    for (const value of Object.values(grown)) expect(value).toBeGreaterThan(0);

    await setMtu(net, 1500);
    await follows(net, 1480);
    expect(dnsmasqWords(net)).toContain('--dhcp-option=26,1480');
    await from.ip('route flush cache');
    expect(await ping(from, to, { count: 1, size: FULL, df: true })).toMatchObject({ received: 1 });
  });
});

it('a stream goes on across changes, many of them', async () => {
  const net = await openLab();
  const file = await randomFile(net.host(1), net.lab.dir, 200_000_000);
  const sent = sendFile(
    net.container(1),
    net.container(2),
    net.address(2),
    file.path,
    join(net.lab.dir, 'copy'),
  );
  for (const mtu of [1400, 1500, 1300, 600, 1442]) {
    await setMtu(net, mtu);
    await follows(net, mtu - 20);
  }
  expect((await sent).sha256).toBe(file.sha256);
});

it('stays as it was where the underlay takes less than a fan needs, and says so once', async () => {
  const net = await openLab();
  await net.host(1).ip('link set eth0 mtu 575');
  await until(
    async () => log(net),
    (text) => text.includes('needs at least 576'),
  );
  await net.host(1).ip('link set eth0 mtu 574', 'link set eth0 mtu 575');
  await net.host(2).ip('link set eth0 mtu 576');
  await until(
    () => showFans(net.host(2)),
    ([fan]) => fan?.mtu === 556,
  );
  await expect
    .poll(() => showFans(net.host(1)))
    .toMatchObject([{ mtu: 1480, state: 'degraded', health: [{ check: 'underlay-mtu-changed' }] }]);
  expect(log(net).match(/eth0 has MTU 575: /g)).toHaveLength(1);
  await setMtu(net, 1500);
  await follows(net, 1480);
});

it('a fan that is restored follows what changed while fand was dead, and down leaves nothing', async () => {
  const net = await openLab('dhcp');
  await killFand(net.host(1));
  await setMtu(net, 1400);
  await net.host(1).fanctl(['up', ...FAN, 'dhcp']);
  await follows(net, 1380);
  await net.host(1).fanctl(['down', '-e', '--force']);
  expect((await net.host(1).exec(['ip', '-o', 'link'])).stdout).not.toMatch(/ (fan|tun)-/);
  expect((await net.host(1).exec(['ip', '-o', 'link'])).stdout).toMatch(/ eth0@\S+ .* mtu 1400 /);
});

it('goes on, and follows later, where fand can ask nothing for a while: it has no more files', async () => {
  const net = await openLab();
  const pid = fandPid(net.host(1));
  const limit = (soft: string) => net.host(1).exec(['prlimit', '--pid', `${pid}`, `--nofile=${soft}:`]);
  await limit('3');
  await until(
    async () => log(net),
    (text) => text.includes('could not follow their underlay'),
  );
  await limit('1024');
  await setMtu(net, 1400);
  await follows(net, 1380);
});
