/**
 * The flag `isolate`: nobody on a fan's bridge takes the MAC or the IPv4 address of a neighbour or of the gateway, and who
 * floods the bridge with MACs fills no table. What is legitimate passes as ever, and a port that leaves gives back what it had.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { containerAddress, raiseFan } from '../../../bench/lab/fan.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import type { Namespace } from '../../../bench/lab/namespace.js';
import { REPOSITORY } from '../../../bench/lab/repository.js';
import { parseAddress } from '../../../src/addr/ipv4-address.js';
import type { FanView } from '../../../src/control/protocol.js';
import { packet } from '../../unit/dataplane/packets.js';
import { FAN, PYTHON, readCounters, until } from '../fan-lab.js';

const SEND = join(REPOSITORY, 'test/lab/send-frames.py');
const [GATEWAY, BROADCAST] = ['250.0.28.1', 'ffffffffffff'];
const FLOOD = 2000;
/** fe80::2 and ff02::1. */
const [LINK_LOCAL, ALL_NODES] = [`fe80${'00'.repeat(13)}02`, `ff02${'00'.repeat(13)}01`];

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const mac = (text: string): string => text.trim().replaceAll(':', '');

/** "address is at": gratuitous ARP, RFC 826. */
function arp(frameFrom: string, says: string, address: string): string {
  const ip = parseAddress(address).toString(16).padStart(8, '0');
  return `${BROADCAST}${frameFrom}08060001080006040002${says}${ip}${BROADCAST}${ip}`;
}

describe.each(['raw', 'bpf'])('with io %s', (io) => {
  let lab: Lab;
  let view: FanView;
  let peer: string;
  let macs: string[];
  const container = (index: number): Namespace => lab.host(1).container(index);
  const address = (index: number): string => containerAddress(view, index);
  const ping = (from: Namespace, to: string) => from.exec(['ping', '-c', '2', '-i', '0.2', '-W', '5', to]);
  const macAt = async (where: Namespace, device: string): Promise<string> =>
    mac((await where.exec(['cat', `/sys/class/net/${device}/address`])).stdout);
  const dropped = async (reason: string): Promise<number> =>
    (await readCounters(lab.host(1)))[`drop-${reason}-packets`]!;
  /** Sends frames of container 1, all of which are dropped for `reason`. */
  async function refused(reason: string, ...frames: string[]): Promise<void> {
    const before = await dropped(reason);
    await container(1).exec([PYTHON, SEND, 'eth0', ...frames]);
    await until(
      () => dropped(reason),
      (now) => now === before + frames.length,
    );
  }
  const neighbours = async (where: Namespace): Promise<string> =>
    (await where.exec(['ip', '-4', 'neighbour', 'show'])).stdout;

  beforeAll(async () => {
    lab = await createLab({ hosts: 2, containers: 3 });
    ({ view } = await raiseFan(lab.host(1), [...FAN, 'isolate', '--io', io]));
    peer = containerAddress((await raiseFan(lab.host(2), [...FAN, '--io', io])).view, 1);
    macs = [await macAt(lab.host(1), view.bridge)];
    for (const index of [1, 2]) macs[index] = await macAt(container(index), 'eth0');
  });
  afterAll(() => lab?.remove());

  it('neighbours, the gateway and remote containers reach each other', async () => {
    for (const index of [1, 2]) await ping(container(index), peer);
    for (const to of [address(2), GATEWAY]) await ping(container(1), to);
    await ping(container(2), address(1));
    await ping(lab.host(1), address(1));
    expect([view.flags, view.io]).toEqual([`host-reserve 1 isolate io ${io}`, io]);
    expect(view.ioNotes.filter((note) => note.includes('chain'))).toEqual([]);
    expect([await dropped('neighbour-mac'), await dropped('neighbour-address')]).toEqual([0, 0]);
  });

  it("ARP in the gateway's name, or a neighbour's, is dropped", async () => {
    const own = macs[1]!;
    await refused('neighbour-address', arp(own, own, GATEWAY), arp(own, own, address(2)));
    await refused('neighbour-mac', arp(own, macs[0]!, GATEWAY), arp(own, macs[2]!, address(1)));
    await ping(container(2), GATEWAY);
    const known = (await neighbours(container(2))).replaceAll(':', '');
    expect(known).toMatch(new RegExp(`^${GATEWAY} .*lladdr ${macs[0]}`, 'm'));
  });

  it('packets with the address of a neighbour, the gateway, or a second one are dropped', async () => {
    const frame = (source: string, target: string, to: string) =>
      `${to}${macs[1]}0800${hex(packet(source, target))}`;
    await refused(
      'neighbour-address',
      frame(address(2), GATEWAY, macs[0]!),
      frame(GATEWAY, address(2), macs[2]!),
      frame(address(3), address(2), macs[2]!),
      frame('250.0.28.200', peer, macs[0]!),
      frame('8.8.8.8', address(2), macs[2]!),
    );
  });

  // A priority tag (VLAN 0) is of no VLAN: who gets the frame takes it off, and another one behind it.
  it('nor do they come in frames with VLAN tags', async () => {
    const own = macs[1]!;
    const tagged = (frame: string, ...tags: string[]) =>
      `${frame.slice(0, 24)}${tags.join('')}${frame.slice(24)}`;
    const claim = arp(own, own, GATEWAY);
    const forged = `${macs[2]}${own}0800${hex(packet(GATEWAY, address(2)))}`;
    await ping(container(2), GATEWAY);
    await refused(
      'neighbour-address',
      tagged(claim, '81000000'),
      tagged(claim, '88a80000'),
      tagged(claim, '81000000', '81000000'),
      tagged(forged, '81000000'),
    );
    const known = (await neighbours(container(2))).replaceAll(':', '');
    expect(known).toMatch(new RegExp(`^${GATEWAY} .*lladdr ${macs[0]}`, 'm'));
  });

  it('nobody but the host leases addresses, or says that it is a router', async () => {
    const own = macs[1]!;
    const offer = packet(address(1), '255.255.255.255');
    offer.set([0, 67, 0, 68], 20);
    // RFC 4861 §4.2, to all nodes; its hop limit is 255.
    const advert = `6000000000103aff${LINK_LOCAL}${ALL_NODES}86000000${'00'.repeat(12)}`;
    // RFC 4861 §4.5, and an answer of DHCPv6 (RFC 8415 §7.2), which are sent to one node.
    const redirect = `6000000000283aff${LINK_LOCAL}${LINK_LOCAL}89000000${'00'.repeat(36)}`;
    const reply = `60000000000c11ff${LINK_LOCAL}${LINK_LOCAL}02230222000c000007000000`;
    await refused(
      'neighbour-address',
      `${BROADCAST}${own}0800${hex(offer)}`,
      `333300000001${own}86dd${advert}`,
      `${macs[2]}${own}86dd${redirect}`,
      `${macs[2]}${own}86dd${reply}`,
    );
  });

  it("frames with the MAC of a neighbour or the gateway are dropped, and the bridge doesn't move", async () => {
    const frame = (from: string) => `${macs[0]}${from}0800${hex(packet(address(1), GATEWAY))}`;
    await refused('neighbour-mac', frame(macs[2]!), frame(macs[0]!));
    await ping(lab.host(1), address(2));
  });

  it('a flood of MACs fills no table', async () => {
    const frames = Array.from({ length: FLOOD }, (_, i) => {
      const from = `0200${i.toString(16).padStart(8, '0')}`;
      return `${BROADCAST}${from}88b5${'00'.repeat(46)}`;
    });
    await refused('neighbour-mac', ...frames);
    const { stdout } = await lab.host(1).exec(['bridge', '-j', 'fdb', 'show', 'br', view.bridge]);
    const learnt = (JSON.parse(stdout) as { mac: string }[]).filter((entry) => entry.mac.startsWith('02:00'));
    expect(learnt).toEqual([]);
  });

  it('a port that leaves gives its address back', async () => {
    const took = address(2);
    await container(2).ip('link set eth0 down', 'link delete eth0');
    const host = lab.host(1);
    await host.ip(
      `link add again type veth peer name eth0 netns ${container(2).name}`,
      `link set again master ${view.bridge} up`,
    );
    await container(2).ip(
      'link set eth0 up',
      `address add ${took}/24 dev eth0`,
      `route add default via ${GATEWAY}`,
    );
    await until(
      () => container(2).exec(['ping', '-c', '1', '-W', '1', peer], { anyExit: true }),
      ({ code }) => code === 0,
    );
    await ping(container(1), took);
  });

  it('rules that somebody flushed come back, and with down nothing is left', async () => {
    const host = lab.host(1);
    const tables = async () => (await host.exec(['nft', 'list', 'tables'])).stdout;
    await host.exec(['nft', 'delete', 'table', 'bridge', 'ufan-isolate-fa001c00']);
    await until(tables, (text) => text.includes('bridge ufan-isolate-fa001c00'));
    const before = await dropped('neighbour-address');
    await until(
      async () => {
        await container(1).exec([PYTHON, SEND, 'eth0', arp(macs[1]!, macs[1]!, GATEWAY)]);
        return dropped('neighbour-address');
      },
      (now) => now > before,
    );
    await host.fanctl(['down', '-e', '--force']);
    expect(await tables()).not.toContain('ufan-');
  });
});

it('isolate and foreign-sources exclude each other', async () => {
  const lab = await createLab({ hosts: 1 });
  try {
    const { code, stderr } = await lab
      .host(1)
      .fanctl(['up', ...FAN, 'isolate', 'foreign-sources'], { anyExit: true });
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/isolate and foreign-sources exclude each other/),
    ]);
  } finally {
    lab.remove();
  }
});
