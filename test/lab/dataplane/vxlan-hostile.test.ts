/**
 * What a machine on the underlay can forge over VXLAN: packets made by hand, sent to a host with a fan by a third one. None
 * gets past the check that is meant for it, and each counts exactly once.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Capture, fields } from '../../../bench/lab/capture.js';
import { raiseFan } from '../../../bench/lab/fan.js';
import { createLab, type Lab } from '../../../bench/lab/lab.js';
import { ping } from '../../../bench/lab/ping.js';
import { REPOSITORY } from '../../../bench/lab/repository.js';
import type { Counters } from '../../../src/control/protocol.js';
import { packet } from '../../unit/dataplane/packets.js';
import { FAN, growth, PYTHON, readStats, until } from '../fan-lab.js';

const MAKE = join(REPOSITORY, 'test/lab/vxlan-hostile.py');
const SEND = join(REPOSITORY, 'test/lab/send-frames.py');
const TUNNEL_MAC = '02:fa:ac:1e:00:1c';

/** Kind, the reason of its drop, and where it counts. */
const HOSTILE: readonly [string, string, 'fan' | 'host'][] = [
  ...['vxlan-short', 'vxlan-empty', 'no-vni-flag', 'other-flags', 'reserved-bits', 'reserved-byte'].map(
    (kind): [string, string, 'host'] => [kind, 'vxlan-malformed', 'host'],
  ),
  ['wrong-vni', 'vni', 'host'],
  ...(
    [
      ['frame-short', 'inner-malformed'],
      ['frame-only', 'inner-malformed'],
      ['source-mac-group', 'inner-malformed'],
      ['vlan', 'vlan-tag'],
      ['vlan-stacked', 'vlan-tag'],
      ['ipv6', 'not-ipv4'],
      ['other-type', 'not-ipv4'],
      ['ipv6-as-ipv4', 'not-ipv4'],
      ['broadcast', 'group-frame'],
      ['multicast', 'group-frame'],
      ['source-forged', 'source-forged'],
      ['sender-forged', 'source-forged'],
      ['sender-foreign', 'outer-source'],
      ['sender-network', 'outer-source'],
      ['source-in-slice', 'source-in-slice'],
      ['source-outside', 'source-forged'],
      ['source-loopback', 'source-martian'],
      ['source-slice-edge', 'source-martian'],
      ['target-elsewhere', 'destination-outside-slice'],
      ['target-outside', 'destination-outside-slice'],
      ['target-slice-edge', 'destination-outside-slice'],
      ['nested', 'nested-ipip'],
      ['bad-checksum', 'inner-checksum'],
      ['length-beyond', 'inner-malformed'],
      ['ttl-0', 'inner-ttl'],
      ['ce-on-not-ect', 'ecn'],
      ['arp-sender-forged', 'source-forged'],
      ['arp-sender-ours', 'source-in-slice'],
      ['arp-gateway-claimed', 'source-in-slice'],
      ['arp-target-elsewhere', 'destination-outside-slice'],
      ['arp-other-mac', 'arp-malformed'],
      ['arp-short', 'arp-malformed'],
      ['arp-operation', 'arp-malformed'],
      ['arp-hardware', 'arp-malformed'],
      ['arp-protocol', 'arp-malformed'],
    ] as const
  ).map(([kind, reason]): [string, string, 'fan'] => [kind, reason, 'fan']),
];
/** As hexadecimal: of the fan's bridge, and of whoever sends. */
const [BRIDGE_MAC, OWN_MAC] = ['02fafa001c01', '02666f726765'];
/** 802.1Q with VLAN 0, of priority alone. */
const TAG = '81000000';
const ACCEPTED = ['good', 'no-udp-checksum', 'padded', 'arp'];

describe.each([
  ['routed', ['vxlan', 'io', 'raw']],
  ['layer 2', ['vxlan', 'layer2', 'io', 'raw']],
  ['routed, in bpf mode,', ['vxlan', 'io', 'bpf']],
  ['layer 2, in bpf mode,', ['vxlan', 'layer2', 'io', 'bpf']],
])('a %s fan', (shape, words) => {
  let lab: Lab;
  let frames: Record<string, string[]>;
  let captures: Capture[];

  const counters = async (): Promise<{ fan: Counters; host: Counters }> => {
    const { fans, host } = await readStats(lab.host(1));
    return { fan: fans[0]?.counters ?? {}, host: host.counters };
  };

  /** What one packet of the kind adds to the counters, once it counts at all. */
  const added = async (kind: string) => {
    const before = await counters();
    await lab.host(3).exec([PYTHON, SEND, 'eth0', ...(frames[kind] ?? [])]);
    const isDone = (grown: Counters) =>
      Object.keys(grown).some((name) => /^(decap-tx|drop-.*)-packets$/.test(name));
    const ask = async () => {
      const now = await counters();
      // What containers say by themselves meanwhile is no matter, nor what it is answered.
      const incoming = (grown: Counters) =>
        Object.fromEntries(Object.entries(grown).filter(([name]) => !/^(encap|icmp)|bytes$/.test(name)));
      return { fan: incoming(growth(before.fan, now.fan)), host: incoming(growth(before.host, now.host)) };
    };
    return until(ask, ({ fan, host }) => isDone(fan) || isDone(host));
  };

  beforeAll(async () => {
    lab = await createLab({ hosts: 3 });
    const [victim, peer] = [lab.host(1), lab.host(2)];
    await raiseFan(victim, [...FAN, ...words]);
    const container = victim.container(1);
    // The bridge knows the container, as it does any that has spoken.
    expect((await ping(container, '250.0.28.1', { count: 1 })).received).toBe(1);
    const inside = (await container.exec(['cat', '/sys/class/net/eth0/address'])).stdout.trim();
    const mac = (await victim.exec(['cat', '/sys/class/net/eth0/address'])).stdout.trim();
    const at = shape.startsWith('routed') ? TUNNEL_MAC : inside;
    frames = JSON.parse(
      (await lab.host(3).exec([PYTHON, MAKE, victim.address, mac, peer.address, at])).stdout,
    );
    const file = (name: string) => join(lab.dir, `${name}.pcap`);
    captures = await Promise.all([
      Capture.start(container, 'eth0', file('container'), 'udp port 9999 or arp host 250.0.27.2'),
      Capture.start(victim, 'eth0', file('answers'), `icmp and src host ${victim.address}`),
    ]);
  });
  afterAll(() => lab?.remove());

  it.each(HOSTILE)('drops %s as %s', async (kind, reason, where) => {
    const name = `drop-${reason}-packets`;
    const grown = await added(kind);
    expect(grown[where]).toEqual({ 'decap-rx-packets': 1, [name]: 1 });
    expect(grown[where === 'fan' ? 'host' : 'fan']).toEqual({});
  });

  it('drops what came in a frame for all, before fand sees it', async () => {
    expect((await added('outer-broadcast')).fan).toEqual({ 'drop-outer-not-unicast-packets': 1 });
  });

  it('drops a frame with the MAC of a local port', async (context) => {
    if (!shape.startsWith('layer 2'))
      context.skip('a routed fan lets no frame of the tunnel onto its bridge');
    await added('local-mac');
    const { fan } = await until(counters, ({ fan }) => (fan['drop-local-mac-packets'] ?? 0) > 0);
    expect(fan['drop-local-mac-packets']).toBe(1);
  });

  it('nothing of all these reached a container, and nobody was told', async () => {
    await Promise.all(captures.map((capture) => capture.stop()));
    for (const { file } of captures) expect(await fields(file, ['frame.protocols'])).toEqual([]);
  });

  // Of a routed fan, forged.test.ts has it.
  const TAGS = shape.startsWith('layer 2') ? ['', TAG, TAG + TAG] : [];
  it.each(TAGS)('a port sends nothing in the name of another host, behind tags "%s"', async (tags) => {
    const forged = Buffer.from(packet('250.0.27.2', '250.0.28.1')).toString('hex');
    const before = (await counters()).fan['drop-bridge-source-packets']!;
    const frame = `${BRIDGE_MAC}${OWN_MAC}${tags}0800${forged}`;
    await lab.host(1).container(1).exec([PYTHON, SEND, 'eth0', frame]);
    const { fan } = await until(counters, ({ fan }) => fan['drop-bridge-source-packets'] !== before);
    expect(fan['drop-bridge-source-packets']).toBe(before + 1);
  });

  it.each(ACCEPTED)('and takes %s', async (kind) => {
    expect((await added(kind)).fan).toEqual({ 'decap-rx-packets': 1, 'decap-tx-packets': 1 });
  });
});
