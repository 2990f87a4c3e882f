/**
 * `fanctl doctor` where a firewall drops the fan's packets at any of the hooks that they pass, in each io: it fails where
 * they are lost and only there. What really happens is asked by ping in each set-up.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { raiseFan } from '../../../bench/lab/fan.js';
import { ping, UNANSWERED } from '../../../bench/lab/ping.js';
import { FAN, FanLab } from '../fan-lab.js';
import { diagnose, failures, troubles } from './doctor-lab.js';

const BRIDGE = 'fan-250-0-28';
const TUN = 'tun-250-0-28';

/** What Docker adds since 28, for each container of a bridge. */
const dockerOf = (address: string, bridge: string) =>
  `iptables -t raw -A PREROUTING -d ${address}/32 ! -i ${bridge} -j DROP`;
const chain = (hook: string, ...rules: string[]) =>
  `nft 'table inet fw { chain c { type filter hook ${hook}; ${rules.join('; ')}; }; }'`;
const atDevice = (hook: string, device: string, rule: string) =>
  `nft 'table netdev fw { chain c { type filter hook ${hook} device ${device} priority 0; ${rule}; }; }'`;
const withSet = (rule: string, elements: string) =>
  `nft 'table ip fw { set s { type ipv4_addr; flags interval; elements = { ${elements} }; }; chain c { type filter hook forward priority 0; ${rule}; }; }'`;

let net: FanLab;

beforeAll(async () => {
  net = await FanLab.open({}, [...FAN, 'no-heal', 'io', 'raw']);
});

afterEach(() =>
  sh('for t in "inet fw" "ip fw" "netdev fw" "ip raw" "ip filter"; do nft delete table $t 2>&- || :; done'),
);

afterAll(() => net?.remove());

const broken = () => net.host(1);
const sh = (script: string) => broken().exec(['sh', '-ec', script]);
const talk = (options = {}) => ping(net.container(1), net.address(2), options);

describe('forward-drop: what passes between bridge and TUN is dropped', () => {
  it.each<[string, string, 'in' | 'out', RegExp]>([
    [
      "by Docker's rule for the address of a container",
      dockerOf('250.0.28.2', BRIDGE),
      'in',
      /dropped by chain ip raw PREROUTING \(.*\): packets from tun-250-0-28 to 250\.0\.28\.2$/,
    ],
    [
      'before it is routed',
      chain('prerouting priority 0', `iifname "${TUN}" drop`),
      'in',
      /inet fw c .*packets/,
    ],
    [
      'as invalid, before connection tracking has seen it',
      chain('prerouting priority -300', `iifname "${BRIDGE}" ct state invalid drop`),
      'out',
      /inet fw c/,
    ],
    ['after it is routed', chain('postrouting priority 0', `oifname "${TUN}" drop`), 'out', /inet fw c/],
    ['as it comes out of the TUN', atDevice('ingress', TUN, 'drop'), 'in', /netdev fw c/],
    [
      'as it goes into the TUN',
      atDevice('egress', TUN, 'ip protocol icmp drop'),
      'out',
      /netdev fw c.*: ICMP from/,
    ],
    [
      'by a named set',
      withSet('oifname "tun-*" ip daddr @s drop', '10.0.0.0/8, 250.0.0.0-250.127.255.255, 250.128.0.0/9'),
      'out',
      /ip fw c .*: packets from fan-250-0-28 to tun-250-0-28/,
    ],
    [
      'by the old iptables',
      `iptables-legacy -t raw -A PREROUTING -i ${TUN} -j DROP`,
      'in',
      /-t raw chain PREROUTING/,
    ],
  ])('%s', async (_, arrange, direction, evidence) => {
    await sh(arrange);
    expect(await talk(UNANSWERED)).toMatchObject({ received: 0 });
    const found = await troubles(broken());
    expect(found).toMatchObject([
      { check: 'forward-drop', status: 'fail', direction, evidence: expect.stringMatching(evidence) },
    ]);
    expect(await failures(net.host(2))).toEqual([]);
    await sh(found[0]!.fix === 'fanctl doctor --fix' ? 'true' : found[0]!.fix);
    expect(await failures(broken(), '--fix')).toEqual([]);
    expect(await talk()).toMatchObject({ received: 3 });
    await sh('iptables-legacy -t raw -F 2>&- || :');
  });

  it.each([
    ["Docker's rule for a container of its own bridge", dockerOf('172.17.0.2', 'docker0')],
    [
      "Docker's rule for a port of the loopback",
      'iptables -t raw -A PREROUTING -d 127.0.0.1/32 ! -i lo -p tcp --dport 80 -j DROP',
    ],
    ['a set without an address of the overlay', withSet('ip daddr @s drop', '10.0.0.0/8, 251.0.0.1')],
    ['a set that lets the overlay pass', withSet('ip saddr != @s drop', '250.0.0.0/8')],
    [
      'a set of senders with a limit',
      chain('prerouting priority 0', 'meter m { ip saddr limit rate over 900/second } drop'),
    ],
  ])('no alarm: %s', async (_, arrange) => {
    await sh(arrange);
    expect(await talk()).toMatchObject({ received: 3 });
    expect(await troubles(broken())).toEqual([]);
  });

  it('warns where a rule shuts some addresses out, which may be meant', async () => {
    await sh(withSet('ip daddr @s drop', '250.0.30.0/24, 250.0.31.7'));
    expect(await talk()).toMatchObject({ received: 3 });
    expect(await troubles(broken())).toMatchObject([
      {
        check: 'forward-drop',
        status: 'warn',
        evidence: expect.stringMatching(/packets from fan-250-0-28 to 250\.0\.30\.0\/24, 250\.0\.31\.7$/),
      },
    ]);
  });
});

describe('dhcp-blocked', () => {
  it.each([
    ['requests, before INPUT', chain('prerouting priority 0', 'udp dport 67 drop'), /requests/],
    [
      'answers',
      chain('output priority 0; policy drop', 'udp sport 53 accept', 'ip protocol 4 accept'),
      /answers/,
    ],
  ])('%s', async (_, arrange, evidence) => {
    await broken().fanctl(['down', '-e', '--force']);
    await raiseFan(broken(), [...FAN, 'no-heal', 'io', 'raw', 'dhcp']);
    await sh(arrange);
    const { results } = await diagnose(broken());
    expect(results.filter(({ status }) => status === 'fail')).toMatchObject([
      { check: 'dhcp-blocked', evidence: expect.stringMatching(evidence) },
    ]);
    await broken().fanctl(['down', '-e', '--force']);
    await raiseFan(broken(), [...FAN, 'no-heal', 'io', 'raw']);
  });
});

describe('protocol-4-blocked where the io passes by the rule', () => {
  const OUTPUT = 'iptables -A OUTPUT -p 4 -j DROP';
  const EGRESS = atDevice('egress', 'eth0', 'ip protocol 4 drop');

  afterAll(async () => {
    await broken().fanctl(['down', '-e', '--force']);
    await raiseFan(broken(), [...FAN, 'no-heal', 'io', 'raw']);
  });

  it.each([
    ['bpf', 'OUTPUT', OUTPUT, 'warn', 3, /the kernel program leaves to fand/],
    ['bpf', 'egress', EGRESS, 'fail', 0, /netdev fw c/],
    ['packet', 'OUTPUT', OUTPUT, 'fail', 0, /has no neighbour for/],
    ['packet', 'egress', EGRESS, 'fail', 0, /netdev fw c/],
    ['raw', 'egress', EGRESS, 'fail', 0, /netdev fw c/],
  ] as const)('io %s, %s', async (io, _, arrange, status, received, evidence) => {
    await broken().fanctl(['down', '-e', '--force']);
    await raiseFan(broken(), [...FAN, 'no-heal', 'io', io]);
    await sh(`${arrange}; ip neigh flush dev eth0`);
    expect(await talk(received === 0 ? UNANSWERED : {})).toMatchObject({ received });
    expect(await troubles(broken())).toMatchObject([
      { check: 'protocol-4-blocked', status, direction: 'out', evidence: expect.stringMatching(evidence) },
    ]);
  });
});
