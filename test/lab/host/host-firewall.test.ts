/**
 * The firewall step against real firewalls: iptables with Docker's chains, ufw's and firewalld's shape, the old
 * iptables. Rules come where packets would be dropped, iptables can read them, and they go again.
 */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FAN, HostLab } from './host-lab.js';

const COMMENT = `ufan ${FAN.bridge}`;
const FORWARD_RULES = [
  `-i ${FAN.bridge} -o ${FAN.tun} -m comment --comment "${COMMENT}" -j ACCEPT`,
  `-i ${FAN.tun} -o ${FAN.bridge} -m comment --comment "${COMMENT}" -j ACCEPT`,
];

let lab: HostLab;
let host: string;

beforeEach(async () => {
  lab = await HostLab.open();
  ({ host } = await lab.hostAndPeer());
});

afterEach(() => lab.close());

const sh = (script: string) => lab.run(host, 'sh', '-ec', script);

const DOCKER = `
  iptables -P FORWARD DROP; iptables -P INPUT DROP
  iptables -N DOCKER-USER; iptables -A DOCKER-USER -j RETURN
  iptables -A FORWARD -j DOCKER-USER; iptables -A FORWARD -o docker0 -j REJECT`;

async function rules(command: string, chain: string): Promise<string[]> {
  const lines = (await lab.run(host, command, '-S', chain)).trim().split('\n');
  return lines.filter((line) => line.startsWith('-A')).map((line) => line.slice(`-A ${chain} `.length));
}

test('no rule where nothing drops', async () => {
  await sh('iptables -A FORWARD -j ACCEPT; iptables -A INPUT -p tcp -j ACCEPT');
  await lab.up(host);
  expect(await rules('iptables', 'FORWARD')).toEqual(['-j ACCEPT']);
  expect(await rules('iptables', 'INPUT')).toEqual(['-p tcp -j ACCEPT']);
});

test('Docker: rules in FORWARD, DOCKER-USER and INPUT, readable by iptables, gone after down', async () => {
  await sh(DOCKER);
  const before = await lab.snapshot(host);
  const records = await lab.up(host);
  expect((await rules('iptables', 'FORWARD')).slice(0, 2).sort()).toEqual(FORWARD_RULES);
  expect((await rules('iptables', 'DOCKER-USER')).sort()).toEqual(['-j RETURN', ...FORWARD_RULES].sort());
  expect((await rules('iptables', 'INPUT')).sort()).toEqual(
    [
      `-s 172.30.0.0/16 -d 172.30.0.28/32 -i eth0 -p ipencap -m comment --comment "${COMMENT}" -j ACCEPT`,
      `-s 172.30.0.0/16 -d 172.30.0.28/32 -i eth0 -p udp -m udp --dport 8326 -m comment --comment "${COMMENT}" -j ACCEPT`,
      `-i ${FAN.bridge} -p udp -m udp --dport 67 -m comment --comment "${COMMENT}" -j ACCEPT`,
      `-i ${FAN.bridge} -p udp -m udp --dport 53 -m comment --comment "${COMMENT}" -j ACCEPT`,
      `-i ${FAN.bridge} -p tcp -m tcp --dport 53 -m comment --comment "${COMMENT}" -j ACCEPT`,
    ].sort(),
  );
  expect(await lab.run(host, 'iptables-save')).not.toContain('incompatible');
  expect(await lab.down(host, records)).toEqual([]);
  expect(await lab.snapshot(host)).toEqual(before);
});

test('applying twice leaves one copy, and down bears a flushed firewall', async () => {
  await sh(DOCKER);
  const records = await lab.up(host);
  await lab.call(host, 'reapply', records);
  expect(await rules('iptables', 'DOCKER-USER')).toHaveLength(3);
  await sh('nft flush ruleset');
  expect(await lab.down(host, records)).toEqual([]);
  expect(await lab.run(host, 'nft', 'list', 'ruleset')).toBe('');
});

test('a packet passes a FORWARD that drops', async () => {
  await sh(DOCKER);
  await lab.up(host, { dhcp: false });
  const container = await lab.container(host, FAN.bridge, '250.0.28.2/24');
  await lab.run(container, 'ip', 'route', 'add', 'default', 'via', '250.0.28.1');
  expect(await lab.seenAtTun(host, container, '250.0.27.2')).toContain('250.0.28.2 250.0.27.2 1');
});

test('chains as firewalld has them: inet, accept by policy, reject behind jumps', async () => {
  await sh(`nft -f - <<'END'
table inet firewalld {
  chain filter_FORWARD { type filter hook forward priority 10; policy accept; jump zones; }
  chain zones { goto zone_public; }
  chain zone_public { reject with icmpx type admin-prohibited; }
  chain filter_INPUT { type filter hook input priority 10; policy accept; ct state established accept; drop; }
  chain filter_OUTPUT { type filter hook output priority 10; policy accept; drop; }
}
END`);
  const before = await lab.snapshot(host);
  const records = await lab.up(host);
  const forward = await lab.run(host, 'nft', 'list', 'chain', 'inet', 'firewalld', 'filter_FORWARD');
  expect(forward).toMatch(/iifname "tun-250-0-28" oifname "fan-250-0-28" .*accept.*jump zones/s);
  const input = await lab.run(host, 'nft', 'list', 'chain', 'inet', 'firewalld', 'filter_INPUT');
  expect(input).toMatch(/ip saddr 172.30.0.0\/16 ip daddr 172.30.0.28 ip protocol ipencap .*accept/);
  expect(await lab.run(host, 'nft', 'list', 'chain', 'inet', 'firewalld', 'filter_OUTPUT')).not.toContain(
    'ufan',
  );
  await lab.down(host, records);
  expect(await lab.snapshot(host)).toEqual(before);
});

test('two fans have rules of their own', async () => {
  await sh(DOCKER);
  const first = await lab.up(host);
  await lab.up(host, { overlay: '240.0.0.0/8', bridge: 'fan-240-0-28', tun: 'tun-240-0-28', host: false });
  await lab.down(host, first.slice(1));
  const left = await rules('iptables', 'DOCKER-USER');
  expect(left).toHaveLength(3);
  expect(left[0]).toContain('ufan fan-240-0-28');
  await lab.down(host, first.slice(0, 1));
});

test('the old iptables, where this namespace uses it', async () => {
  await sh('iptables-legacy -P FORWARD DROP; iptables-legacy -A INPUT -p 4 -j DROP');
  const records = await lab.up(host);
  await lab.call(host, 'reapply', records);
  expect((await rules('iptables-legacy', 'FORWARD')).sort()).toEqual(FORWARD_RULES);
  expect(await rules('iptables-legacy', 'INPUT')).toHaveLength(6);
  expect(await lab.down(host, records)).toEqual([]);
  expect(await rules('iptables-legacy', 'FORWARD')).toEqual([]);
  expect(await rules('iptables-legacy', 'INPUT')).toEqual(['-p ipencap -j DROP']);
});
