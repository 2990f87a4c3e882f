/**
 * Tunnels of others that the guard leaves alone: of virtual machines on a bridge of the host that is theirs, which
 * br_netfilter shows to every rule, and those that leave by another address of the host for another network. What is routed
 * from that bridge into the fan's underlay it does stop.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { awaitLinks } from '../../../bench/lab/links.js';
import type { Namespace } from '../../../bench/lab/namespace.js';
import { REPOSITORY } from '../../../bench/lab/repository.js';
import { PROTOCOL_IPIP } from '../../../src/wire/ipv4.js';
import { packet } from '../../unit/dataplane/packets.js';
import { FAN, PYTHON, readCounters, until } from '../fan-lab.js';

const SEND = `${REPOSITORY}/test/lab/send-frames.py`;
const [MARKER, VXLAN] = [7777, 8472];
const BRIDGED = 'net/bridge/bridge-nf-call-iptables';
/** Counts what arrives. */
const SEEN = `table ip seen {
  counter tunnels { }
  counter markers { }
  chain c { type filter hook prerouting priority -400;
    ip protocol 4 counter name tunnels
    udp dport ${VXLAN} counter name tunnels
    udp dport ${MARKER} counter name markers; }
}`;

describe.each([
  ['IP-in-IP', []],
  ['VXLAN', ['vxlan']],
])('beside a fan over %s', (type, words) => {
  let lab: Lab;
  let host: Host;
  const machine = (index: number): Namespace => host.container(index);
  beforeAll(async () => {
    lab = await createLab({ hosts: 2, containers: 3 });
    host = lab.host(1);
    await host.fanctl(['up', ...FAN, 'no-heal', ...words]);
    await host.ip(
      'link add br1 type bridge',
      'link set br1 up',
      'link set c1 master br1 up',
      'link set c2 master br1 up',
      'link add br2 type bridge',
      'link set br2 up',
      'address add 10.30.0.1/24 dev br2',
      'link set c3 master br2 up',
      'address add 10.20.0.5/24 dev eth0',
    );
    await lab.host(2).ip('address add 10.20.0.6/24 dev eth0');
    for (const [index, address] of ['172.30.9.1/16', '172.30.9.2/16', '10.30.0.2/24'].entries()) {
      await machine(index + 1).ip('link set eth0 up', `address add ${address} dev eth0`);
    }
    await awaitLinks(host.name, 'c1', 'c2', 'c3');
    for (const device of ['all', 'br1', 'br2']) {
      await host.sysctl(`net/ipv4/conf/${device}/rp_filter`, 0);
      await host.sysctl(`net/ipv4/conf/${device}/forwarding`, 1);
    }
    await host.exec([
      'nft',
      'table ip out { chain c { type nat hook postrouting priority 100; ip saddr 10.30.0.0/24 masquerade; }; }',
    ]);
    for (const where of [machine(2), lab.host(2)]) await where.exec(['nft', SEEN]);
  });
  afterAll(() => lab?.remove());

  const macOf = async (where: Namespace, device: string): Promise<string> =>
    (await where.exec(['cat', `/sys/class/net/${device}/address`])).stdout.trim().replaceAll(':', '');
  const seen = async (where: Namespace, counter: string): Promise<number> => {
    const { stdout } = await where.exec(['nft', '-j', 'list', 'counter', 'ip', 'seen', counter]);
    const { nftables } = JSON.parse(stdout) as { nftables: { counter?: { packets: number } }[] };
    return nftables.find((each) => each.counter)!.counter!.packets;
  };
  const udp = (source: string, destination: string, port: number): Uint8Array => {
    const bytes = packet(source, destination);
    bytes.set([0, 9, port >> 8, port & 255, 0, 100, 0, 0], 20);
    return bytes;
  };
  const tunnel = (source: string, destination: string): Uint8Array =>
    type === 'VXLAN'
      ? udp(source, destination, VXLAN)
      : packet(source, destination, { protocol: PROTOCOL_IPIP });
  /** Sends a tunnel's packet, and a marker behind it; returns how many of the former came where the latter came. */
  async function arrivals(
    from: Namespace,
    mac: string,
    where: Namespace,
    source: string,
    destination: string,
  ): Promise<number> {
    const before = [await seen(where, 'tunnels'), await seen(where, 'markers')] as const;
    const frames = [tunnel(source, destination), udp(source, destination, MARKER)].map(
      (bytes) => `${mac}02666f7267650800${Buffer.from(bytes).toString('hex')}`,
    );
    await from.exec([PYTHON, SEND, 'eth0', ...frames]);
    await until(
      () => seen(where, 'markers'),
      (now) => now > before[1],
    );
    return (await seen(where, 'tunnels')) - before[0];
  }
  const astray = async (): Promise<number> => (await readCounters(host))['drop-tunnel-astray-packets']!;
  const forged = async (): Promise<number> =>
    arrivals(machine(1), await macOf(host, 'br1'), lab.host(2), '172.30.200.200', lab.host(2).address);

  it.each([0, 1])(
    'machines on a bridge have theirs, which is no way into the underlay (bridge-nf-call-iptables %i)',
    async (value) => {
      await host.sysctl(BRIDGED, value);
      const before = await astray();
      const mac = await macOf(machine(2), 'eth0');
      expect(await arrivals(machine(1), mac, machine(2), '172.30.9.1', '172.30.9.2')).toBe(1);
      expect(await forged()).toBe(0);
      expect(await astray()).toBe(before);
    },
  );

  it('what leaves by another address of the host for another network passes', async () => {
    const mac = await macOf(host, 'br2');
    expect(await arrivals(machine(3), mac, lab.host(2), '10.30.0.2', '10.20.0.6')).toBe(1);
    expect((await readCounters(host))['drop-container-tunnel-packets']).toBe(0);
  });

  it('without the guard the bridge is a way into the underlay', async () => {
    await host.exec(['nft', 'delete', 'table', 'ip', 'ufan-guard']);
    expect(await forged()).toBe(1);
  });
});
