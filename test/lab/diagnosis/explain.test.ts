/** `fanctl explain` on real hosts: what it says of routes, neighbours and MTUs is what the kernel has. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ping } from '../../../bench/lab/ping.js';
import type { Explanation } from '../../../src/control/protocol.js';
import { FAN, FanLab, killFand } from '../fan-lab.js';

/** What keeps a packet from the fan, or from a container, and the verdict that says so; undone by `restore`. */
interface Stray {
  title: string;
  arrange: string;
  restore: string;
  words: string;
  verdict: string;
  why: RegExp;
  notes?: unknown[];
}

const [OUT, IN] = ['250.0.27.2 from 250.0.28.2', '250.0.28.2 from 250.0.27.2'];
const RULE = 'ip route add default via 172.30.0.99 table 77; ip rule add iif fan-250-0-28 table 77';
const NO_RULE = 'ip rule del iif fan-250-0-28; ip route flush table 77';
const NOT_FORWARDED = 'net.ipv4.ip_forward is 0: what comes in by fan-250-0-28 is not forwarded';

const NO_FILTER = 'nft delete table ip filter';
const dropAt = (hook: string, what: string) =>
  `nft 'table netdev fw { chain c { type filter hook ${hook} device eth0 priority 0; ${what} drop; }; }'`;

const OWN_IS_FINE = 'what this host itself sends there is not concerned';
const NAT = (chain: string) => `nft 'table ip fw { chain c { ${chain}; }; }'`;
const NO_NAT = 'nft delete table ip fw';

const STRAY: Stray[] = [
  {
    title: 'a route elsewhere, of what this host sends',
    arrange: 'ip route add 250.0.27.0/24 via 172.30.0.99',
    restore: 'ip route del 250.0.27.0/24',
    words: '250.0.27.2',
    verdict: 'route-overridden',
    why: /^250\.0\.27\.2, sent by this host, leads to eth0 instead of to tun-250-0-28: route 250\.0\.27\.0\/24 via 172\.30\.0\.99 dev eth0$/,
  },
  {
    title: 'a route elsewhere, of what a container sends',
    arrange: 'ip route add 250.0.27.0/24 via 172.30.0.99',
    restore: 'ip route del 250.0.27.0/24',
    words: OUT,
    verdict: 'route-overridden',
    why: /^250\.0\.27\.2, coming in by fan-250-0-28, leads to eth0/,
  },
  ...['blackhole', 'unreachable', 'prohibit', 'throw'].map((type) => ({
    title: `a ${type} route`,
    arrange: `ip route add ${type} 250.0.27.2`,
    restore: `ip route del ${type} 250.0.27.2`,
    words: OUT,
    verdict: 'route-overridden',
    why: new RegExp(`leads nowhere instead of to tun-250-0-28: route 250\\.0\\.27\\.2/32 \\(${type}\\)$`),
  })),
  {
    title: 'a policy rule that refuses',
    arrange: 'ip rule add to 250.0.27.2 prohibit',
    restore: 'ip rule del to 250.0.27.2 prohibit',
    words: '250.0.27.2',
    verdict: 'route-overridden',
    why: /leads nowhere .*: policy rule \d+ to 250\.0\.27\.2\/32 \(prohibit\)$/,
  },
  ...['prohibit', 'blackhole', 'unreachable'].map((action) => ({
    title: `a policy rule (${action}) that refuses what containers send`,
    arrange: `ip rule add from 250.0.28.0/24 to 250.0.0.0/8 ${action} priority 90`,
    restore: 'ip rule del priority 90',
    words: OUT,
    verdict: 'route-overridden',
    why: new RegExp(`leads nowhere .*: policy rule 90 from 250\\.0\\.28\\.0/24 to .* \\(${action}\\)$`),
  })),
  {
    title: 'a policy rule for what containers send',
    arrange: RULE,
    restore: NO_RULE,
    words: OUT,
    verdict: 'route-overridden',
    why: /leads to eth0 .*: route default via 172\.30\.0\.99 dev eth0, table 77$/,
  },
  {
    title: 'a policy rule for containers, and a note on what this host sends',
    arrange: RULE,
    restore: NO_RULE,
    words: '250.0.27.2',
    verdict: 'route-overridden',
    why: /^what containers send there: .* leads to eth0/,
    notes: [OWN_IS_FINE],
  },
  {
    title: 'no forwarding, out',
    arrange: 'sysctl -qw net.ipv4.ip_forward=0',
    restore: 'sysctl -qw net.ipv4.ip_forward=1',
    words: OUT,
    verdict: 'ip-forward-off',
    why: new RegExp(`^${NOT_FORWARDED}$`),
  },
  {
    title: 'no forwarding, in',
    arrange: 'sysctl -qw net.ipv4.conf.tun-250-0-28.forwarding=0',
    restore: 'sysctl -qw net.ipv4.conf.tun-250-0-28.forwarding=1',
    words: IN,
    verdict: 'ip-forward-off',
    why: /^forwarding of tun-250-0-28 is 0/,
  },
  {
    title: 'no forwarding matters not to what the host gets or sends, and a note says to whom',
    arrange: 'sysctl -qw net.ipv4.ip_forward=0',
    restore: 'sysctl -qw net.ipv4.ip_forward=1',
    words: '250.0.27.2 from 250.0.28.1',
    verdict: 'deliverable',
    why: /IP-in-IP/,
  },
  {
    title: 'a route that takes an address of our own slice',
    arrange: 'ip route add 250.0.28.9 via 172.30.0.99',
    restore: 'ip route del 250.0.28.9',
    words: '250.0.28.9',
    verdict: 'route-overridden',
    why: /leads to eth0 instead of to fan-250-0-28: route 250\.0\.28\.9 via/,
  },
  {
    title: 'the same for what comes in',
    arrange: 'ip route add blackhole 250.0.28.2',
    restore: 'ip route del blackhole 250.0.28.2',
    words: IN,
    verdict: 'route-overridden',
    why: /^250\.0\.28\.2, coming in by tun-250-0-28, leads nowhere instead of to fan-250-0-28/,
  },
  {
    title: 'a strict reverse-path filter, and the way back elsewhere',
    arrange:
      'ip route add 250.0.27.0/24 via 172.30.0.99; sysctl -qw net.ipv4.conf.tun-250-0-28.rp_filter=1 net.ipv4.conf.all.rp_filter=0',
    restore: 'ip route del 250.0.27.0/24; sysctl -qw net.ipv4.conf.tun-250-0-28.rp_filter=0',
    words: IN,
    verdict: 'route-overridden',
    why: /is dropped: rp_filter of tun-250-0-28 is strict, and the way back to 250\.0\.27\.2 leads to eth0$/,
  },
  {
    title: 'the route of the overlay gone',
    arrange: 'ip route del 250.0.0.0/8',
    restore: 'ip route add 250.0.0.0/8 dev tun-250-0-28 src 250.0.28.1 proto static',
    words: OUT,
    verdict: 'route-missing',
    why: /^no route 250\.0\.0\.0\/8 dev tun-250-0-28$/,
  },
  {
    title: 'the TUN down',
    arrange: 'ip link set tun-250-0-28 down',
    restore:
      'ip link set tun-250-0-28 up; ip route replace 250.0.0.0/8 dev tun-250-0-28 src 250.0.28.1 proto static',
    words: OUT,
    verdict: 'tun-changed',
    why: /^tun-250-0-28 is down$/,
  },
  {
    title: 'the bridge down',
    arrange: 'ip link set fan-250-0-28 down',
    restore: 'ip link set fan-250-0-28 up',
    words: IN,
    verdict: 'bridge-changed',
    why: /^fan-250-0-28 is down$/,
  },
  {
    title: 'a firewall that drops what is forwarded, out',
    arrange: 'iptables -P FORWARD DROP',
    restore: NO_FILTER,
    words: OUT,
    verdict: 'forward-drop',
    why: /^dropped by chain ip filter FORWARD \(policy drop\): packets from fan-250-0-28 to tun-250-0-28$/,
  },
  {
    title: 'a firewall that drops what is forwarded, in',
    arrange: 'iptables -A FORWARD -s 250.0.27.2 -j REJECT',
    restore: NO_FILTER,
    words: IN,
    verdict: 'forward-drop',
    why: /^dropped by chain ip filter FORWARD .*: packets from tun-250-0-28 to fan-250-0-28$/,
  },
  {
    title: 'the same without a sender, and a note says that it does not concern what this host sends',
    arrange: 'iptables -P FORWARD DROP',
    restore: NO_FILTER,
    words: '250.0.27.2',
    verdict: 'forward-drop',
    why: /^what containers send there: dropped by chain ip filter/,
    notes: [OWN_IS_FINE],
  },
  {
    title: 'a firewall that drops what comes from another address',
    arrange: 'iptables -A FORWARD -s 250.0.27.3 -j DROP; iptables -A FORWARD -d 250.0.28.0/28 -p 94 -j DROP',
    restore: NO_FILTER,
    words: IN,
    verdict: 'deliverable',
    why: /^a host address of our slice/,
  },
  {
    title: 'a firewall that drops one protocol, which is a note',
    arrange: 'iptables -A FORWARD -p tcp -j DROP',
    restore: NO_FILTER,
    words: OUT,
    verdict: 'deliverable',
    why: /IP-in-IP/,
    notes: [expect.stringMatching(/^forward-drop, dropped by .*: TCP from fan-250-0-28 to tun-250-0-28$/)],
  },
  {
    title: 'a masquerade that comes before ours',
    arrange: NAT('type nat hook postrouting priority 90; ip saddr 250.0.28.0/24 masquerade'),
    restore: NO_NAT,
    words: OUT,
    verdict: 'overlay-nat',
    why: /^250\.0\.27\.2 sees 250\.0\.28\.1 instead of 250\.0\.28\.2: rewritten by chain ip fw c \(rule handle \d+\)$/,
  },
  {
    title: 'the same without a sender',
    arrange: NAT('type nat hook postrouting priority 90; ip saddr 250.0.28.0/24 masquerade'),
    restore: NO_NAT,
    words: '250.0.27.2',
    verdict: 'overlay-nat',
    why: /^what containers send there: 250\.0\.27\.2 sees 250\.0\.28\.1 instead of 250\.0\.28\.2/,
    notes: [OWN_IS_FINE],
  },
  {
    title: 'a translated destination, coming in, by a map',
    arrange: NAT('type nat hook prerouting priority -100; dnat to ip daddr map { 250.0.28.2 : 250.0.28.9 }'),
    restore: NO_NAT,
    words: IN,
    verdict: 'overlay-nat',
    why: /^it goes to an address of a map instead of 250\.0\.28\.2: rewritten by/,
  },
  {
    title: 'a translated port, which is a note',
    arrange: NAT('type nat hook prerouting priority -100; tcp dport 80 redirect to :3128'),
    restore: NO_NAT,
    words: OUT,
    verdict: 'deliverable',
    why: /IP-in-IP/,
    notes: [
      expect.stringMatching(
        /^overlay-nat, perhaps it goes to this host instead of 250\.0\.27\.2: TCP rewritten/,
      ),
    ],
  },
  {
    title: 'a firewall that drops IP-in-IP to the host',
    arrange: dropAt('egress', 'ip protocol 4 ip daddr 172.30.0.27'),
    restore: 'nft delete table netdev fw',
    words: OUT,
    verdict: 'protocol-4-blocked',
    why: /^dropped by chain netdev fw c .*: protocol 4 from 172\.30\.0\.28 to 172\.30\.0\.27$/,
  },
  {
    title: 'a firewall that drops IP-in-IP to another host',
    arrange: dropAt('egress', 'ip protocol 4 ip daddr 172.30.0.99'),
    restore: 'nft delete table netdev fw',
    words: OUT,
    verdict: 'deliverable',
    why: /IP-in-IP/,
  },
  {
    title: 'a firewall that drops IP-in-IP from the host',
    arrange: dropAt('ingress', 'ip protocol 4 ip saddr 172.30.0.27'),
    restore: 'nft delete table netdev fw',
    words: IN,
    verdict: 'protocol-4-blocked',
    why: /^dropped by chain netdev fw c .*: protocol 4 from 172\.30\.0\.27 to 172\.30\.0\.28$/,
  },
  {
    title: 'no way to the underlay host',
    arrange: 'ip route add blackhole 172.30.0.27',
    restore: 'ip route del blackhole 172.30.0.27',
    words: OUT,
    verdict: 'underlay-unreachable',
    why: /^no route leads from 172\.30\.0\.28 to 172\.30\.0\.27$/,
  },
  {
    title: 'the underlay address gone',
    arrange: 'ip address del 172.30.0.28/16 dev eth0',
    restore: 'ip address add 172.30.0.28/16 broadcast + dev eth0',
    words: '172.30.0.27',
    verdict: 'address-changed',
    why: /^this host no longer has 172\.30\.0\.28$/,
  },
  {
    title: 'the underlay device down',
    arrange: 'ip link set eth0 down',
    restore: 'ip link set eth0 up',
    words: OUT,
    verdict: 'underlay-down',
    why: /^eth0 is down$/,
  },
];

let net: FanLab;

beforeAll(async () => {
  net = await FanLab.open({}, [...FAN, 'no-heal', 'io', 'packet']);
});
afterAll(() => net?.remove());

async function explain(...words: string[]): Promise<Explanation> {
  return JSON.parse((await net.host(1).fanctl(['explain', ...words, '--json'])).stdout) as Explanation;
}

describe('explain', () => {
  it('a container of the peer: verdict, routes, neighbour, every MTU', async () => {
    await ping(net.container(1), net.address(2), { count: 1 });
    const { stdout } = await net.host(2).exec(['cat', '/sys/class/net/eth0/address']);
    expect(await explain('250.0.27.2', 'from', '250.0.28.2')).toMatchObject({
      verdict: 'deliverable',
      host: '172.30.0.27',
      source: { verdict: 'deliverable' },
      here: {
        bridge: 'fan-250-0-28',
        tun: 'tun-250-0-28',
        state: 'up',
        io: 'packet',
        innerRoute: { device: 'tun-250-0-28', onLink: true },
        route: { device: 'eth0', source: '172.30.0.28', nextHop: '172.30.0.27', onLink: true, mtu: null },
        neighbour: { address: '172.30.0.27', mac: stdout.trim() },
        mtu: { containers: { least: 1480, most: 1480 }, bridge: 1480, tun: 1480, path: null, underlay: 1500 },
        notes: [],
      },
    });
  });

  it('a host without a neighbour entry, and one behind a router', async () => {
    expect((await explain('250.0.99.2')).here?.neighbour).toEqual({
      address: '172.30.0.99',
      state: 'NONE',
      mac: null,
    });
    await net.host(1).ip('route add 172.30.0.98 via 172.30.0.27 mtu 1400');
    expect((await explain('172.30.0.98')).here).toMatchObject({
      innerRoute: null,
      route: { nextHop: '172.30.0.27', onLink: false, mtu: 1400 },
    });
  });

  it('our own addresses, without a note', async () => {
    expect(await explain('250.0.28.2')).toMatchObject({
      verdict: 'to-ourselves',
      here: { innerRoute: { device: 'fan-250-0-28' }, route: null, notes: [] },
    });
    expect((await explain('172.30.0.28')).here?.notes).toEqual([]);
  });

  it('a port with another MTU', async () => {
    await net
      .host(1)
      .ip('link add odd mtu 1400 type veth peer name odd2', 'link set odd master fan-250-0-28');
    expect((await explain('250.0.30.2')).here?.mtu.containers).toEqual({ least: 1400, most: 1480 });
    await net.host(1).ip('link del odd');
  });

  it('by which device a sender comes in: the guard takes it or does not', async () => {
    const by = async (words: string) => {
      const { verdict, why } = await explain(...words.split(' '));
      return [verdict, why];
    };
    expect((await by(`${IN} by tun-250-0-28`))[0]).toBe('deliverable');
    expect(await by(`${IN} by eth0`)).toEqual([
      'overlay-source-astray',
      '250.0.27.2 is in 250.0.0.0/8, and comes in by eth0, neither fan-250-0-28 nor tun-250-0-28',
    ]);
    expect(await by('250.0.28.3 from 250.0.28.1 by fan-250-0-28')).toEqual([
      'bridge-source',
      '250.0.28.1 comes in by fan-250-0-28, where containers have 250.0.28.2 to 250.0.28.254',
    ]);
  });

  it.each(STRAY)('$title', async ({ arrange, restore, words, verdict, why, notes }) => {
    const sh = (script: string) => net.host(1).exec(['sh', '-c', script]);
    await sh(arrange);
    try {
      const found = await explain(...words.split(' '));
      expect(found).toMatchObject({ verdict, why: expect.stringMatching(why) });
      expect(found.here?.notes).toEqual(notes ?? []);
      const { stdout, code } = await net.host(1).fanctl(['explain', ...words.split(' ')]);
      expect(stdout).toContain(`  verdict   ${verdict}: ${found.why}\n`);
      expect(code).toBe(0);
    } finally {
      await sh(restore);
    }
    expect((await explain(...words.split(' '))).verdict).toMatch(/^(deliverable|to-ourselves)$/);
  });

  it('what stays on the bridge, and what does not come by here, is not routed', async () => {
    const bridged = await explain('250.0.28.2', 'from', '250.0.28.3');
    expect(bridged).toMatchObject({ verdict: 'to-ourselves', here: { innerRoute: null, notes: [] } });
    const foreign = await explain('250.0.27.2', 'from', '250.0.29.2');
    expect(foreign).toMatchObject({ verdict: 'source-not-ours', here: { innerRoute: null, notes: [] } });
  });

  it('in words, with the bits in a picture', async () => {
    const { stdout } = await net.host(1).fanctl(['explain', '250.0.27.2']);
    expect(stdout).toContain(
      [
        '  overlay   250.0.27.2      11111010 00000000 00011011 00000010',
        '                            oooooooo hhhhhhhh hhhhhhhh ssssssss',
        '                            h moves right by 8',
        '  underlay  172.30.0.27     10101100 00011110 00000000 00011011',
        '                            uuuuuuuu uuuuuuuu hhhhhhhh hhhhhhhh',
      ].join('\n'),
    );
    expect(stdout).toContain(
      '  mtu       containers 1480, bridge 1480, tun-250-0-28 1480, path nothing learnt, underlay 1500',
    );
  });

  it('of a fand that died says so', async () => {
    const words = ['explain', '250.0.27.2'];
    await killFand(net.host(2));
    const { stderr, code } = await net.host(2).fanctl(words, { anyExit: true });
    expect([stderr, code]).toEqual([
      'fanctl: fand is not running: bring fan-250-0-27 up again, or name a fan with --fan\n',
      1,
    ]);
  });
});
