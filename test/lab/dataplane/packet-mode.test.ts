/**
 * What is particular to `--io packet` and `bpf`: when it is taken and when not, the way to a peer followed as the kernel's tables
 * change, no packet twice, and nothing left at the device.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Capture, fields } from '../../../bench/lab/capture.js';
import type { CommandError } from '../../../bench/lab/command.js';
import { containerAddress, raiseFan, showFans } from '../../../bench/lab/fan.js';
import type { Container, Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { ping, UNANSWERED } from '../../../bench/lab/ping.js';
import { REPOSITORY } from '../../../bench/lab/repository.js';
import { randomFile, sendFile } from '../../../bench/lab/transfer.js';
import { echoUdp, FAN, FanLab, faults, growth, killFand, PYTHON, readCounters, until } from '../fan-lab.js';
import { relaysOf } from '../relays-of.js';

const EGRESS_PROGRAMS = join(REPOSITORY, 'test/lab/egress-programs.py');
const PACKET = [...FAN, '--io', 'packet'];
/** Runs a command that may not load BPF programs, nor may what it starts. */
const WITHOUT_BPF = ['setpriv', '--bounding-set', '-bpf,-sys_admin,-perfmon'];

async function egressPrograms(host: Host): Promise<number> {
  return Number((await host.exec([PYTHON, EGRESS_PROGRAMS, 'eth0'])).stdout);
}

async function ios(host: Host): Promise<[string, string[]][]> {
  return (await showFans(host)).map(({ io, ioNotes }) => [io, ioNotes]);
}

describe('the mode', () => {
  let lab: Lab;
  let host: Host;
  beforeAll(async () => {
    lab = await createLab({ hosts: 1 });
    host = lab.host(1);
    await host.ip(
      'tuntap add dev plain0 mode tun',
      'address add 192.168.7.5/16 dev plain0',
      'link set plain0 up',
    );
  });
  afterAll(() => lab?.remove());

  it('is the one that is asked for; auto is bpf', async () => {
    await host.fanctl(['up', ...FAN]);
    for (const [overlay, io] of [
      ['99', 'packet'],
      ['98', 'raw'],
      ['97', 'bpf'],
    ] as const) {
      await host.fanctl(['up', overlay, 'eth0/16', '--io', io]);
    }
    expect(await ios(host)).toEqual([
      ['bpf', []],
      ['packet', []],
      ['raw', []],
      ['bpf', []],
    ]);
    await host.fanctl(['down', '-e', '--force']);
  });

  it('is what works where BPF is not allowed, and says why', async () => {
    await raiseFan(host, FAN, WITHOUT_BPF);
    expect(await ios(host)).toEqual([
      [
        'packet',
        [
          expect.stringMatching(/^bpf: .*not permitted/i),
          expect.stringMatching(/^packet: segmentation in software/),
        ],
      ],
    ]);
    await host.fanctl(['down', '-e', '--force']);
  });

  it('is raw on a device that is not Ethernet, and says why', async () => {
    await host.fanctl(['up', '99', 'plain0/16']);
    expect(await ios(host)).toEqual([
      [
        'raw',
        [
          expect.stringMatching(/^bpf: plain0 is no Ethernet device/),
          expect.stringMatching(/^packet: plain0 is no Ethernet device/),
        ],
      ],
    ]);
    await host.fanctl(['down', '-e', '--force']);
  });

  it('is refused on a device that is not Ethernet', async () => {
    await host.fanctl(['up', '99', 'plain0/16']);
    const refused = await host.fanctl(['up', '98', 'plain0/16', '--io', 'packet']).catch((error) => error);
    expect((refused as CommandError).output.stderr).toMatch(/^fanctl: .*plain0 is no Ethernet device/);
    expect((await ios(host)).map(([io]) => io)).toEqual(['raw']);
    await host.fanctl(['down', '-e', '--force']);
  });

  it('leaves nothing at the device, by down or by a kill', async () => {
    const qdiscs = async () => (await host.exec(['tc', 'qdisc', 'show', 'dev', 'eth0'])).stdout;
    const before = await qdiscs();
    await host.fanctl(['up', ...PACKET]);
    await host.fanctl(['up', '99', 'eth0/16', '--io', 'bpf']);
    expect(await egressPrograms(host)).toBe(1);
    await host.fanctl(['down', '99', 'eth0/16', '--force']);
    expect(await egressPrograms(host)).toBe(1);
    await host.fanctl(['down', '-e', '--force']);
    expect(await egressPrograms(host)).toBe(0);

    await host.fanctl(['up', ...PACKET]);
    await killFand(host);
    await until(
      () => egressPrograms(host),
      (count) => count === 0,
    );
    await host.fanctl(['up', ...PACKET]);
    expect(await egressPrograms(host)).toBe(1);
    await host.fanctl(['down', '-e', '--force']);
    expect(await egressPrograms(host)).toBe(0);
    expect(await qdiscs()).toBe(before);
  });
});

describe.each(['packet', 'bpf'])('the way to a peer, io %s', (io) => {
  let net: FanLab;
  const reach = async (options = {}) =>
    (await ping(net.container(1), net.address(2), { count: 1, ...options })).received;
  beforeAll(async () => {
    net = await FanLab.open({ hosts: 3 }, [...FAN, '--io', io]);
  });
  afterAll(() => net?.remove());

  it('is found by the kernel for the first packet, which is not lost', async () => {
    await net.host(1).ip('neighbour flush dev eth0');
    expect(await reach()).toBe(1);
    await net.host(1).ip(`neighbour del ${net.host(2).address} dev eth0`);
    expect(await reach()).toBe(1);
  });

  it('follows the neighbour table', async () => {
    const { address } = net.host(2);
    await net.host(1).ip(`neighbour replace ${address} lladdr 02:00:00:00:00:99 dev eth0`);
    expect(await reach(UNANSWERED)).toBe(0);
    await net.host(1).ip(`neighbour del ${address} dev eth0`);
    expect(await reach()).toBe(1);
  });

  it('follows the routes, also those that leave by no device', async () => {
    const [one, { address }, router] = [net.host(1), net.host(2), net.host(3)];
    await router.sysctl('net/ipv4/ip_forward', 1);
    await router.sysctl('net/ipv4/conf/all/send_redirects', 0);
    await router.sysctl('net/ipv4/conf/eth0/send_redirects', 0);
    const file = join(net.lab.dir, 'by-router.pcap');
    await one.ip(`route add ${address} via ${router.address}`);
    const capture = await Capture.start(router, 'eth0', file, `ip proto 4 and dst host ${address}`);
    expect(await reach({ count: 2 })).toBe(2);
    await capture.stop();
    expect((await fields(file, ['frame.number'])).length).toBeGreaterThanOrEqual(2);
    await one.ip(`route replace blackhole ${address}`);
    const before = await readCounters(one);
    expect(await reach(UNANSWERED)).toBe(0);
    await expect
      .poll(async () => growth(before, await readCounters(one))['drop-send-failed-packets'])
      .toBe(1);
    await one.ip(`route del ${address}`);
    expect(await reach()).toBe(1);
  });

  it('stays confirmed: the kernel sees the neighbour used', async () => {
    const { address } = net.host(2);
    const state = async () => (await net.host(1).exec(['ip', 'neighbour', 'show', address])).stdout;
    const mac = /lladdr (\S+)/.exec(await state())?.[1];
    await net.host(1).ip(`neighbour replace ${address} lladdr ${mac} dev eth0 nud stale`);
    // At most a second after it was last asked to.
    await expect.poll(() => reach().then(state)).toMatch(/DELAY|PROBE|REACHABLE/);
  });

  it('carries each packet once, fragments too, and the kernel answers none of them', async () => {
    const file = join(net.lab.dir, 'unreachable.pcap');
    const capture = await Capture.start(net.host(2), 'eth0', file, 'icmp[0] == 3');
    const before = await readCounters(net.host(2));
    const { text } = await ping(net.container(1), net.address(2), { count: 20 });
    expect(text).not.toContain('DUP');
    await echoUdp(net.container(1), net.container(2), net.address(2), [1, 1452, 1453, 9000, 65_507]);
    await capture.stop();
    await until(
      async () => growth(before, await readCounters(net.host(2))),
      (grown) => grown['decap-tx-packets'] === grown['decap-rx-packets'],
    );
    expect(await fields(file, ['frame.number'])).toEqual([]);
  });

  it('goes on when the device was down for a while', async () => {
    await net.host(1).ip('link set eth0 down', 'link set eth0 up');
    await until(
      () => reach(UNANSWERED),
      (received) => received === 1,
    );
  });
});

describe.each(['raw', 'packet', 'bpf'])('a stream over an underlay that cuts and merges, io %s', (io) => {
  let net: FanLab;
  beforeAll(async () => {
    net = await FanLab.open({ profile: 'nic-like' }, [...FAN, '--io', io]);
  });
  afterAll(() => net?.remove());

  /** Of the segments that container 2 receives of a file, the part that was out of order. */
  async function disorder(): Promise<number> {
    const [one, two] = [net.container(1), net.container(2)];
    const counted = async () => {
      const { stdout } = await two.exec(['nstat', '-asz', '--json', 'TcpInSegs', 'TcpExtTCPOFOQueue']);
      return JSON.parse(stdout).kernel as { TcpInSegs: number; TcpExtTCPOFOQueue: number };
    };
    const before = await counted();
    const file = await randomFile(one, net.lab.dir, 50_000_000);
    const received = join(net.lab.dir, 'received');
    const { sha256 } = await sendFile(one, two, net.address(2), file.path, received);
    expect(sha256).toBe(file.sha256);
    const after = await counted();
    const segments = after.TcpInSegs - before.TcpInSegs;
    expect(segments).toBeGreaterThan(500);
    return (after.TcpExtTCPOFOQueue - before.TcpExtTCPOFOQueue) / segments;
  }

  // Half of all was the fault. On a busy machine one loss puts a whole window behind it out of order: then once more.
  it('arrives in order', async () => {
    let part = 1;
    for (let tries = 0; tries < 5 && part >= 0.1; tries++) part = await disorder();
    expect(part).toBeLessThan(0.1);
  });
});

describe('without BPF', () => {
  let lab: Lab;
  let addresses: string[];
  beforeAll(async () => {
    lab = await createLab();
    const up = lab.hosts.map((host) => raiseFan(host, PACKET, WITHOUT_BPF));
    addresses = (await Promise.all(up)).map(({ view }) => containerAddress(view, 1));
  });
  afterAll(() => lab?.remove());

  it('super-packets are cut here, faultlessly, and go as frames', async () => {
    const [one, two] = lab.hosts.map((host) => host.container(1)) as [Container, Container];
    const file = await randomFile(one, lab.dir, 5_000_000);
    const received = join(lab.dir, 'received');
    const cut = join(lab.dir, 'cut.pcap');
    const filter = 'ip proto 4 and src host 172.30.0.28';
    // The relay puts them together again before they reach eth0.
    const [relay] = await relaysOf(lab.host(1));
    const capture = await Capture.start(lab.host(1), relay!.name, cut, filter);
    expect(await sendFile(one, two, addresses[1]!, file.path, received)).toMatchObject({
      sha256: file.sha256,
    });
    await capture.stop();
    expect(await faults(cut)).toEqual([]);
    const rows = await fields(cut, ['ip.len', 'ip.id', 'ip.flags.df']);
    const outer = rows.map((row) => row.map((values) => values.split(',')[0]));
    expect(outer.filter(([length]) => length === '1500').length).toBeGreaterThan(3000);
    expect(new Set(outer.map(([, id, df]) => `${id} ${df}`))).toEqual(new Set(['0x0000 1']));
    await echoUdp(one, two, addresses[1]!, [1, 1452, 1453, 65_507]);
    expect(await sendFile(two, one, addresses[0]!, file.path, received)).toMatchObject({
      sha256: file.sha256,
    });
  });
});
