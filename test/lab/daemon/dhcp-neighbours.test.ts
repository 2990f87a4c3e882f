/**
 * `fanctl up … dhcp` where a resolver of the host has port 53 of every address, and by a fand that may not look into other
 * processes, as a service without CAP_SYS_PTRACE.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { raiseFan } from '../../../bench/lab/fan.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import type { Namespace } from '../../../bench/lab/namespace.js';
import { failures, troubles } from '../diagnosis/doctor-lab.js';
import { FAN, PYTHON } from '../fan-lab.js';

const BRIDGE = 'fan-250-0-28';
const GATEWAY = '250.0.28.1';
/** Asks the server for the address of a name, by UDP, and prints it. */
const ASK = `
import socket, struct, sys
name = b"".join(bytes([len(part)]) + part.encode() for part in sys.argv[2].split(".")) + b"\\0"
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10)
s.sendto(struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + name + struct.pack(">2H", 1, 1), (sys.argv[1], 53))
print(socket.inet_ntoa(s.recv(512)[-4:]))
`;

let lab: Lab;

afterEach(() => lab?.remove());

async function lease(client: Namespace): Promise<Record<string, string>> {
  const hook = join(lab.dir, 'hook');
  const act = 'ip address replace "$ip/$mask" dev "$interface"; env';
  writeFileSync(hook, `#!/bin/sh\n[ "$1" = bound ] || exit 0\n${act}\n`, { mode: 0o755 });
  const ask = ['-n', '-q', '-f', '-t', '20', '-T', '1'];
  const { stdout } = await client.exec(['udhcpc', '-i', 'eth0', '-s', hook, ...ask]);
  return Object.fromEntries(stdout.split('\n').map((line) => line.split('=', 2)));
}

it('a resolver on 0.0.0.0:53 keeps DNS, and the fan has DHCP', async () => {
  lab = await createLab({ hosts: 1 });
  const [host, client] = [lab.host(1), lab.host(1).container(1)];
  const serve = ['--keep-in-foreground', '--no-resolv', '--no-hosts', '--address=/fan.test/192.0.2.7'];
  const resolver = host.spawn(['dnsmasq', '--conf-file=/dev/null', '--pid-file', ...serve]);
  await expect
    .poll(async () => (await host.exec(['ss', '-Hlun', 'sport = :53'])).stdout)
    .toContain('0.0.0.0:53');
  const { stdout, stderr } = await host.fanctl(['up', ...FAN, 'dhcp', 'no-heal']);
  expect(stdout.trim()).toBe(BRIDGE);
  expect(stderr).toBe(
    `fanctl: note: port 53 of ${GATEWAY} is another program's: containers get DNS from that one, if it answers them\n`,
  );
  await client.attach({ bridge: BRIDGE, mtu: 1480 });
  expect(await lease(client)).toMatchObject({ router: GATEWAY, dns: GATEWAY });
  const answer = async () => (await client.exec([PYTHON, '-c', ASK, GATEWAY, 'fan.test'])).stdout.trim();
  expect(await answer()).toBe('192.0.2.7');
  expect(await troubles(host)).toEqual([]);
  await resolver.stop();
  expect(await failures(host)).toEqual(['dhcp-dead']);
  expect(await failures(host, '--fix')).toEqual([]);
  expect((await host.exec(['ss', '-Hlun', 'sport = :53'])).stdout).toContain(`${GATEWAY}:53`);
  await host.fanctl(['down', '-e', '--force']);
  expect((await host.exec(['ss', '-Hlun'])).stdout).toBe('');
});

it('a fand without CAP_SYS_PTRACE finds its dnsmasq, and ends it', async () => {
  lab = await createLab({ hosts: 1 });
  const [host, client] = [lab.host(1), lab.host(1).container(1)];
  const without = ['setpriv', '--bounding-set=-sys_ptrace', '--inh-caps=-sys_ptrace'];
  await raiseFan(host, [...FAN, 'dhcp'], without);
  expect(await lease(client)).toMatchObject({ router: GATEWAY });
  const pid = readFileSync(join(host.dir, `dnsmasq-${BRIDGE}.pid`), 'utf8').trim();
  await expect(host.exec([...without, 'readlink', `/proc/${pid}/ns/net`])).rejects.toThrow();
  // The same `up` again, which adopts it.
  await host.exec(['kill', '-9', readFileSync(join(host.dir, 'fand.pid'), 'utf8').trim()]);
  await raiseFan(host, [...FAN, 'dhcp'], without);
  expect(readFileSync(join(host.dir, `dnsmasq-${BRIDGE}.pid`), 'utf8').trim()).toBe(pid);
  await host.fanctl(['down', '-e', '--force']);
  expect((await host.exec(['ss', '-Hlun'])).stdout).toBe('');
});
