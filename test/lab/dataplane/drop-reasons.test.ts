/**
 * Every drop reason by a real packet, and the same name for it everywhere: `fanctl stats`, Prometheus, `fanctl trace`,
 * and the comment in a capture. In every I/O mode; raw sockets never see what the kernel's IP layer refuses.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fields } from '../../../bench/lab/capture.js';
import type { RunningCommand } from '../../../bench/lab/command.js';
import { raiseFan } from '../../../bench/lab/fan.js';
import type { Host } from '../../../bench/lab/host.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { awaitLinks } from '../../../bench/lab/links.js';
import type { Namespace } from '../../../bench/lab/namespace.js';
import { FANCTL, REPOSITORY } from '../../../bench/lab/repository.js';
import { DROP_REASONS, type DropReasonName } from '../../../src/base/drop-reason.js';
import { GUARD_REASONS } from '../../../src/host/firewall/guard.js';
import { countersOf } from '../../unit/daemon/prometheus-text.js';
import { packet, tunnelled } from '../../unit/dataplane/packets.js';
import { FAN, PYTHON, readStats, until } from '../fan-lab.js';
import { overflowSocket, overflowTun, scrapeSocket, whileStopped } from '../kernel-drops.js';

const MAKE = join(REPOSITORY, 'test/lab/hostile.py');
const SEND = join(REPOSITORY, 'test/lab/send-frames.py');
const FLOOD = join(REPOSITORY, 'test/lab/flood.py');
const [TUN, HERE, THERE] = ['tun-250-0-28', '250.0.28.2', '250.0.27.2'];
const [VICTIM, PEER] = ['172.30.0.28', '172.30.0.27'];
const SECOND_ADDRESS = '172.30.0.99';
/** More than a receive buffer takes, and than the TUN's queue. */
const [IPIP_FLOOD, UDP_FLOOD] = [60_000, 5000];
/** More than a batch has room for answers to. */
const TOO_BIG_FLOOD = 100;

/** These vxlan-hostile.test.ts makes. */
const OVER_VXLAN: readonly DropReasonName[] = [
  'vlan-tag',
  'group-frame',
  'arp-malformed',
  'vxlan-malformed',
  'vni',
  'local-mac',
];

let lab: Lab;
let victim: Host;
let frames: Record<string, string[]>;
let trace: RunningCommand;
let capture: RunningCommand;
let captureFile: string;

/** From the underlay, as hostile.py makes them. */
const arrive = (kind: string) => async () => {
  await lab.host(3).exec([PYTHON, SEND, 'eth0', ...(frames[kind] ?? [])]);
};
/** Out of the TUN, as if routed there. */
const depart =
  (bytes: Uint8Array, count = 1) =>
  async () => {
    const hex = Buffer.from(bytes).toString('hex');
    await victim.exec([PYTHON, SEND, TUN, ...new Array<string>(count).fill(hex)]);
  };
/** As a frame to whoever takes it, by a device of somebody's. */
const claim = (from: () => Namespace, device: string, bytes: Uint8Array) => async () => {
  const frame = Buffer.concat([Buffer.from('ffffffffffff0200000000010800', 'hex'), bytes]);
  await from().exec([PYTHON, SEND, device, frame.toString('hex')]);
};
const container = () => victim.container(1);
const outsider = () => lab.host(3);
const question = packet('172.30.0.29', '250.0.28.1', { payload: 20 });
question.set([0, 53], 22);
const big = packet(HERE, THERE, { payload: 1180, dontFragment: true });

/** What makes each reason, the fan's or the host's, in an order in which none disturbs the next. */
const MAKERS: readonly [DropReasonName, 'fan' | 'host', () => Promise<unknown>][] = [
  ['socket-overflow', 'host', () => overflowSocket(victim, floodIpip)],
  ['outer-destination', 'host', arrive('other-address')],
  ['tun-overflow', 'fan', () => overflowTun(victim, floodUdp)],
  ['underlay-network', 'fan', depart(packet(HERE, '250.0.0.9'))],
  ['underlay-broadcast', 'fan', depart(packet(HERE, '250.255.255.9'))],
  ['not-ipv4', 'fan', depart(new Uint8Array(40).fill(0x60))],
  ['inner-malformed', 'fan', arrive('ihl-4')],
  ['inner-checksum', 'fan', arrive('bad-checksum')],
  ['inner-ttl', 'fan', depart(packet(HERE, THERE, { ttl: 0 }))],
  ['nested-ipip', 'fan', depart(tunnelled(HERE, THERE, packet(HERE, THERE)))],
  ['source-not-ours', 'fan', depart(packet('250.0.99.2', THERE))],
  ['outside-overlay', 'fan', depart(packet(HERE, '198.51.100.7'))],
  ['to-ourselves', 'fan', depart(packet(HERE, '250.0.28.77'))],
  ['send-failed', 'fan', depart(packet(HERE, '250.0.98.2'))],
  ['outer-malformed', 'host', arrive('outer-bad-checksum')],
  ['outer-checksum', 'host', arrive('outer-bad-checksum')],
  ['outer-source', 'fan', arrive('outer-source-foreign')],
  ['source-martian', 'fan', arrive('source-loopback')],
  ['source-forged', 'fan', arrive('wrong-outer-source')],
  ['source-in-slice', 'fan', arrive('source-in-slice')],
  ['destination-outside-slice', 'fan', arrive('outside-slice')],
  ['ecn', 'fan', arrive('ce-on-not-ect')],
  ['icmp-invalid', 'host', arrive('icmp-forged')],
  ['overlay-source-astray', 'fan', claim(outsider, 'eth0', packet(THERE, HERE))],
  ['source-unroutable', 'fan', claim(outsider, 'eth0', packet('8.8.8.8', HERE))],
  ['service-astray', 'fan', claim(outsider, 'eth0', question)],
  ['bridge-source', 'fan', claim(container, 'eth0', packet(THERE, HERE))],
  ['container-tunnel', 'fan', claim(container, 'eth0', tunnelled(HERE, PEER, packet(HERE, THERE)))],
  ['tunnel-astray', 'fan', claim(() => victim, 'far', tunnelled(PEER, VICTIM, packet(THERE, HERE)))],
  [
    'outer-not-unicast',
    'fan',
    claim(() => lab.host(2), 'eth0', tunnelled(PEER, VICTIM, packet(THERE, HERE))),
  ],
  ['outer-source-local', 'fan', arrive('outer-source-second')],
  ['outer-options', 'fan', arrive('outer-record-route')],
  ['icmp-source', 'fan', arrive('icmp-stranger')],
  ['icmp-implausible', 'fan', arrive('icmp-68')],
  ['too-big', 'fan', () => depart(big)().then(arrive('icmp-too-big')).then(depart(big))],
  ['icmp-rate', 'fan', () => whileStopped(victim, depart(big, TOO_BIG_FLOOD))],
  ['tun-write-failed', 'fan', () => victim.ip(`link set ${TUN} down`).then(arrive('good'))],
];
/** ufo.test.ts makes the first, which takes another device; daemon/isolate.test.ts the others. */
const MADE_ELSEWHERE: readonly DropReasonName[] = ['receive-failed', 'neighbour-mac', 'neighbour-address'];
/** What the kernel drops and counts itself: there is no packet to show. */
const KERNEL: readonly string[] = ['outer-checksum', 'socket-overflow', 'tun-overflow', ...GUARD_REASONS];

function floodIpip(): Promise<unknown> {
  return lab.host(2).exec([PYTHON, FLOOD, 'ipip', victim.address, THERE, HERE, `${IPIP_FLOOD}`]);
}

function floodUdp(): Promise<unknown> {
  return victim.container(1).exec([PYTHON, FLOOD, 'udp', THERE, `${UDP_FLOOD}`]);
}

async function counted(reason: string, where: 'fan' | 'host'): Promise<number> {
  const { fans, host } = await readStats(victim);
  const counters = where === 'fan' ? fans[0]?.counters : host.counters;
  return counters?.[`drop-${reason}-packets`] ?? Number.NaN;
}

interface TracedDrop {
  fan: string | null;
  path: string;
  reason: string | null;
  verdict: string;
  packets: number;
  stages?: { ok: boolean; detail: string }[];
}

function traced(reason: string): TracedDrop[] {
  const lines = trace.stdout.split('\n').filter((line) => line.endsWith('}'));
  return lines.map((line) => JSON.parse(line) as TracedDrop).filter((line) => line.reason === reason);
}

async function setUp(io: string): Promise<void> {
  lab = await createLab({ hosts: 3 });
  victim = lab.host(1);
  // Or fand would have its TUN up again before anything is written into it.
  await raiseFan(victim, [...FAN, 'dhcp', 'no-heal', '--io', io]);
  // A device of the host that is neither the underlay's nor a fan's.
  await victim.ip('link add near type veth peer name far', 'link set near up', 'link set far up');
  await awaitLinks(victim.name, 'near', 'far');
  await raiseFan(lab.host(2), FAN);
  await victim.ip(`address add ${SECOND_ADDRESS}/16 dev eth0`, 'route add blackhole 172.30.0.98');
  const mac = (await victim.exec(['cat', '/sys/class/net/eth0/address'])).stdout.trim();
  const made = await lab.host(3).exec([PYTHON, MAKE, victim.address, mac, lab.host(2).address]);
  frames = JSON.parse(made.stdout) as typeof frames;
  captureFile = join(lab.dir, 'drops.pcapng');
  trace = victim.spawn([process.execPath, FANCTL, 'trace', '--drops', '--json']);
  capture = victim.spawn([process.execPath, FANCTL, 'capture', '--drops', '-w', captureFile]);
  await Promise.all([trace.prints(/note: tracing/), capture.prints(/note: capturing/)]);
}

it('every reason has a maker', () => {
  const made = [...MAKERS.map(([reason]) => reason), ...MADE_ELSEWHERE, ...OVER_VXLAN].sort();
  expect(made).toEqual(DROP_REASONS.map(([name]) => name).sort());
});

describe.each(['raw', 'packet', 'bpf'])('with io %s', (io) => {
  beforeAll(() => setUp(io));
  afterAll(() => lab?.remove());
  const makers = MAKERS.filter(
    ([reason]) => reason !== (io === 'raw' ? 'outer-malformed' : 'outer-checksum'),
  );

  it.each(makers)('%s: stats, Prometheus and trace say the same', async (reason, where, make) => {
    const before = await counted(reason, where);
    await make();
    const after = await until(
      () => counted(reason, where),
      (count) => count > before,
    );
    const metrics = await scrapeSocket(victim);
    const bridge = where === 'fan' ? 'fan-250-0-28' : 'host';
    expect(countersOf(metrics, bridge)[`drop-${reason}-packets`]).toBeGreaterThanOrEqual(after);
    const [first] = await until(
      async () => traced(reason),
      (lines) => lines.length > 0,
    );
    expect(first).toMatchObject({ fan: where === 'fan' ? bridge : null, verdict: 'dropped' });
    if (KERNEL.includes(reason)) expect(first?.path).toBe('kernel');
    else {
      expect(first?.packets).toBe(1);
      const failed = first?.stages?.filter(({ ok }) => !ok) ?? [];
      expect(failed.map(({ detail }) => detail.split(':')[0])).toEqual([reason]);
    }
  });

  it('the capture says the same', async () => {
    const last = new RegExp(`(dropped |, )${makers.at(-1)![0]}:`);
    await expect.poll(() => last.test(readFileSync(captureFile, 'latin1'))).toBe(true);
    const { code, stderr } = await capture.stop('SIGINT');
    expect([code, stderr]).toEqual([0, expect.stringMatching(/\d+ packets captured/)]);
    const rows = await fields(captureFile, ['frame.interface_name', 'frame.comment']);
    for (const [reason, where] of makers) {
      const comments = rows.filter(([, comment]) =>
        new RegExp(`(dropped |, )${reason}:`).test(comment ?? ''),
      );
      const names = new Set(comments.map(([name]) => name?.split('/')[0]));
      expect([reason, [...names]]).toEqual([reason, [where === 'fan' ? 'fan-250-0-28' : 'host']]);
    }
  });

  it('fanctl prints what fand counted', async () => {
    const printed = async () => JSON.parse((await victim.fanctl(['stats', '--json'])).stdout);
    await expect.poll(async () => isDeepStrictEqual(await printed(), await readStats(victim))).toBe(true);
  });

  it('no trace is left when they end, and fand lives', async () => {
    await trace.stop('SIGINT');
    const log = readFileSync(join(victim.dir, 'fand.log'), 'utf8');
    expect(log.split('\n').filter((line) => /"level":(50|60)/.test(line))).toEqual([]);
    expect(await counted('ecn', 'fan')).toBe(1);
  });
});
