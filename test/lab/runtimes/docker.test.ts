/**
 * Real Docker on the fan: two dockerds whose containers are on the fans' bridges, and a dockerd that was there first
 * and lets its own firewall drop what the host forwards.
 */
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Capture, fields } from '../../../bench/lab/capture.js';
import { buildImage, DockerHost, IMAGE, onBridge, upperHalf } from '../../../bench/lab/docker-host.js';
import { containerAddress, raiseFan } from '../../../bench/lab/fan.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import type { Namespace } from '../../../bench/lab/namespace.js';
import { ping } from '../../../bench/lab/ping.js';
import { randomFile, sendFile } from '../../../bench/lab/transfer.js';
import { failures, troubles } from '../diagnosis/doctor-lab.js';
import { echoUdp, FAN, FanLab, faults } from '../fan-lab.js';

/** UDP or ICMP payload that fills a packet of 1480 bytes. */
const FULL = 1452;
/** What tcpdump can write down beside it all, and what it could not. */
const SMALL = 1e6;
const BULK = 20e6;

interface Party {
  docker: DockerHost;
  name: string;
  address: string;
  network: Namespace;
}

describe.each(['raw', 'auto'])('two dockerds on the fan, io %s', (io) => {
  const dockers: DockerHost[] = [];
  let net: FanLab;
  let parties: [Party, Party];

  beforeAll(async () => {
    net = await FanLab.open({ containers: 0 }, [...FAN, '--io', io]);
    const image = await buildImage(net.lab.dir);
    parties = [await startDocker(1, image), await startDocker(2, image)];
  });

  afterAll(async () => {
    await Promise.all(dockers.map((docker) => docker.stop()));
    net?.remove();
  });

  async function startDocker(index: number, image: string): Promise<Party> {
    const { bridge, slice, mtu } = net.fan(index);
    const docker = await DockerHost.start(
      net.host(index),
      onBridge({ bridge, range: upperHalf(slice), mtu }),
    );
    dockers.push(docker);
    await docker.docker(['import', image, IMAGE]);
    const name = `container-${index}`;
    const address = await docker.runContainer(name);
    return { docker, name, address, network: await docker.networkOf(name) };
  }

  /** Each as [from, to]. */
  const bothWays = (): [Party, Party][] => [parties, [parties[1], parties[0]]];

  async function expectTransfer(from: Party, to: Party, bytes: number): Promise<void> {
    const { path, sha256 } = await randomFile(from.network, net.lab.dir, bytes);
    const received = join(net.lab.dir, 'received');
    const got = await sendFile(from.network, to.network, to.address, path, received);
    expect(got).toMatchObject({ sha256, bytes });
  }

  it('gives containers addresses of the slices, and the MTU', async () => {
    expect(parties.map(({ address }) => address)).toEqual(['250.0.28.128', '250.0.27.128']);
    for (const { docker, name } of parties) {
      const { stdout } = await docker.docker(['exec', name, 'ip', 'link', 'show', 'eth0']);
      expect(stdout).toContain('mtu 1480');
    }
  });

  it('lets containers ping each other, with busybox, at any size', async () => {
    for (const [from, to] of bothWays()) {
      for (const size of [56, FULL, 20_000]) {
        const command = ['exec', from.name, 'ping', '-c', '2', '-s', `${size}`, to.address];
        expect((await from.docker.docker(command)).stdout).toContain('2 packets received, 0% packet loss');
      }
    }
  });

  it('carries all kinds of packets each way, from the addresses that the containers have', async () => {
    const [host] = net.lab.hosts;
    // What the kernel leaves to the device, this one finishes, as a NIC would.
    await host!.exec(['ethtool', '-K', 'eth0', 'tx', 'off']);
    const capture = await Capture.start(host!, 'eth0', join(net.lab.dir, 'docker.pcap'));
    for (const [from, to] of bothWays()) {
      expect(await ping(from.network, to.address, { size: FULL, df: true })).toMatchObject({ received: 3 });
      expect(await ping(from.network, to.address, { size: 20_000 })).toMatchObject({ received: 3 });
      await echoUdp(from.network, to.network, to.address, [1, FULL, 1453, 20_000, 65_507]);
      await expectTransfer(from, to, SMALL);
    }
    await capture.stop();
    const ends = (await fields(capture.file, ['ip.src', 'ip.dst'], 'ip.proto==4')).map((row) =>
      row.join(' '),
    );
    expect([...new Set(ends)].sort()).toEqual([
      '172.30.0.27,250.0.27.128 172.30.0.28,250.0.28.128',
      '172.30.0.28,250.0.28.128 172.30.0.27,250.0.27.128',
    ]);
    expect(await faults(capture.file, `ip.src==${host!.address}`)).toEqual([]);
  });

  it('carries bulk TCP each way', async () => {
    for (const [from, to] of bothWays()) await expectTransfer(from, to, BULK);
  });
});

describe('a dockerd that was there before the fan, with its own firewall', () => {
  let lab: Lab | undefined;
  let docker: DockerHost | undefined;

  afterEach(async () => {
    await docker?.stop();
    lab?.remove();
  });

  it('lets the fan pass, and has its rules back afterwards', async () => {
    lab = await createLab();
    const [host, peer] = [lab.host(1), lab.host(2)];
    docker = await DockerHost.start(host, ['--bridge=none']);
    const rules = await rulesOf(host);
    expect(rules).toContain(':FORWARD DROP');
    const [near, far] = [await raiseFan(host, FAN), await raiseFan(peer, FAN)];
    const there = await ping(host.container(1), containerAddress(far.view, 1));
    const back = await ping(peer.container(1), containerAddress(near.view, 1));
    expect([there.received, back.received]).toEqual([3, 3]);
    await host.fanctl(['down', '-e', '--force']);
    expect(await rulesOf(host)).toBe(rules);
  });
});

describe('a dockerd that made the bridge of the fan first', () => {
  let lab: Lab | undefined;
  let docker: DockerHost | undefined;

  afterEach(async () => {
    await docker?.stop();
    lab?.remove();
  });

  it('has its containers on the fan, which down names, and its bridge back afterwards', async () => {
    lab = await createLab({ containers: 1 });
    const [host, peer] = [lab.host(1), lab.host(2)];
    const off = ['iptables', 'ip6tables', 'ip-masq', 'ip-forward', 'userland-proxy'];
    docker = await DockerHost.start(host, ['--bridge=none', ...off.map((name) => `--${name}=false`)]);
    await docker.docker(['import', await buildImage(lab.dir), IMAGE]);
    const range = ['--subnet', '250.0.28.0/24', '--gateway', '250.0.28.1', '--ip-range', '250.0.28.128/25'];
    const name = ['-o', 'com.docker.network.bridge.name=fan-250-0-28'];
    await docker.docker(['network', 'create', ...name, ...range, 'fan']);
    const linkOf = async () => {
      const { stdout } = await host.exec(['ip', '-j', 'link', 'show', 'dev', 'fan-250-0-28']);
      const [link] = JSON.parse(stdout) as { mtu: number; address: string; ifalias?: string }[];
      return { mtu: link?.mtu, address: link?.address, alias: link?.ifalias };
    };
    const before = await linkOf();
    await host.fanctl(['up', ...FAN]);
    const far = await raiseFan(peer, FAN);
    await docker.docker(['run', '-d', '--name', 'guest', '--network', 'fan', IMAGE, 'sleep', '600']);
    const guest = await docker.networkOf('guest');
    expect(await ping(guest, containerAddress(far.view, 1))).toMatchObject({ received: 3 });

    const refused = await host.fanctl(['down', ...FAN], { anyExit: true });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(
      /^fanctl: fan-250-0-28 is in use by veth\w+ \(.*process \d+ sleep\): stop these/,
    );
    await docker.docker(['rm', '-f', 'guest']);
    await host.fanctl(['down', ...FAN]);
    expect(await linkOf()).toEqual(before);
  });
});

/** The host's rules without comments, which have the time, and counters. */
async function rulesOf(host: Namespace): Promise<string> {
  return (await host.exec(['iptables-save'])).stdout.replaceAll(/^#.*\n|\[\d+:\d+\]/gm, '');
}

describe('a dockerd on the fan that keeps its own NAT, as it does by default', () => {
  let net: FanLab | undefined;
  let docker: DockerHost | undefined;

  afterEach(async () => {
    await docker?.stop();
    net?.remove();
  });

  it('hides no container from the peer, and still lets them out', async () => {
    net = await FanLab.open({ containers: 1 }, [...FAN, 'no-heal']);
    const host = net.host(1);
    const { bridge, slice, mtu } = net.fan(1);
    const network = [`--bridge=${bridge}`, `--fixed-cidr=${upperHalf(slice)}`, `--mtu=${mtu}`];
    docker = await DockerHost.start(host, [...network, '--ip-forward=false', '--userland-proxy=false']);
    await docker.docker(['import', await buildImage(net.lab.dir), IMAGE]);
    const address = await docker.runContainer('masked');
    expect((await host.exec(['iptables-save', '-t', 'nat'])).stdout).toContain(
      `-A POSTROUTING -s ${slice} ! -o ${bridge} -j MASQUERADE`,
    );
    // What it does to FORWARD besides.
    await host.fanctl(['doctor', '--fix', '--json'], { anyExit: true });
    const capture = await Capture.start(net.container(2), 'eth0', join(net.lab.dir, 'seen.pcap'));
    const say = async (to: string) =>
      (await docker!.docker(['exec', 'masked', 'ping', '-c', '3', '-W', '5', to], { anyExit: true })).stdout;
    expect(await say(net.address(2))).toContain('3 packets received');
    await capture.stop();
    const sources = (await fields(capture.file, ['ip.src'], 'icmp.type==8')).map(([source]) => source);
    expect([...new Set(sources)]).toEqual([address]);
    expect(await ping(net.container(2), address)).toMatchObject({ received: 3 });
    expect(await troubles(host)).toEqual([]);
    // Without our chain it is as Docker wants it, and doctor says so.
    await host.exec(['nft', 'flush', 'chain', 'ip', 'ufan-fa001c00', 'keep']);
    expect(await failures(host)).toEqual(['overlay-nat', 'nat-rules-missing']);
    expect(await say('172.30.0.27')).toContain('3 packets received');
  });
});
