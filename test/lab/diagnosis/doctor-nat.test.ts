/**
 * `fanctl doctor` and `probe` where NAT of others meets the fan's packets: what comes after the fan's own chain changes
 * nothing and is no finding, what comes before it or translates destinations is named, and the remedy shown helps. What
 * the peer's container really sees is asked of its socket.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { CheckResult } from '../../../src/control/protocol.js';
import { FAN, FanLab, PYTHON } from '../fan-lab.js';
import { diagnose, failures, troubles } from './doctor-lab.js';

const [BRIDGE, TUN] = ['fan-250-0-28', 'tun-250-0-28'];
const nat = (hook: string, ...rules: string[]) =>
  `nft 'table ip other { set s { type ipv4_addr; flags interval; elements = { 250.0.28.0/25, 250.0.28.128/25 }; }; map m { type ipv4_addr : ipv4_addr; elements = { 250.0.27.2 : 250.0.27.3 }; }; chain c { type nat hook ${hook}; ${rules.join('; ')}; }; }'`;

/** A datagram from container 1 to container 2 of the other host: its source as it arrives. */
const RECEIVE = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("0.0.0.0", 9008)); s.settimeout(30)
print("ready", flush=True); print("from", s.recvfrom(100)[1][0], flush=True)
`;
const SEND = `
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(20): s.sendto(b"x", ("250.0.27.2", 9008)); time.sleep(0.1)
`;

let net: FanLab;

beforeAll(async () => {
  net = await FanLab.open({}, [...FAN, 'no-heal']);
});

afterEach(() =>
  sh(
    'for t in "ip other" "ip nat"; do nft delete table $t 2>&- || :; done; iptables-legacy -t nat -F 2>&- || :',
  ),
);

afterAll(() => net?.remove());

const host = () => net.host(1);
const sh = (script: string) => host().exec(['sh', '-ec', script]);

async function seenSource(): Promise<string> {
  const server = net.container(2).spawn([PYTHON, '-c', RECEIVE]);
  const client = net.container(1);
  try {
    await server.prints(/ready/);
    const sending = client.exec([PYTHON, '-c', SEND]);
    const { stdout } = await server.finish();
    await sending;
    return /from (.*)/.exec(stdout)?.[1] ?? '';
  } finally {
    await server.stop();
  }
}

async function probeTroubles(): Promise<CheckResult[]> {
  const { code, stdout } = await host().fanctl(['probe', '250.0.27.2', '--json'], { anyExit: true });
  const bad = (JSON.parse(stdout) as CheckResult[]).filter(({ status }) => status !== 'ok');
  expect(code).toBe(bad.some(({ status }) => status === 'fail') ? 1 : 0);
  return bad;
}

describe('no finding, as the source stays', () => {
  it.each([
    ["Docker's rule", `iptables -t nat -A POSTROUTING -s 250.0.28.0/24 ! -o ${BRIDGE} -j MASQUERADE`],
    [
      "Docker's rule, old iptables",
      `iptables-legacy -t nat -A POSTROUTING -s 250.0.28.0/24 ! -o ${BRIDGE} -j MASQUERADE`,
    ],
    ['a masquerade of everything', 'iptables -t nat -A POSTROUTING -j MASQUERADE --random-fully'],
    ['a set of sources', nat('postrouting priority 100', 'ip saddr @s masquerade fully-random')],
    [
      'a chain of ours in front of nothing',
      nat('postrouting priority 90', 'ip saddr 250.0.28.0/24 ip daddr != 250.0.0.0/8 masquerade'),
    ],
  ])('%s', async (_, arrange) => {
    await sh(arrange);
    expect(await seenSource()).toBe('250.0.28.2');
    expect(await troubles(host())).toEqual([]);
    expect(await probeTroubles()).toEqual([]);
  });

  it("Docker's published ports, which are for addresses of this host", async () => {
    await sh(`iptables -t nat -N DOCKER; iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER;
      iptables -t nat -A DOCKER ! -i ${BRIDGE} -p udp --dport 9008 -j DNAT --to-destination 250.0.28.2:80;
      iptables -t nat -A POSTROUTING -s 250.0.28.2/32 -d 250.0.28.2/32 -p tcp --dport 80 -j MASQUERADE`);
    expect(await seenSource()).toBe('250.0.28.2');
    expect(await troubles(host())).toEqual([]);
  });
});

describe('overlay-nat', () => {
  it.each<[string, string, RegExp]>([
    [
      'a chain that is asked before ours',
      nat('postrouting priority 98', 'ip saddr @s masquerade'),
      /^rewritten by chain ip other c \(rule handle \d+\): packets from fan-250-0-28 to tun-250-0-28 have 250\.0\.28\.1 as their source$/,
    ],
    [
      'an address of its own for everybody',
      nat('postrouting priority 0', `oifname "${TUN}" snat to 250.0.28.77`),
      /have 250\.0\.28\.77 as their source$/,
    ],
  ])('%s', async (_, arrange, evidence) => {
    await sh(arrange);
    expect(await seenSource()).toMatch(/^250\.0\.28\.(1|77)$/);
    const found = await troubles(host());
    expect(found).toMatchObject([
      {
        check: 'overlay-nat',
        status: 'fail',
        severity: 'major',
        direction: 'out',
        evidence: expect.stringMatching(evidence),
      },
    ]);
    expect(await probeTroubles()).toMatchObject([{ check: 'overlay-nat', status: 'fail', direction: 'out' }]);
    await sh(found[0]!.fix);
    expect(await seenSource()).toBe('250.0.28.2');
    expect(await troubles(host())).toEqual([]);
  });

  it("Docker's rule, where the fan's own table was flushed", async () => {
    await sh(
      `iptables -t nat -A POSTROUTING -s 250.0.28.0/24 ! -o ${BRIDGE} -j MASQUERADE; nft flush chain ip ufan-fa001c00 keep`,
    );
    expect(await seenSource()).toBe('250.0.28.1');
    expect(await failures(host())).toEqual(['overlay-nat', 'nat-rules-missing']);
    expect(await failures(host(), '--fix')).toEqual([]);
    expect(await seenSource()).toBe('250.0.28.2');
  });

  it('destinations: of all, and of some, which may be meant', async () => {
    await sh(`iptables-legacy -t nat -A PREROUTING -i ${TUN} -j DNAT --to-destination 250.0.28.9`);
    expect(await troubles(host())).toMatchObject([
      {
        check: 'overlay-nat',
        status: 'fail',
        direction: 'in',
        evidence: expect.stringContaining('go to 250.0.28.9 instead'),
      },
    ]);
    await sh('iptables-legacy -t nat -F');
    await sh(nat('prerouting priority dstnat', 'dnat to ip daddr map @m'));
    const { results } = await diagnose(host());
    expect(results.filter(({ status }) => status !== 'ok')).toMatchObject([
      {
        check: 'overlay-nat',
        status: 'warn',
        evidence: expect.stringContaining('perhaps rewritten by chain ip other c'),
      },
    ]);
    // Of the one that is probed it is sure.
    expect(await probeTroubles()).toMatchObject([{ check: 'overlay-nat', status: 'fail' }]);
  });
});

describe('probe where the firewall of this host cuts its containers off', () => {
  const PACKETS = 'nft list chain ip count c';
  it('fails as doctor does, and sends nothing', async () => {
    await sh(`nft 'table inet fw { chain forward { type filter hook forward priority 0; policy drop; }; }'`);
    await sh(
      `nft 'table ip count { chain c { type filter hook output priority 0; ip daddr 172.30.0.27 counter; }; }'`,
    );
    try {
      const found = await probeTroubles();
      expect(found).toMatchObject([
        {
          check: 'forward-drop',
          status: 'fail',
          severity: 'critical',
          evidence: expect.stringContaining('inet fw forward (policy drop)'),
        },
      ]);
      expect(await failures(host())).toEqual(['forward-drop']);
      const { stdout } = await host().fanctl(['explain', '250.0.27.2']);
      expect(stdout.split('\n').slice(0, 2).join(' ')).toMatch(/verdict +forward-drop/);
      expect((await sh(PACKETS)).stdout).toContain('counter packets 0 bytes 0');
    } finally {
      await sh('nft delete table inet fw; nft delete table ip count');
    }
    expect(await probeTroubles()).toEqual([]);
  });

  it('fails for a peer that it shuts out', async () => {
    await sh(
      `nft 'table inet fw { chain forward { type filter hook forward priority 0; ip daddr 250.0.27.0/24 drop; }; }'`,
    );
    try {
      expect(await probeTroubles()).toMatchObject([
        { check: 'forward-drop', status: 'fail', direction: 'out' },
      ]);
    } finally {
      await sh('nft delete table inet fw');
    }
  });
});
