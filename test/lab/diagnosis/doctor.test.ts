/**
 * `fanctl doctor` on hosts that are really broken: each set-up fails the check of its name, on the right host, and no
 * other. Hosts with nothing wrong are in doctor-healthy.test.ts, fans that are dead in doctor-fix.test.ts.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { raiseFan } from '../../../bench/lab/fan.js';
import { ping, UNANSWERED } from '../../../bench/lab/ping.js';
import { REPOSITORY } from '../../../bench/lab/repository.js';
import type { CheckResult } from '../../../src/control/protocol.js';
import { FAN, FanLab, PYTHON } from '../fan-lab.js';
import { diagnose, failures, named } from './doctor-lab.js';

const BRIDGE = 'fan-250-0-28';
const TUN = 'tun-250-0-28';
const FORGE = join(REPOSITORY, 'test/lab/forge.py');

/** A drop before the IP layer sees the packet. */
const AT_THE_DEVICE = `nft 'add table netdev d
  add chain netdev d in { type filter hook ingress device eth0 priority 0; }
  add rule netdev d in ip protocol 4 drop'`;

/** A strict filter, and a route to the other host that leads away from it. */
const OTHER_WAY_BACK = `ip link add away type veth peer name far; ip link set far up; ip link set away up
  ip route add 172.30.0.27/32 dev away; sysctl -qw net.ipv4.conf.eth0.rp_filter=1`;

let net: FanLab;

beforeAll(async () => {
  net = await FanLab.open({}, [...FAN, 'no-heal', 'io', 'raw']);
});

afterAll(() => net?.remove());

const broken = () => net.host(1);
const sh = (script: string) => broken().exec(['sh', '-ec', script]);

/** The one trouble of the host, while the other host has none. */
async function trouble(): Promise<CheckResult> {
  const [{ code, results }, others] = await Promise.all([diagnose(broken()), failures(net.host(2))]);
  expect(code).toBe(1);
  expect(others).toEqual([]);
  const failed = results.filter(({ status }) => status === 'fail');
  expect(named(results, 'fail')).toHaveLength(1);
  return failed[0]!;
}

/** A set-up: its name, what is done to the host, what undoes it, and what the evidence must say. */
interface SetUp {
  title: string;
  arrange: string;
  restore: string;
  evidence: RegExp;
  /** True: `--fix` mends it; what is restored then is what it leaves. */
  ours?: boolean;
  /** False: the command under it is for the operator to judge, or changes the fan. */
  mends?: false;
}

const SET_UPS: Readonly<Record<string, readonly SetUp[]>> = {
  'forward-drop': [
    {
      title: 'a policy',
      arrange: 'iptables -P FORWARD DROP',
      restore: 'nft delete table ip filter',
      evidence:
        /dropped by chain ip filter FORWARD \(policy drop\): packets from fan-250-0-28 to tun-250-0-28/,
      ours: true,
    },
    {
      title: 'one that lets answers pass',
      arrange: `iptables -P FORWARD DROP
        iptables -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
        iptables -A FORWARD -i docker0 -j ACCEPT`,
      restore: 'nft delete table ip filter',
      evidence: /policy drop/,
      ours: true,
    },
    {
      title: 'a rule of nftables behind a jump, for one protocol and one way',
      arrange: `nft 'add table inet fw; add chain inet fw only; add rule inet fw only ip daddr 250.0.0.0/8 reject
        add chain inet fw f { type filter hook forward priority 5; }
        add rule inet fw f iifname "fan-*" meta l4proto vmap { tcp : jump only, udp : accept }'`,
      restore: 'nft delete table inet fw',
      evidence: /dropped by chain inet fw only \(.*\): TCP from fan-250-0-28 to tun-250-0-28/,
      ours: true,
    },
    {
      title: 'the old iptables',
      arrange: `iptables-legacy -A FORWARD -i ${TUN} -j DROP`,
      restore: 'iptables-legacy -F; iptables-legacy -X',
      evidence: /by iptables-legacy chain FORWARD \(rule 1\): packets from tun-250-0-28 to fan-250-0-28/,
      ours: true,
    },
  ],
  'ip-forward-off': [
    {
      title: 'on the whole host',
      arrange: 'sysctl -qw net.ipv4.ip_forward=0',
      restore: 'sysctl -qw net.ipv4.ip_forward=1',
      evidence: /ip_forward is 0/,
      ours: true,
    },
    {
      title: 'on the bridge',
      arrange: `sysctl -qw net.ipv4.conf.${BRIDGE}.forwarding=0`,
      restore: `sysctl -qw net.ipv4.conf.${BRIDGE}.forwarding=1`,
      evidence: /forwarding of fan-250-0-28 is 0/,
      ours: true,
    },
  ],
  'container-mtu': [
    {
      title: 'a port of the bridge',
      arrange: 'ip link set c1 mtu 1500',
      restore: 'ip link set c1 mtu 1480',
      evidence: /port c1 has MTU 1500: above the 1480 of tun-250-0-28/,
    },
  ],
  'route-overridden': [
    {
      title: 'a more specific route',
      arrange: 'ip route add 250.0.27.0/24 dev eth0',
      restore: 'ip route del 250.0.27.0/24',
      evidence: /^250\.0\.27\.1 leads to eth0 instead of tun-250-0-28: route 250\.0\.27\.0\/24/,
    },
    {
      title: 'a blackhole',
      arrange: 'ip route add blackhole 250.0.27.9',
      restore: 'ip route del blackhole 250.0.27.9',
      evidence: /^250\.0\.27\.9 leads nowhere/,
    },
    {
      title: "an address of the host's own, in the slice of another",
      arrange: 'ip address add 250.0.27.9/32 dev eth0',
      restore: 'ip address del 250.0.27.9/32 dev eth0',
      evidence: /^250\.0\.27\.9 is an address of this host \(eth0\)/,
    },
    {
      title: 'a network that is all of the host itself',
      arrange: 'ip route add local 250.0.27.0/24 dev lo',
      restore: 'ip route del local 250.0.27.0/24 dev lo',
      evidence: /^250\.0\.27\.1 leads to lo instead of tun-250-0-28: route 250\.0\.27\.0\/24 \(lo\)/,
    },
    {
      title: 'a policy rule for what containers send',
      arrange: 'ip route add default dev eth0 table 77; ip rule add from 250.0.28.0/24 lookup 77',
      restore: 'ip rule del from 250.0.28.0/24; ip route flush table 77',
      evidence: /leads to eth0 instead of tun-250-0-28/,
      mends: false,
    },
    {
      title: 'a policy rule for what the host sends',
      arrange: 'ip route replace default dev eth0 table 77; ip rule add iif lo to 250.0.0.0/8 lookup 77',
      restore: 'ip rule del table 77; ip route flush table 77',
      evidence: /leads this host to eth0 instead of tun-250-0-28/,
    },
    ...(['prohibit', 'blackhole', 'unreachable'] as const).map((action) => ({
      title: `a policy rule of type ${action} for what containers send`,
      arrange: `ip rule add from 250.0.28.0/24 to 250.0.0.0/8 ${action} priority 90`,
      restore: 'ip rule del priority 90',
      evidence: new RegExp(
        `^250\\.0\\.28\\.2 to 250\\.0\\.27\\.255, coming in by fan-250-0-28, is refused: ` +
          `policy rule 90 from 250\\.0\\.28\\.0/24 to 250\\.0\\.0\\.0/8 \\(${action}\\)$`,
      ),
    })),
    {
      title: 'a policy rule that refuses one container what comes in',
      arrange: 'ip rule add to 250.0.28.9 iif tun-250-0-28 prohibit priority 90',
      restore: 'ip rule del priority 90',
      evidence:
        /to 250\.0\.28\.9, coming in by tun-250-0-28, is refused: policy rule 90 to 250\.0\.28\.9\/32/,
    },
    {
      title: 'another route in the place of ours',
      arrange: 'ip route replace 250.0.0.0/8 dev eth0',
      restore: 'ip route replace 250.0.0.0/8 dev tun-250-0-28 src 250.0.28.1 proto static',
      evidence: /leads to eth0 .*: route 250\.0\.0\.0\/8/,
      mends: false,
    },
  ],
  'address-changed': [
    {
      title: 'another address on the device',
      arrange: 'ip address del 172.30.0.28/16 dev eth0; ip address add 172.30.0.30/16 dev eth0',
      restore: 'ip address del 172.30.0.30/16 dev eth0; ip address add 172.30.0.28/16 broadcast + dev eth0',
      evidence: /was brought up with 172\.30\.0\.28, and eth0 has 172\.30\.0\.30/,
      mends: false,
    },
    {
      title: 'no address any more',
      arrange: 'ip address del 172.30.0.28/16 dev eth0',
      restore: 'ip address add 172.30.0.28/16 broadcast + dev eth0',
      evidence: /eth0 has no address/,
      mends: false,
    },
  ],
  'protocol-4-blocked': [
    {
      title: 'by INPUT',
      arrange: 'iptables -A INPUT -p 4 -j DROP',
      restore: 'nft delete table ip filter',
      evidence: /by chain ip filter INPUT .*: protocol 4 from 172\.30\.0\.0\/16 to 172\.30\.0\.28/,
      ours: true,
    },
    {
      title: 'at the device',
      arrange: AT_THE_DEVICE,
      restore: 'nft delete table netdev d',
      evidence: /dropped by chain netdev d in/,
    },
    {
      title: 'by OUTPUT',
      arrange: `nft 'add table inet o
        add chain inet o out { type filter hook output priority 0; }
        add rule inet o out oifname "eth0" ip protocol != { icmp, tcp, udp } drop'`,
      restore: 'nft delete table inet o',
      evidence: /by chain inet o out .*: protocol 4 from 172\.30\.0\.28 to 172\.30\.0\.0\/16/,
    },
    {
      title: 'by a policy that lets 94 pass, which is called ipip and is not',
      arrange: `nft 'add table inet p
        add chain inet p in { type filter hook input priority 0; policy drop; }
        add rule inet p in ip protocol { 94, icmp, tcp, udp } accept'`,
      restore: 'nft delete table inet p',
      evidence: /by chain inet p in .*: protocol 4 from 172\.30\.0\.0\/16 to 172\.30\.0\.28/,
      ours: true,
    },
  ],
  'nat-rules-missing': [
    {
      title: 'its table deleted',
      arrange: 'nft delete table ip ufan-fa001c00',
      restore: 'true',
      evidence: /table ip ufan-fa001c00 lacks everything/,
      ours: true,
    },
    {
      title: 'a flushed chain',
      arrange: 'nft flush chain ip ufan-fa001c00 postrouting',
      restore: 'true',
      evidence: /lacks 2 of 2 rules of postrouting/,
      ours: true,
    },
    {
      title: 'a flushed chain that another leads to',
      arrange: 'nft flush chain ip ufan-fa001c00 announced',
      restore: 'true',
      evidence: /lacks 2 of 2 rules of announced/,
      ours: true,
    },
  ],
  'guard-missing': [
    {
      title: 'its table deleted',
      arrange: 'nft delete table ip ufan-guard',
      restore: 'true',
      evidence: /table ip ufan-guard lacks everything: it is gone of fan-250-0-28/,
      ours: true,
    },
    {
      title: 'a flushed chain',
      arrange: 'nft flush chain ip ufan-guard elsewhere',
      restore: 'true',
      evidence: /lacks (\d+) of \1 rules of elsewhere/,
      ours: true,
    },
    {
      title: 'a flushed chain of the fan alone',
      arrange: 'nft flush chain ip ufan-guard outer-fa001c00',
      restore: 'true',
      evidence: /lacks 5 of 5 rules of outer-fa001c00/,
      ours: true,
    },
    {
      title: 'a device taken out',
      arrange: `nft 'delete element ip ufan-guard arrivals { "${BRIDGE}" }'`,
      restore: 'true',
      evidence: /lacks device fan-250-0-28/,
      ours: true,
    },
  ],
  'bridge-changed': [
    {
      title: 'its MTU and address',
      arrange: `ip link set ${BRIDGE} mtu 1400; ip address del 250.0.28.1/24 dev ${BRIDGE}`,
      restore: 'true',
      evidence: /MTU 1400 instead of 1480, without 250\.0\.28\.1/,
      ours: true,
    },
  ],
  'tun-changed': [
    {
      title: 'it is down',
      arrange: `ip link set ${TUN} down`,
      restore: 'true',
      evidence: /tun-250-0-28: is down/,
      ours: true,
    },
  ],
  'route-missing': [
    {
      title: 'the route to the TUN',
      arrange: 'ip route del 250.0.0.0/8',
      restore: 'true',
      evidence: /no route 250\.0\.0\.0\/8 dev tun-250-0-28/,
      ours: true,
    },
  ],
  'underlay-mtu-changed': [
    {
      title: 'less than a fan needs',
      arrange: 'ip link set eth0 mtu 500',
      restore: 'ip link set eth0 mtu 1500',
      evidence: /eth0 has MTU 500, fan-250-0-28 is made for 1500 and needs at least 576/,
    },
  ],
  'underlay-down': [
    {
      title: 'the device',
      arrange: 'ip link set eth0 down',
      restore: 'ip link set eth0 up',
      evidence: /eth0 is down/,
    },
    {
      title: 'the device has another name',
      arrange: 'ip link set dev eth0 name lan0',
      restore: 'ip link set dev lan0 name eth0',
      evidence: /no device eth0 any more: 172\.30\.0\.28 is on lan0$/,
    },
  ],
};

describe.each(Object.entries(SET_UPS))('%s', (name, setUps) => {
  it.each(setUps)('$title', async ({ arrange, restore, evidence, ours, mends }) => {
    await sh(arrange);
    try {
      const found = await trouble();
      expect(found).toMatchObject({ check: name, status: 'fail', evidence: expect.stringMatching(evidence) });
      expect(found.fix).not.toBe('');
      if (!ours && mends !== false) {
        await sh(found.fix);
        expect(await failures(broken())).toEqual([]);
        await sh(arrange);
      }
      if (ours) {
        expect(await failures(broken(), '--fix')).toEqual([]);
        expect(await ping(net.container(1), net.address(2))).toMatchObject({ received: 3 });
      }
    } finally {
      await sh(restore);
      // What a failed expectation left is not the next one's trouble.
      if (ours) await diagnose(broken(), '--fix');
    }
    expect(await failures(broken())).toEqual([]);
  });
});

describe('underlay-down', () => {
  it('a device with another name, which the fan is to go by', async () => {
    await sh('ip link set dev eth0 name lan0');
    try {
      const [, renew = ''] = (await trouble()).fix.split(' # or: ');
      expect(renew).toMatch(/^fanctl down .* eth0\/16; fanctl up .* lan0\/16 .*io raw$/);
      for (const command of renew.split('; ')) {
        const words = command.split(' ').slice(1);
        // Its containers are on the bridge still, which is for the operator to allow.
        await broken().fanctl(words[0] === 'down' ? [...words, '--force'] : words);
      }
      expect(await failures(broken())).toEqual([]);
    } finally {
      await broken().fanctl(['down', '-e', '--force']);
      await sh('ip link set dev lan0 name eth0');
      await raiseFan(broken(), [...FAN, 'no-heal', 'io', 'raw']);
    }
    expect(await ping(net.container(1), net.address(2))).toMatchObject({ received: 3 });
  });
});

describe('rp-filter', () => {
  it('a strict one, where the way back is another', async () => {
    await sh(OTHER_WAY_BACK);
    try {
      expect(await ping(net.container(2), net.address(1), UNANSWERED)).toMatchObject({ received: 0 });
      const found = await trouble();
      expect(found).toMatchObject({ check: 'rp-filter', severity: 'critical', direction: 'in' });
      expect(found.evidence).toMatch(/the way back to 172\.30\.0\.27 is away .*: [1-9]\d* packets/);
      expect(await failures(broken(), '--fix')).toEqual([]);
      expect((await sh('cat /proc/sys/net/ipv4/conf/eth0/rp_filter')).stdout).toBe('2\n');
    } finally {
      await sh('ip link del away; sysctl -qw net.ipv4.conf.eth0.rp_filter=0');
    }
  });
});

describe.each(['packet', 'bpf'])('io %s', (io) => {
  it('is beside INPUT, and behind what its device drops', async () => {
    await broken().fanctl(['down', '-e', '--force']);
    await raiseFan(broken(), [...FAN, 'no-heal', 'io', io]);
    const talk = (options = {}) => ping(net.container(1), net.address(2), options);
    try {
      await sh('iptables -A INPUT -p 4 -j DROP');
      expect(await talk()).toMatchObject({ received: 3 });
      expect(await failures(broken())).toEqual([]);
      await sh(AT_THE_DEVICE);
      expect(await talk(UNANSWERED)).toMatchObject({ received: 0 });
      expect(await failures(broken())).toEqual(['protocol-4-blocked']);
      await sh('nft delete table netdev d');
      await sh(OTHER_WAY_BACK);
      await ping(net.container(2), net.address(1), UNANSWERED);
      expect(await trouble()).toMatchObject({ check: 'rp-filter', severity: 'major' });
    } finally {
      await sh(`nft delete table ip filter; ip link del away; sysctl -qw net.ipv4.conf.eth0.rp_filter=0`);
      await broken().fanctl(['down', '-e', '--force']);
      await raiseFan(broken(), [...FAN, 'no-heal', 'io', 'raw']);
    }
  });
});

describe('container-mtu', () => {
  it("the container's end alone", async () => {
    await net.container(1).ip('link set eth0 mtu 1500');
    const found = await trouble();
    await net.container(1).ip('link set eth0 mtu 1480');
    expect(found).toMatchObject({ check: 'container-mtu', severity: 'major' });
    expect(found.evidence).toContain(`eth0 of ${net.container(1).name} has MTU 1500`);
    expect(found.fix).toContain(`ip netns exec ${net.container(1).name} ip link set dev eth0 mtu 1480`);
  });
});

describe('duplicate-mac', () => {
  it('a container with the address of the bridge', async () => {
    const read = async () =>
      (await net.container(1).exec(['cat', '/sys/class/net/eth0/address'])).stdout.trim();
    const before = await read();
    await net.container(1).ip('link set eth0 address 02:fa:fa:00:1c:01');
    const found = await trouble();
    await net.container(1).ip(`link set eth0 address ${before}`);
    expect(found).toMatchObject({ check: 'duplicate-mac' });
    expect(found.evidence).toContain(BRIDGE);
  });
});

describe('forged-source', () => {
  it('names who sends', async () => {
    const forger = net.host(2).spawn([PYTHON, FORGE, '172.30.0.28', '250.0.99.2', '250.0.28.2']);
    try {
      await forger.prints(/ready/);
      const found = await trouble();
      expect(found).toMatchObject({ check: 'forged-source', direction: 'in' });
      expect(found.evidence).toMatch(/[1-9]\d* just now, .* the last one from 172\.30\.0\.27/);
      await forger.stop();
      const { code, results } = await diagnose(broken());
      expect(code).toBe(0);
      expect(named(results, 'warn')).toEqual(['forged-source']);
    } finally {
      await forger.stop();
    }
  });
});
