/**
 * What a machine on the underlay can forge (fan-spec: "packet rules"; CERT VU#636397): packets made by hand, sent to a
 * host with a fan by a third one. None gets past the check that is meant for it, and each counts exactly once.
 */
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Capture, fields } from '../../../bench/lab/capture.js';
import { raiseFan } from '../../../bench/lab/fan.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { REPOSITORY } from '../../../bench/lab/repository.js';
import type { Counters } from '../../../src/control/protocol.js';
import { FAN, growth, PYTHON, readStats, until } from '../fan-lab.js';

const MAKE = join(REPOSITORY, 'test/lab/hostile.py');
const SEND = join(REPOSITORY, 'test/lab/send-frames.py');
const SECOND_ADDRESS = '172.30.0.99';
/** Inner bytes of the usual datagram: IP, UDP, 64 bytes. */
const LEN = 92;
const LONG = 3028;

/** Kind, the reason of its drop, and the inner bytes that are counted. */
const HOSTILE: readonly [string, string, number][] = [
  ['wrong-outer-source', 'source-forged', LEN],
  ['fragments-hostile', 'source-forged', LONG],
  ['source-outside-overlay', 'source-forged', LEN],
  ['source-in-slice', 'source-in-slice', LEN],
  ['source-loopback', 'source-martian', LEN],
  ['source-multicast', 'source-martian', LEN],
  ['source-broadcast', 'source-martian', LEN],
  ['source-zero', 'source-martian', LEN],
  ['source-slice-broadcast', 'source-martian', LEN],
  ['outside-slice', 'destination-outside-slice', LEN],
  ['outside-overlay', 'destination-outside-slice', LEN],
  ['slice-network', 'destination-outside-slice', LEN],
  ['slice-broadcast', 'destination-outside-slice', LEN],
  ['limited-broadcast', 'destination-outside-slice', LEN],
  ['nested', 'nested-ipip', LEN + 20],
  ['bad-checksum', 'inner-checksum', LEN],
  ['ipv6', 'not-ipv4', 40],
  ['empty', 'inner-malformed', 0],
  ['truncated-header', 'inner-malformed', 19],
  ['last-byte-cut', 'inner-malformed', LEN - 1],
  ['ihl-4', 'inner-malformed', LEN],
  ['ihl-0', 'inner-malformed', LEN],
  ['ihl-beyond', 'inner-malformed', 24],
  ['length-beyond', 'inner-malformed', LEN],
  ['length-under-header', 'inner-malformed', LEN],
  ['ttl-0', 'inner-ttl', LEN],
  ['ce-on-not-ect', 'ecn', LEN],
  ['outer-source-foreign', 'outer-source', LEN],
  ['outer-source-network', 'outer-source', LEN],
];

/** What the guard drops, whichever socket fand receives by. */
const FOR_THE_GUARD: readonly [string, string][] = [
  ['outer-source-own', 'outer-source-local'],
  ['outer-source-second', 'outer-source-local'],
  ['outer-source-broadcast', 'outer-source-local'],
  ['outer-source-loopback', 'outer-source-local'],
  ['outer-loose-route', 'outer-options'],
  ['outer-strict-route', 'outer-options'],
  ['outer-record-route', 'outer-options'],
  ['outer-timestamp', 'outer-options'],
  ['outer-late-route', 'outer-options'],
  ['outer-bad-options', 'outer-options'],
];

const ACCEPTED: readonly [string, number][] = [
  ['good', LEN],
  ['outer-options', LEN],
  ['outer-padding', LEN],
  ['fragments', LONG],
  ['fragments-reversed', LONG],
  ['fragments-df', LONG],
];

let lab: Lab;
let frames: Record<string, string[]>;
let captures: Capture[];
/** As they were last read. */
let known: Awaited<ReturnType<typeof counters>>;

/** Counters of the victim's fan, and of the host. */
async function counters(): Promise<{ fan: Counters; host: Counters }> {
  const { fans, host } = await readStats(lab.host(1));
  return { fan: fans[0]?.counters ?? {}, host: host.counters };
}

async function send(kind: string): Promise<void> {
  await lab.host(3).exec([PYTHON, SEND, 'eth0', ...(frames[kind] ?? [])]);
}

/** What one packet of each of these kinds adds to the counters, of which fand sees `count`. */
async function added(kinds: readonly string[], count = kinds.length) {
  const before = known;
  for (const kind of kinds) await send(kind);
  const ask = async () => {
    known = await counters();
    return { fan: growth(before.fan, known.fan), host: growth(before.host, known.host) };
  };
  return until(ask, ({ fan, host }) => isSettled(Object.entries(fan).concat(Object.entries(host)), count));
}

/** Whether so many are delivered or dropped, and no more were received than these but for the guard's. */
function isSettled(grown: readonly [string, number][], count: number): boolean {
  const sum = (pattern: RegExp) =>
    grown.filter(([name]) => pattern.test(name)).reduce((total, [, n]) => total + n, 0);
  const [received, done] = [sum(/^decap-rx-packets/), sum(/^(decap-tx|drop-.*)-packets/)];
  const guarded = sum(/^drop-outer-(source-local|options|checksum)-packets/);
  return done >= count && (received === 0 || received + guarded === done);
}

/** Starts to watch every place where a delivered packet, or an answer to it, would show. */
async function watch(): Promise<void> {
  const [victim, tun, file] = [lab.host(1), 'tun-250-0-28', (name: string) => join(lab.dir, `${name}.pcap`)];
  captures = await Promise.all([
    Capture.start(victim, tun, file('tun')),
    // A bridge that came up tells its groups (IGMP) for a few seconds.
    Capture.start(victim, 'fan-250-0-28', file('bridge'), 'ip and not igmp'),
    Capture.start(victim.container(1), 'eth0', file('container'), 'ip and not igmp'),
    Capture.start(victim, 'eth0', file('answers'), `icmp and src host ${victim.address}`),
  ]);
}

/** Ends that and returns the packets that were seen, by place. */
async function seen(): Promise<Record<string, string[]>> {
  await Promise.all(captures.map((capture) => capture.stop()));
  const rows = captures.map(async ({ file }) => {
    const packets = await fields(file, ['frame.protocols', 'ip.src', 'ip.dst']);
    return [basename(file), packets.map((packet) => packet.join(' '))] as const;
  });
  return Object.fromEntries(await Promise.all(rows));
}

async function setUp(io: string): Promise<void> {
  lab = await createLab({ hosts: 3 });
  const [victim, peer] = [lab.host(1), lab.host(2)];
  await raiseFan(victim, [...FAN, '--io', io]);
  await victim.ip(`address add ${SECOND_ADDRESS}/16 dev eth0`);
  const { stdout: mac } = await victim.exec(['cat', '/sys/class/net/eth0/address']);
  const made = await lab.host(3).exec([PYTHON, MAKE, victim.address, mac.trim(), peer.address]);
  frames = JSON.parse(made.stdout) as typeof frames;
  known = await counters();
}

describe.each(['raw', 'packet', 'bpf'])('with io %s', (io) => {
  beforeAll(() => setUp(io));
  afterAll(() => lab?.remove());

  describe('hostile packets', () => {
    let hostSocket: ReturnType<typeof startSocket>;
    const startSocket = () => lab.host(1).spawn(['nc', '-n', '-u', '-l', '9999']);

    beforeAll(async () => {
      hostSocket = startSocket();
      await watch();
    });

    it.each(HOSTILE)('%s counts once, as %s', async (kind, reason, bytes) => {
      const { fan, host } = await added([kind]);
      expect(fan).toEqual({
        'decap-rx-packets': 1,
        ...(bytes > 0 && { 'decap-rx-bytes': bytes }),
        [`drop-${reason}-packets`]: 1,
      });
      expect(host).toEqual({});
    });

    it('another address of the host counts under the host', async () => {
      expect(await added(['other-address'])).toEqual({
        fan: {},
        host: { 'decap-rx-packets': 1, 'decap-rx-bytes': LEN, 'drop-outer-destination-packets': 1 },
      });
    });

    it('forged ICMP counts under the host', async () => {
      expect(await added(['icmp-forged'])).toEqual({ fan: {}, host: { 'drop-icmp-invalid-packets': 1 } });
    });

    it.each(FOR_THE_GUARD)('%s counts once, as %s, and no socket sees it', async (kind, reason) => {
      // What comes after it is seen.
      const after = { 'decap-rx-packets': 1, 'decap-rx-bytes': LEN, 'drop-inner-checksum-packets': 1 };
      const { fan, host } = await added([kind, 'bad-checksum']);
      expect(fan).toEqual({ ...after, [`drop-${reason}-packets`]: 1 });
      expect(host).toEqual({});
    });

    it('a wrong outer checksum counts once, where the kernel sees it or fand does first', async () => {
      const after = { 'decap-rx-packets': 1, 'decap-rx-bytes': LEN, 'drop-inner-checksum-packets': 1 };
      const seenFirst = {
        'decap-rx-packets': 1,
        'decap-rx-bytes': LEN + 20,
        'drop-outer-malformed-packets': 1,
      };
      expect(await added(['outer-bad-checksum', 'bad-checksum'], 2)).toEqual({
        fan: after,
        host: io === 'raw' ? { 'drop-outer-checksum-packets': 1 } : seenFirst,
      });
    });

    it('were not delivered anywhere, and not one was answered', async () => {
      expect(await seen()).toEqual({
        'tun.pcap': [],
        'bridge.pcap': [],
        'container.pcap': [],
        'answers.pcap': [],
      });
      expect((await hostSocket.stop()).stdout).toBe('');
    });
  });

  describe('packets that only look odd', () => {
    it.each(ACCEPTED)('%s is delivered once', async (kind, bytes) => {
      const file = join(lab.dir, `${kind}.pcap`);
      const capture = await Capture.start(lab.host(1), 'tun-250-0-28', file, 'udp dst port 9999');
      const { fan, host } = await added([kind]);
      await capture.stop();
      expect(fan).toMatchObject({
        'decap-rx-packets': 1,
        'decap-rx-bytes': bytes,
        'decap-tx-packets': 1,
        'decap-tx-bytes': bytes,
      });
      expect(Object.keys({ ...fan, ...host }).filter((name) => name.startsWith('drop-'))).toEqual([]);
      expect(await fields(file, ['ip.src', 'ip.dst', 'ip.len', 'udp.checksum.status'])).toEqual([
        ['250.0.27.2', '250.0.28.2', `${bytes}`, '1'],
      ]);
    });
  });

  it('without a fan the kernel answers protocol 4, with one it never did', async () => {
    await lab.host(1).fanctl(['down', '-e', '--force']);
    const file = join(lab.dir, 'answer.pcap');
    const capture = await Capture.start(lab.host(2), 'eth0', file, 'icmp[0] == 3');
    await send('good');
    await until(
      () => fields(file, ['icmp.code']),
      (rows) => rows.length > 0,
    );
    await capture.stop();
  });
});
