/**
 * Relays, by which bursts go where super-packets are cut by us: which fans have one, what takes it and what doesn't, that
 * they are gone when they should be, and that a fan works without.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Capture, fields } from '../../../bench/lab/capture.js';
import { showFans } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { ping, UNANSWERED } from '../../../bench/lab/ping.js';
import { FANCTL, REPOSITORY } from '../../../bench/lab/repository.js';
import { randomFile, sendFile } from '../../../bench/lab/transfer.js';
import type { Counters } from '../../../src/control/protocol.js';
import { echoUdp, FAN, FanLab, faults, growth, killFand, PYTHON, readCounters, until } from '../fan-lab.js';
import { relaysOf } from '../relays-of.js';

const UDP_BURSTS = join(REPOSITORY, 'test/lab/udp-bursts.py');
const RAW = [...FAN, '--io', 'raw'];
/** What tshark reads in a few seconds, also on a busy machine. */
const FILE_BYTES = 5_000_000;

async function names(host: Host): Promise<string[]> {
  return (await relaysOf(host)).map(({ name }) => name);
}

async function indexOf(host: Host, device: string): Promise<number> {
  return Number((await host.exec(['cat', `/sys/class/net/${device}/ifindex`])).stdout);
}

/** Container 1 of host 1 sends a file to that of host 2, which must arrive as it is. */
async function send(net: FanLab, bytes = FILE_BYTES): Promise<void> {
  const [one, two] = [net.container(1), net.container(2)];
  const file = await randomFile(one, net.lab.dir, bytes);
  const received = join(net.lab.dir, 'received');
  const sent = await sendFile(one, two, net.address(2), file.path, received);
  expect(sent.sha256).toBe(file.sha256);
}

describe('a relay', () => {
  let lab: Lab;
  let host: Host;
  beforeAll(async () => {
    lab = await createLab({ hosts: 1 });
    host = lab.host(1);
  });
  afterAll(() => lab?.remove());

  it('stands at each underlay device that a fan in raw mode uses, while it does', async () => {
    const relay = `relay-${await indexOf(host, 'eth0')}`;
    await host.fanctl(['up', ...FAN]);
    expect(await names(host)).toEqual([]);
    await host.fanctl(['up', '99', 'eth0/16', '--io', 'raw']);
    await host.fanctl(['up', '98', 'eth0/16', '--io', 'raw']);
    expect(await names(host)).toEqual([relay]);
    await host.fanctl(['down', '98', 'eth0/16', '--force']);
    expect(await names(host)).toEqual([relay]);
    await host.fanctl(['down', '99', 'eth0/16', '--force']);
    expect(await names(host)).toEqual([]);
    await host.fanctl(['down', '-e', '--force']);
  });

  it('that a kill left is made anew with the fan, or removed with it', async () => {
    const [, relay] = [await host.fanctl(['up', ...RAW]), `relay-${await indexOf(host, 'eth0')}`];
    const first = await indexOf(host, relay);
    await killFand(host);
    await host.fanctl(['up', ...RAW]);
    expect(await names(host)).toEqual([relay]);
    expect(await indexOf(host, relay)).not.toBe(first);
    await killFand(host);
    expect(await names(host)).toEqual([relay]);
    await host.fanctl(['down', '-e', '--force']);
    expect(await names(host)).toEqual([]);
  });

  it('is made anew where fand was killed before it had its mark', async () => {
    const relay = `relay-${await indexOf(host, 'eth0')}`;
    await host.ip(`link add ${relay} type veth peer name ${relay}-out`);
    await host.fanctl(['up', ...RAW]);
    expect((await showFans(host)).map(({ ioNotes }) => ioNotes)).toEqual([[]]);
    await host.fanctl(['down', '-e', '--force']);
    expect(await names(host)).toEqual([]);
  });

  it('stays with its fand where another one comes', async () => {
    const other = { env: { UFAN_RUN_DIR: join(host.dir, 'other') } };
    await host.fanctl(['up', ...RAW]);
    await host.exec([process.execPath, FANCTL, 'up', '99', 'eth0/16', '--io', 'raw'], other);
    expect(await names(host)).toHaveLength(1);
    await host.exec([process.execPath, FANCTL, 'down', '-e', '--force'], other);
    expect(await names(host)).toHaveLength(1);
    await host.fanctl(['down', '-e', '--force']);
    expect(await names(host)).toEqual([]);
  });

  it('would pass by IPsec policies, and is done without where there are some', async () => {
    await host.ip(
      'xfrm policy add dir out src 10.9.0.0/24 dst 10.9.1.0/24 tmpl src 10.9.0.1 dst 10.9.1.1 proto esp',
    );
    await host.fanctl(['up', ...RAW]);
    expect((await showFans(host)).map(({ ioNotes }) => ioNotes)).toEqual([
      ["raw: bursts go without a relay: this host's IPsec policies would not see them"],
    ]);
    expect(await names(host)).toEqual([]);
    await host.fanctl(['down', '-e', '--force']);
    await host.ip('xfrm policy flush');
  });

  it('is gone once a policy comes, and back when the last one has gone', async () => {
    const notes = async () => (await showFans(host)).flatMap(({ ioNotes }) => ioNotes);
    await host.fanctl(['up', ...RAW]);
    expect(await notes()).toEqual([]);
    const relays = await names(host);
    await host.ip('xfrm policy add dir out src 10.9.0.0/24 dst 10.9.1.0/24 action block');
    await until(
      () => names(host),
      (found) => found.length === 0,
    );
    expect(await until(notes, (found) => found.length > 0)).toEqual([
      "raw: bursts go without a relay: this host's IPsec policies would not see them",
    ]);
    await host.ip('xfrm policy flush');
    const found = await until(
      () => names(host),
      (found) => found.length > 0,
    );
    expect(found).toEqual(relays);
    await until(notes, (found) => found.length === 0);
    await host.fanctl(['down', '-e', '--force']);
  });

  it('whose name is taken is done without, which show --json tells', async () => {
    const relay = `relay-${await indexOf(host, 'eth0')}`;
    await host.ip(`link add ${relay} type bridge`);
    await host.fanctl(['up', ...RAW]);
    expect((await showFans(host)).map(({ io, ioNotes }) => [io, ioNotes])).toEqual([
      ['raw', [`raw: bursts go without a relay: a device ${relay} exists and is not ours`]],
    ]);
    await host.fanctl(['down', '-e', '--force']);
    await host.ip(`link delete ${relay}`);
  });
});

describe('bursts with io raw', () => {
  let net: FanLab;
  beforeAll(async () => {
    net = await FanLab.open({ profile: 'nic-like' }, RAW);
  });
  afterAll(() => net?.remove());

  const frames = async () => (await relaysOf(net.host(1)))[0]!.frames;

  it('go by the relay, as faultless packets, and nothing is lost', async () => {
    const [before, counted] = [await frames(), await readCounters(net.host(1))];
    const capture = join(net.lab.dir, 'relayed.pcap');
    const from = 'ip proto 4 and src host 172.30.0.28';
    const [relay] = await names(net.host(1));
    const tcpdump = await Capture.start(net.host(1), relay!, capture, from);
    await send(net);
    await tcpdump.stop();
    expect(await frames()).toBeGreaterThan(before + FILE_BYTES / 1460 / 2);
    const grown = growth(counted, await readCounters(net.host(1)));
    expect(Object.keys(grown).filter((name) => name.startsWith('drop-'))).toEqual([]);
    expect(await faults(capture)).toEqual([]);
    const rows = await fields(capture, ['ip.id', 'ip.flags.df', 'ip.src']);
    const outer = rows.map((row) => row.map((values) => values.split(',')[0]).join(' '));
    expect(new Set(outer)).toEqual(new Set(['0x0000 1 172.30.0.28']));
  });

  it('of small segments, more than a veth holds, are not lost on it', async () => {
    const counted = await readCounters(net.host(1));
    const bursts = [PYTHON, UDP_BURSTS, net.address(2), '100', '300'];
    await Promise.all([1, 2, 3, 4].map(() => net.container(1).exec(bursts)));
    // What the TUN had no room for was not read; of the rest each is sent or counts as failed.
    let readBefore = 0;
    const all = ({ 'encap-rx-packets': read = 0, 'encap-tx-packets': sent = 0, ...grown }: Counters) => {
      const isSettled = read > 10_000 && read === readBefore;
      readBefore = read;
      return isSettled && sent + (grown['drop-send-failed-packets'] ?? 0) === read;
    };
    const grown = await until(async () => growth(counted, await readCounters(net.host(1))), all);
    expect(grown['drop-send-failed-packets'] ?? 0).toBe(0);
  });

  it('alone do: what is small or alone goes straight', async () => {
    // What the tests before sent may still be under way.
    const { before } = await until(
      async () => {
        const earlier = await frames();
        await sleep(500);
        return { earlier, before: await frames() };
      },
      ({ earlier, before: now }) => earlier === now,
    );
    expect(await ping(net.container(1), net.address(2), { count: 3 })).toMatchObject({ received: 3 });
    await echoUdp(net.container(1), net.container(2), net.address(2), [1, 1452, 20_000]);
    expect(await frames()).toBe(before);
  });

  it('pass no OUTPUT rule, which refuses and counts what goes straight', async () => {
    await send(net, 1_000_000);
    await net.host(1).exec(['iptables', '-A', 'OUTPUT', '-p', '4', '-j', 'DROP']);
    try {
      const before = await readCounters(net.host(1));
      await net.container(1).exec([PYTHON, UDP_BURSTS, net.address(2), '1000', '20']);
      const grown = await until(
        async () => growth(before, await readCounters(net.host(1))),
        (counters) => (counters['encap-tx-packets'] ?? 0) > 0,
      );
      expect(grown).not.toHaveProperty('drop-send-failed-packets');
      await ping(net.container(1), net.address(2), { ...UNANSWERED, count: 2 });
      await expect
        .poll(async () => growth(before, await readCounters(net.host(1))))
        .toMatchObject({ 'drop-send-failed-packets': 2 });
    } finally {
      await net.host(1).exec(['nft', 'delete', 'table', 'ip', 'filter']);
    }
  });

  it('go by the raw socket to a peer that the kernel has to resolve', async () => {
    await net.host(1).ip('neighbour flush dev eth0');
    await send(net, 1_000_000);
  });

  it('reach nobody, and are counted, where the underlay is down', async () => {
    const before = await readCounters(net.host(1));
    await net.host(1).ip('link set eth0 down');
    expect(await ping(net.container(1), net.address(2), { ...UNANSWERED, count: 1 })).toMatchObject({
      received: 0,
    });
    await until(
      async () => growth(before, await readCounters(net.host(1))),
      (grown) => (grown['drop-send-failed-packets'] ?? 0) > 0,
    );
    await net.host(1).ip('link set eth0 up');
    await until(
      () => ping(net.container(1), net.address(2), { ...UNANSWERED, count: 1 }),
      ({ received }) => received === 1,
    );
    await send(net, 1_000_000);
  });

  it('go without a relay that somebody removed', async () => {
    const [relay] = await names(net.host(1));
    await net.host(1).ip(`link delete ${relay}`);
    await send(net, 1_000_000);
  });
});
