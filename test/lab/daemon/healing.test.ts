/**
 * What somebody takes away from a fan while two containers talk, fand puts back by itself: each event under a ping and two
 * TCP streams, one each way, that are compared byte for byte, and `down` leaves nothing of it. What it may not put back, or can't, `show`
 * calls degraded, for the reason that doctor names.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunningCommand } from '../../../bench/lab/command.js';
import { attachContainers } from '../../../bench/lab/fan.js';
import { ping } from '../../../bench/lab/ping.js';
import { listens } from '../../../bench/lab/transfer.js';
import { FandClient } from '../../../src/control/client.js';
import { type FanView, runPaths } from '../../../src/control/protocol.js';
import { FAN, FanLab, readCounters, tunReads, until } from '../fan-lab.js';

const BRIDGE = 'fan-250-0-28';
const TUN = 'tun-250-0-28';
const TABLE = 'ufan-fa001c00';
const PORT = 9000;
/** 64 kB twenty times a second, until told to end; what is sent is kept. */
const SENDER = `while [ ! -e "$2" ]; do head -c 65536 /dev/urandom | tee -a "$3"; sleep 0.05; done | nc -n -N "$0" "$1"`;

let net: FanLab;
let count = 0;

const host = () => net.host(1);
const sh = (script: string) => host().exec(['sh', '-ec', script]);
const log = () => readFileSync(join(host().dir, 'fand.log'), 'utf8');
/** As fand says, without a fanctl that takes its time to start. */
const view = async (): Promise<FanView> => (await new FandClient(runPaths(host().dir)).fans())[0]!;
const isAnswered = async () =>
  (await ping(net.container(1), net.address(2), { count: 1, timeoutMs: 300 })).received === 1;

interface Stream {
  /** Ends it; whether what arrived is what was sent. */
  finish(): Promise<void>;
}

/** From the container of host `from` to the other one's. */
async function startStream(from: number): Promise<Stream> {
  const to = 3 - from;
  count += 1;
  const port = PORT + count;
  const file = (name: string) => join(net.lab.dir, `${name}-${count}`);
  const [sent, received, end] = [file('sent'), file('received'), file('end')];
  const listener = net.container(to).spawn(['sh', '-c', 'exec nc -n -l "$0" > "$1"', `${port}`, received]);
  await listens(net.container(to), port);
  const sender: RunningCommand = net
    .container(from)
    .spawn(['sh', '-c', SENDER, net.address(to), `${port}`, end, sent]);
  await until(
    async () => (await host().exec(['stat', '-c', '%s', received])).stdout,
    (size) => Number(size) > 0,
  );
  return {
    finish: async () => {
      await host().exec(['touch', end]);
      await sender.finish();
      await listener.finish();
      const { stdout } = await host().exec(['sha256sum', sent, received]);
      const [one, other] = stdout.split('\n').map((line) => line.slice(0, 64));
      expect(other).toBe(one);
      await host().exec(['rm', sent, received]);
    },
  };
}

/** Until packets pass, nothing is amiss, and `probe` prints what it must. */
async function expectHealed(probe: string, expected: RegExp): Promise<void> {
  await until(isAnswered, (passes) => passes);
  await until(
    async () => (await host().exec(['sh', '-c', probe])).stdout,
    (text) => expected.test(text),
  );
  await until(view, ({ state }) => state === 'up');
  expect(await view()).toMatchObject({ health: [] });
}

async function expectNothingLeft(): Promise<void> {
  await host().fanctl(['down', '-e', '--force']);
  const { stdout } = await sh('ip -o link; ip route show table all; nft list ruleset; ip rule');
  expect(stdout).not.toMatch(/(fan|tun)-250|table ip ufan-|alias ufan|"ufan/);
}

/** Packets that went out, from the first on. */
async function carried(): Promise<number> {
  return (await readCounters(host()))['encap-tx-packets']!;
}

/** Another eth0 in the place of the host's, on the same wire with the same address. */
async function remakeUnderlay(): Promise<void> {
  await sh('ip link del eth0');
  await net.lab.wire.ip(
    `link add h1 type veth peer name eth0 netns ${host().name}`,
    'link set h1 master underlay up',
  );
  await host().ip('link set eth0 up', `address add ${host().underlay} broadcast + dev eth0`);
}

/** A name, what is done, and what shows that it is undone. */
const EVENTS: readonly (readonly [string, string, string, RegExp])[] = [
  ['the overlay route is deleted', 'ip route del 250.0.0.0/8', 'ip route', /^250\.0\.0\.0\/8 dev tun-/m],
  [
    'the main table is flushed, and the underlay put back',
    'ip route flush table main; ip route add 172.30.0.0/16 dev eth0 src 172.30.0.28',
    'ip route',
    /^250\.0\.0\.0\/8 dev tun-[\s\S]*^250\.0\.28\.0\/24 dev fan-/m,
  ],
  [
    'another route takes the place of ours',
    'ip route replace 250.0.0.0/8 dev eth0',
    'ip route get 250.0.27.2',
    /dev tun-/,
  ],
  ['the TUN is down', `ip link set ${TUN} down`, `ip route; ip link show ${TUN}`, /^250.*[\s\S]*,UP/m],
  [
    'the TUN flaps',
    `ip link set ${TUN} down; ip link set ${TUN} up`,
    'ip route',
    /^250\.0\.0\.0\/8 dev tun-/m,
  ],
  ['the TUN has another MTU', `ip link set ${TUN} mtu 1300`, `ip link show ${TUN}`, /mtu 1480/],
  ['the TUN is deleted', `ip link del ${TUN}`, 'ip route', /^250\.0\.0\.0\/8 dev tun-/m],
  ['the bridge is down', `ip link set ${BRIDGE} down`, `ip link show ${BRIDGE}`, /,UP/],
  [
    'the bridge loses its address',
    `ip address del 250.0.28.1/24 dev ${BRIDGE}`,
    `ip address show ${BRIDGE}`,
    /250\.0\.28\.1\/24/,
  ],
  ['the bridge has another MTU', `ip link set ${BRIDGE} mtu 1300`, `ip link show ${BRIDGE}`, /mtu 1480/],
  [
    'the bridge has another MAC',
    `ip link set ${BRIDGE} address 02:00:00:00:00:77`,
    `ip link show ${BRIDGE}`,
    /02:fa:fa:00:1c:01/,
  ],
  ['the bridge is deleted', `ip link del ${BRIDGE}`, `ip link show master ${BRIDGE}`, /c1/],
  ['nftables is flushed', 'nft flush ruleset', 'nft list ruleset', new RegExp(`table ip ${TABLE}`)],
  [
    'a firewall comes whose policy is to drop',
    'iptables -P FORWARD DROP; iptables -A FORWARD -i docker0 -j ACCEPT',
    'iptables -S FORWARD',
    /ufan fan-250/,
  ],
  [
    'that firewall is loaded anew',
    'iptables -F FORWARD; iptables -A FORWARD -j REJECT',
    'iptables -S FORWARD',
    /ufan fan-250/,
  ],
  ['and is gone', 'nft delete table ip filter', 'true', /^/],
  ['forwarding is off', 'sysctl -qw net.ipv4.ip_forward=0', 'sysctl net.ipv4.ip_forward', /= 1/],
  [
    'forwarding of the bridge is off',
    `sysctl -qw net.ipv4.conf.${BRIDGE}.forwarding=0`,
    `sysctl net.ipv4.conf.${BRIDGE}.forwarding`,
    /= 1/,
  ],
  ['the underlay device flaps', 'ip link set eth0 down; sleep 0.3; ip link set eth0 up', 'true', /^/],
  [
    'the underlay device has another name',
    'ip link set eth0 name lan0',
    'cat $UFAN_RUN_DIR/state.json',
    /"underlayDevice": "lan0"/,
  ],
  [
    'and its first name again',
    'ip link set lan0 name eth0',
    'cat $UFAN_RUN_DIR/state.json',
    /"underlayDevice": "eth0"/,
  ],
];

describe.each(['bpf', 'raw'])('io %s', (io) => {
  beforeAll(async () => {
    net = await FanLab.open({}, [...FAN, 'dhcp', 'io', io]);
  });

  afterAll(() => net?.remove());

  it.each(EVENTS)('%s', async (_, event, probe, expected) => {
    const streams = await Promise.all([1, 2].map(startStream));
    await sh(event);
    await expectHealed(probe, expected);
    await Promise.all(streams.map((stream) => stream.finish()));
  });

  it('who learnt another MAC of the gateway meanwhile hears of the right one', async () => {
    const container = net.container(1);
    // Before the bridge has it: what is learnt after it was healed nobody corrects.
    await container.ip('neigh replace 250.0.28.1 lladdr 02:00:00:00:00:77 nud reachable dev eth0');
    await sh(`ip link set ${BRIDGE} address 02:00:00:00:00:77`);
    const neighbour = async () => (await container.exec(['ip', 'neigh', 'show', '250.0.28.1'])).stdout;
    await until(neighbour, (text) => text.includes('02:fa:fa:00:1c:01'), 8000);
    await expectHealed('true', /^/);
  });

  it('a dnsmasq that is killed is started again', async () => {
    const pidFile = join(host().dir, `dnsmasq-${BRIDGE}.pid`);
    const pid = readFileSync(pidFile, 'utf8');
    process.kill(Number(pid), 'SIGKILL');
    const current = () => host().exec(['cat', pidFile], { anyExit: true });
    await until(current, ({ stdout }) => stdout !== '' && stdout !== pid);
    await until(view, ({ state }) => state === 'up');
  });

  it('the underlay device is removed and comes back: the fan attaches to the new one', async () => {
    const before = await carried();
    await remakeUnderlay();
    await until(isAnswered, (passes) => passes);
    await until(view, ({ state, ioNotes }) => state === 'up' && ioNotes.length === 0);
    // With io bpf the kernel takes what is plain again, both ways.
    const leftToFand = async () => {
      const reads = await tunReads(host());
      const { received } = await ping(net.container(1), net.address(2), { count: 5 });
      // What was sent before it attached anew is lost.
      return received === 5 ? (await tunReads(host())) - reads : undefined;
    };
    if (io === 'bpf') await until(leftToFand, (packets) => packets === 0);
    expect(await carried()).toBeGreaterThan(before);
  });

  it('down leaves nothing', expectNothingLeft);
});

describe('what is not put back', () => {
  const checks = async () => [...new Set((await view()).health.map(({ check }) => check))];

  beforeAll(async () => {
    net = await FanLab.open({}, [...FAN, 'io', 'raw']);
  });

  afterAll(() => net?.remove());

  it.each([
    [
      'a blackhole',
      'ip route add blackhole 250.0.27.2',
      'ip route del blackhole 250.0.27.2',
      'route-overridden',
    ],
    [
      'a policy rule',
      'ip route add default dev eth0 table 77; ip rule add from 250.0.28.0/24 lookup 77',
      'ip rule del from 250.0.28.0/24; ip route flush table 77',
      'route-overridden',
    ],
    [
      'a rule that names the bridge',
      `iptables -I FORWARD -i ${BRIDGE} -j DROP`,
      'nft delete table ip filter',
      'forward-drop',
    ],
    [
      'a rule of the old iptables that names the TUN, seen by the way',
      `iptables-legacy -I FORWARD -o ${TUN} -j DROP; ip address add 10.9.9.9/32 dev lo`,
      'iptables-legacy -F; iptables-legacy -X; ip address del 10.9.9.9/32 dev lo',
      'forward-drop',
    ],
    [
      'a rule that names protocol 4',
      'iptables -I INPUT -p 4 -j REJECT',
      'nft delete table ip filter',
      'protocol-4-blocked',
    ],
    [
      'the address of the underlay',
      'ip address del 172.30.0.28/16 dev eth0',
      'ip address add 172.30.0.28/16 broadcast + dev eth0',
      'address-changed',
    ],
    ['the carrier', 'true', 'true', 'underlay-down'],
  ])('%s', async (what, arrange, restore, check) => {
    const wire = (state: string) => net.lab.wire.ip(`link set h1 ${state}`);
    await sh(arrange);
    if (what === 'the carrier') await wire('down');
    // On the way there other things may be amiss, too.
    await until(checks, (found) => found.join() === check);
    const degraded = await view();
    expect(degraded.state).toBe('degraded');
    expect(degraded.health[0]).toMatchObject({ since: expect.stringMatching(/^20\S+Z$/) });
    expect(degraded.health[0]!.fix).not.toBe('');
    expect((await host().fanctl(['show'])).stdout).toContain(` degraded (${check})`);
    expect(await isAnswered()).toBe(false);
    await sh(restore);
    if (what === 'the carrier') await wire('up');
    await expectHealed('true', /^/);
    expect(log()).toContain(`${BRIDGE} is degraded: ${check}: `);
    await expect.poll(log).toContain(`${BRIDGE}: ${check} is over`);
  });

  it('the same thing for the fourth time within a minute, until somebody asks', async () => {
    for (let time = 1; time <= 4; time++) {
      await sh('ip route del 250.0.0.0/8');
      if (time < 4) await expectHealed('ip route', /^250\.0\.0\.0\/8 dev tun-/m);
    }
    await until(view, ({ state }) => state === 'degraded');
    expect(await checks()).toEqual(['route-missing']);
    expect(log()).toMatch(/route-missing was put back three times within a minute, and is left/);
    await host().fanctl(['doctor', '--fix']);
    await expectHealed('ip route', /^250\.0\.0\.0\/8 dev tun-/m);
  });

  it('down leaves nothing', expectNothingLeft);
});

describe('another address of the underlay', () => {
  const MOVED = 'fan-250-0-30';

  beforeAll(async () => {
    net = await FanLab.open({}, [...FAN, 'follow-address', 'dhcp']);
  });

  afterAll(() => net?.remove());

  it('moves the fan to its slice, with the ports of its bridge', async () => {
    await sh(
      'ip address del 172.30.0.28/16 dev eth0; sleep 0.2; ip address add 172.30.0.30/16 broadcast + dev eth0',
    );
    // In between there is none.
    await until(view, (fan?: FanView) => fan?.bridge === MOVED && fan.state === 'up');
    expect((await sh(`ip link show master ${MOVED}`)).stdout).toContain('c1');
    expect((await sh('ip -o link')).stdout).not.toContain(BRIDGE);
    await attachContainers(host(), await view());
    await until(isAnswered, (passes) => passes);
  });

  it('down leaves nothing', async () => {
    await expectNothingLeft();
    expect((await sh('cat /proc/sys/net/ipv4/ip_forward')).stdout).toBe('0\n');
  });
});
