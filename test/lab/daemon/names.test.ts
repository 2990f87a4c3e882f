/**
 * `fanctl up … dhcp dns` on two hosts, of each shape of the fan: containers find those of the other host by name and by
 * address, asked as programs ask, by the gateway that DHCP told them; and whoever may not ask is not answered.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { showFans } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import type { Namespace } from '../../../bench/lab/namespace.js';
import { failures } from '../diagnosis/doctor-lab.js';
import { FAN, fandPid, killFand, PYTHON, until } from '../fan-lab.js';

const HOOK = `#!/bin/sh
[ "$1" = bound ] || exit 0
ip address add "$ip/$mask" dev "$interface"
ip link set "$interface" mtu "$mtu"
ip route add default via "$router"
env
`;
/** Asks the server of its first word; prints the answers as JSON, or the code of the error. */
const ASK = `
const { promises: { Resolver } } = require('node:dns');
const [server, type, name] = process.argv.slice(1);
const resolver = new Resolver({ timeout: 4000, tries: 1 });
resolver.setServers([server]);
resolver.resolve(name, type).then((said) => console.log(JSON.stringify(said)), (error) => console.log(error.code));
`;

/** What each host's fan has beside. */
const KINDS: [title: string, words: string[][]][] = [
  ['IP-in-IP', [[], []]],
  ['VXLAN, a routed host and one of layer 2', [['vxlan'], ['vxlan', 'layer2']]],
];

describe.each(KINDS)('%s', (_, words) => {
  const up = (i: number): string[] => ['up', ...FAN, 'dhcp', 'dns', ...words[i]!];
  let lab: Lab;
  const addresses: string[] = [];

  beforeAll(async () => {
    lab = await createLab({ containers: 1 });
    writeFileSync(join(lab.dir, 'hook'), HOOK, { mode: 0o755 });
    // A firewall that lets nothing in but answers, as ufw's does.
    await lab
      .host(2)
      .exec([
        'nft',
        'add table ip strict; add chain ip strict in { type filter hook input priority 0; policy drop; }; add rule ip strict in ct state established accept; add rule ip strict in iifname lo accept',
      ]);
    for (const [i, host] of lab.hosts.entries()) await host.fanctl(up(i));
    for (const [i, host] of lab.hosts.entries()) {
      const { bridge = '' } = (await showFans(host))[0] ?? {};
      await host.container(1).attach({ bridge, mtu: 1500 });
      addresses.push((await lease(host.container(1), `web${i + 1}`)).ip ?? '');
    }
  });

  afterAll(() => lab?.remove());

  async function lease(client: Namespace, name: string): Promise<Record<string, string>> {
    const ask = ['-n', '-q', '-f', '-t', '20', '-T', '1', '-O', 'mtu', '-x', `hostname:${name}`];
    const { stdout } = await client.exec(['udhcpc', '-i', 'eth0', '-s', join(lab.dir, 'hook'), ...ask]);
    return Object.fromEntries(stdout.split('\n').map((line) => line.split('=', 2)));
  }

  const GATEWAYS = ['250.0.28.1', '250.0.27.1'];

  /** What a container, or a host, hears from a server. */
  async function ask(asker: Namespace | Host, server: string, type: string, name: string): Promise<unknown> {
    const said = (await asker.exec([process.execPath, '-e', ASK, server, type, name])).stdout.trim();
    return said.startsWith('[') ? JSON.parse(said) : said;
  }

  const near = (type: string, name: string) => ask(lab.host(1).container(1), GATEWAYS[0]!, type, name);

  it('DHCP tells the domain', async () => {
    const { domain } = await lease(lab.host(1).container(1), 'web1').catch(() => ({ domain: undefined }));
    expect(domain).toBe('fan');
  });

  it('a name with its slice is asked of the host that owns it, with or without packets before', async () => {
    expect(await near('A', 'web2.250-0-27.fan')).toEqual([addresses[1]]);
    expect(await near('A', 'web1.250-0-28.fan')).toEqual([addresses[0]]);
    expect(await near('A', 'web1.250-0-27.fan')).toBe('ENOTFOUND');
  });

  it('a bare name is asked of the hosts that are known', async () => {
    expect(await near('A', 'web2.fan')).toEqual([addresses[1]]);
    expect(await near('A', 'WEB2')).toEqual([addresses[1]]);
    expect(await near('A', 'web1.fan')).toEqual([addresses[0]]);
    expect(await near('A', 'nobody.fan')).toBe('ENOTFOUND');
    // There, without an IPv6 address.
    expect(await near('AAAA', 'web2.fan')).toBe('ENODATA');
  });

  it('an address of any host has its name', async () => {
    expect(await near('PTR', `${addresses[1]!.split('.').reverse().join('.')}.in-addr.arpa`)).toEqual([
      'web2.250-0-27.fan',
    ]);
    expect(await near('PTR', `${addresses[0]!.split('.').reverse().join('.')}.in-addr.arpa`)).toEqual([
      'web1.fan',
    ]);
    expect(await near('PTR', '99.27.0.250.in-addr.arpa')).toBe('ENOTFOUND');
  });

  it('a host that is not there is named by no answer, soon', async () => {
    expect(await near('A', 'web.250-0-99.fan')).toMatch(/ESERVFAIL|ETIMEOUT|ECONNREFUSED|EREFUSED/);
  });

  it('containers, hosts beside the fan and other ports are not answered', async () => {
    const forge = async (
      asker: Namespace | Host,
      from: string,
      port: number,
      to: string,
    ): Promise<string> => {
      const program = `
  const [from, port, to] = process.argv.slice(1);
  const socket = require('node:dgram').createSocket('udp4');
  const question = Buffer.from('000700000001000000000000047765623203' + '66616e' + '00' + '00010001', 'hex');
  socket.on('message', () => { console.log('answered'); process.exit(); });
  socket.on('error', (error) => { console.log(error.code); process.exit(); });
  socket.bind({ address: from, port: Number(port) }, () => {
    socket.send(question, 8327, to);
    setTimeout(() => { console.log('nothing'); process.exit(); }, 1000);
  });`;
      return (await asker.exec([process.execPath, '-e', program, from, `${port}`, to])).stdout.trim();
    };
    const [one, two] = [lab.host(1), lab.host(2)];
    // Its own program at the gateway is answered: so the question is a good one.
    expect(await forge(two, GATEWAYS[1]!, 0, GATEWAYS[1]!)).toBe('answered');
    const before = await straying(two);
    expect(await forge(two.container(1), addresses[1]!, 8327, GATEWAYS[1]!)).toBe('nothing');
    expect(await forge(one.container(1), addresses[0]!, 8327, GATEWAYS[1]!)).toBe('nothing');
    expect(await forge(one, GATEWAYS[0]!, 5353, GATEWAYS[1]!)).toBe('nothing');
    await until(
      () => straying(two),
      (now) => now >= before + 3,
    );
  });

  async function straying(host: Host): Promise<number> {
    const { fans } = JSON.parse((await host.fanctl(['stats', '--json'])).stdout);
    return fans[0].counters['drop-service-astray-packets'];
  }

  it('names are there again after fand is', async () => {
    await killFand(lab.host(2));
    await lab.host(2).fanctl(up(1));
    await until(
      () => near('A', 'web2.250-0-27.fan'),
      (said) => String(said) === addresses[1],
    );
  });

  it('names go on where one fand hands over to the next: its own, and what it asks of others', async () => {
    for (const host of lab.hosts) {
      const before = fandPid(host);
      const { pid } = JSON.parse((await host.fanctl(['restart', '--json'])).stdout);
      expect(pid).not.toBe(before);
      expect(fandPid(host)).toBe(pid);
      for (const name of ['web2.250-0-27.fan', 'web2.fan']) {
        await until(
          () => near('A', name),
          (said) => String(said) === addresses[1],
        );
      }
      expect(await failures(host)).toEqual([]);
    }
  });

  it('doctor says where fand does not answer', async () => {
    const host = lab.host(2);
    expect(await failures(host)).toEqual([]);
    const hold = "s = __import__('socket').socket(type=2); s.bind(('', 8327)); __import__('time').sleep(600)";
    await killFand(host);
    const other = host.spawn([PYTHON, '-c', hold]);
    await until(
      async () => (await host.exec(['ss', '-Hlun', 'sport = :8327'])).stdout,
      (said) => said.includes('0.0.0.0:8327'),
    );
    await host.fanctl(up(1));
    expect(await failures(host)).toEqual(['names-dead']);
    await other.stop();
    await host.fanctl(['restart']);
    await until(
      () => failures(host),
      (found) => found.length === 0,
    );
  });
});

it.each([
  ['dns', 'dns needs dhcp, or leases: the names are'],
  ['dhcp dns leases /x', 'leases: with dhcp the names are those of its own leases; leave it out'],
  ['leases /x', 'leases: they are for dns, which is not there; leave it out, or add dns'],
])('%s is refused', async (words, error) => {
  const lab = await createLab({ hosts: 1, containers: 0 });
  try {
    await expect(lab.host(1).fanctl(['up', ...FAN, ...words.split(' ')])).rejects.toThrow(error);
  } finally {
    lab.remove();
  }
});
