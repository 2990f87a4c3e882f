/**
 * Egress NAT and the ICMP filter of a fan's own nftables table, with real packets.
 */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { awaitLinks } from '../../../bench/lab/links.js';
import { FAN, HostLab } from './host-lab.js';

const PYTHON = '/usr/bin/python3';

let lab: HostLab;
let host: string;
let peer: string;
let container: string;

beforeEach(async () => {
  lab = await HostLab.open();
  ({ host, peer } = await lab.hostAndPeer());
});

afterEach(() => lab.close());

async function upWithContainer(): Promise<void> {
  await lab.up(host, { dhcp: false });
  container = await lab.container(host, FAN.bridge, '250.0.28.2/24');
  await lab.run(container, 'ip', 'route', 'add', 'default', 'via', '250.0.28.1');
}

test('what leaves the overlay is masqueraded on the device that it leaves by', async () => {
  await upWithContainer();
  // The peer knows no way back to 250.0.28.2: it can answer to 172.30.0.28 only.
  expect(await lab.run(container, 'ping', '-c', '1', '-W', '2', '172.30.0.27')).toContain('1 received');
  expect(await lab.json(peer, 'ip', '-j', 'route', 'show', '250.0.0.0/8')).toEqual([]);
});

test('a second way out is masqueraded with its own address', async () => {
  await upWithContainer();
  await lab.run(
    host,
    'ip',
    'link',
    'add',
    'name',
    'eth1',
    'type',
    'veth',
    'peer',
    'name',
    'eth1',
    'netns',
    peer,
  );
  await lab.configure(host, 'eth1', '10.9.0.1/24');
  await lab.configure(peer, 'eth1', '10.9.0.2/24');
  await awaitLinks(host, 'eth1');
  await awaitLinks(peer, 'eth1');
  expect(await lab.run(container, 'ping', '-c', '1', '-W', '2', '10.9.0.2')).toContain('1 received');
});

test('overlay destinations keep the container as their source', async () => {
  await upWithContainer();
  expect(await lab.seenAtTun(host, container, '250.0.27.2')).toEqual(['250.0.28.2 250.0.27.2 1']);
});

const MASQUERADE = [
  ['iptables', '-t nat -A POSTROUTING -s 250.0.28.0/24 ! -o fan-250-0-28 -j MASQUERADE'],
  ['iptables', '-t nat -A POSTROUTING -j MASQUERADE --random-fully'],
  ['iptables', '-t nat -A POSTROUTING -o tun-250-0-28 -p icmp -j SNAT --to-source 172.30.0.28'],
  ['iptables-legacy', '-t nat -A POSTROUTING -s 250.0.28.0/24 ! -o fan-250-0-28 -j MASQUERADE'],
  [
    'nft',
    'table ip docker { chain c { type nat hook postrouting priority 100; ip saddr 250.0.28.0/24 masquerade random; }; }',
  ],
  [
    'nft',
    'table inet x { chain c { type nat hook postrouting priority 110; oifname != "lo" masquerade; }; }',
  ],
];

test.each(MASQUERADE)(
  'overlay destinations keep it before a NAT of others: %s %s',
  async (program, words) => {
    const argv = program === 'nft' ? [words!] : words!.split(' ');
    await lab.run(host, program!, ...argv);
    await upWithContainer();
    expect(await lab.seenAtTun(host, container, '250.0.27.2')).toEqual(['250.0.28.2 250.0.27.2 1']);
    expect(await lab.run(container, 'ping', '-c', '1', '-W', '2', '172.30.0.27')).toContain('1 received');
  },
);

test('what containers of other bridges send into the overlay still needs their NAT', async () => {
  await upWithContainer();
  await lab.run(host, 'ip', 'link', 'add', 'docker9', 'type', 'bridge');
  await lab.configure(host, 'docker9', '172.17.0.1/16');
  const other = await lab.container(host, 'docker9', '172.17.0.2/16');
  await lab.run(other, 'ip', 'route', 'add', 'default', 'via', '172.17.0.1');
  await lab.run(
    host,
    'iptables',
    ...'-t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker9 -j MASQUERADE'.split(' '),
  );
  expect(await lab.seenAtTun(host, other, '250.0.27.2')).toEqual(['250.0.28.1 250.0.27.2 1']);
});

test('the host itself speaks into the overlay with the gateway address', async () => {
  await upWithContainer();
  expect(await lab.seenAtTun(host, host, '250.0.27.2')).toEqual(['250.0.28.1 250.0.27.2 1']);
});

test('the kernel cannot tell peers "port unreachable" about protocol 4; about others it can', async () => {
  await lab.up(host, { dhcp: false });
  const send = `
import socket, struct, sys
quoted = bytes([0x45, 0, 0, 28]) + bytes(5) + bytes([int(sys.argv[1])]) + bytes(18)
body = bytes([3, int(sys.argv[2])]) + bytes(2) + bytes(4) + quoted
socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).sendto(body, ("172.30.0.27", 0))
`;
  const icmp = (protocol: number, code: number) =>
    lab.run(host, PYTHON, '-c', send, String(protocol), String(code));
  await expect(icmp(4, 3)).rejects.toThrow(/Operation not permitted/);
  await icmp(17, 3);
  await icmp(4, 4);
});
