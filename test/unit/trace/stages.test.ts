/** What a trace prints of each walk and verdict, and what a capture writes of it, without a kernel. */
import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../../src/addr/ipv4-address.js';
import { DROP, DROP_REASONS } from '../../../src/base/drop-reason.js';
import type { TraceRecord } from '../../../src/dataplane/tracing/protocol.js';
import { readCapture } from '../../../src/trace/capture-reader.js';
import { CaptureWriter } from '../../../src/trace/capture-writer.js';
import type { Frame } from '../../../src/trace/frame.js';
import { clockTime, stagesOf, verdictOf } from '../../../src/trace/stages.js';
import { type FanLine, type PacketLine, packetLine, type TraceLine } from '../../../src/trace/trace-lines.js';
import { TraceText } from '../../../src/trace/trace-text.js';
import { emitUnreachable } from '../../../src/wire/icmpv4.js';
import { writeOuter } from '../../../src/wire/ipip.js';
import { buildPacket, slowSegment, TCP } from '../../oracle/segment.js';
import { packet, tunnelled } from '../dataplane/packets.js';

const US = '172.30.0.28';
const PEER = '172.30.0.27';
const BRIDGE = 'fan-250-0-28';
const FAN: FanLine = {
  type: 'fan',
  bridge: BRIDGE,
  tun: 'tun-250-0-28',
  device: 'eth0',
  underlayMtu: 1500,
  io: 'raw',
};
const inner = packet('250.0.28.2', '250.0.27.2');

function line(more: Partial<TraceRecord>, bridge = BRIDGE): PacketLine {
  const data = more.data ?? inner;
  const record: TraceRecord = {
    path: 'encap',
    fan: 'id',
    readNs: 1_795_590_735_123_456_789n,
    judgedNs: 2000,
    doneNs: 5500,
    reason: 0,
    errno: 0,
    packets: 1,
    length: data.length,
    data,
    vnet: [0, 0, 0, 0, 0, 0],
    isVxlan: false,
    ...more,
  };
  return packetLine(record, bridge);
}

function outerHeader(length: number): Uint8Array {
  const outer = new Uint8Array(20);
  writeOuter(outer, 0, length & 0xffff, parseAddress(US), parseAddress(PEER), 0, 63, 0, true);
  return outer;
}

/** An ICMP error about a packet that we sent. */
function icmpError(code: number, mtu: number): Uint8Array {
  const sent = tunnelled(US, PEER, inner);
  const bytes = new Uint8Array(600);
  const router = parseAddress('172.30.0.77');
  const length = emitUnreachable(bytes, 0, code, mtu, router, parseAddress(US), sent, 0, sent.length);
  return bytes.slice(0, length);
}

const shown = (one: PacketLine) =>
  stagesOf(one, FAN).map(({ stage, ok, detail }) => `${stage}${ok ? '' : ' DROPPED'} ${detail}`.trim());

describe('stages', () => {
  it('of a packet that left', () => {
    const one = line({ outer: outerHeader(140) });
    expect(verdictOf(one)).toBe('sent');
    expect(shown(one)).toEqual([
      'tun-read 120 bytes, tun-250-0-28',
      'check',
      'map 172.30.0.27',
      'fit underlay MTU 1500',
      'header tos 0x0 ttl 63 id 0 DF',
      'sent eth0, io raw',
    ]);
    expect(stagesOf(one, FAN).map(({ us }) => us)).toEqual([0, 2, 2, 2, 2, 5.5]);
  });

  it('of one that left in fragments, and of a super-packet', () => {
    const fragments = [outerHeader(100), outerHeader(60)];
    expect(shown(line({ fragments }))[3]).toBe('fit 2 outer fragments');
    expect(shown(line({ packets: 3 }))[0]).toBe('tun-read 120 bytes, 3 packets on the wire, tun-250-0-28');
  });

  it('of one that the kernel refused', () => {
    const one = line({ outer: outerHeader(140), reason: DROP['send-failed'], errno: 113 });
    expect(verdictOf(one)).toBe('dropped');
    expect(shown(one).at(-1)).toBe(
      'sent DROPPED send-failed: the kernel refused the outer packet (no route, firewall, no memory) (EHOSTUNREACH)',
    );
    // Too big for the device, which only the kernel knew.
    const big = line({ outer: outerHeader(140), reason: DROP['too-big'], errno: 90 });
    expect(shown(big).at(-1)).toMatch(/^sent DROPPED too-big: .* \(EMSGSIZE\)$/);
  });

  it('end at the one that dropped it, for each reason', () => {
    const ends = DROP_REASONS.map(([name], i) => {
      const path = /^(outer|source-(martian|forged|in)|destination|ecn|tun-write)/.test(name)
        ? 'decap'
        : name === 'icmp-invalid'
          ? 'path-error'
          : name === 'icmp-rate'
            ? 'reply'
            : 'encap';
      const stages = stagesOf(line({ path, reason: i + 1 }), FAN);
      expect(stages.filter(({ ok }) => !ok)).toHaveLength(1);
      expect(stages.at(-1)?.detail.startsWith(`${name}: `)).toBe(true);
      return `${name} ${stages.at(-1)?.stage}`;
    });
    expect(ends).toContain('nested-ipip check');
    expect(ends).toContain('too-big fit');
    expect(ends).toContain('source-forged source');
    expect(ends).toContain('destination-outside-slice target');
    expect(ends).toContain('icmp-rate rate');
    expect(
      shown(line({ path: 'decap', data: tunnelled(PEER, US, inner), reason: DROP['inner-ttl'] })),
    ).toEqual(['received 140 bytes, eth0', 'outer', 'inner DROPPED inner-ttl: the inner TTL is 0']);
  });

  it.each([
    [4, 1000, true, 'relayed', 'path MTU 1000 to 172.30.0.27'],
    [4, 1000, false, 'noted', 'path MTU 1000 to 172.30.0.27'],
    [1, 0, true, 'relayed', '172.30.0.27 is unreachable'],
    [3, 0, false, 'noted', 'says nothing that a container could use'],
  ])('of an ICMP error 3/%i from the path', (code, mtu, relayed, verdict, detail) => {
    const one = line({ path: 'path-error', data: icmpError(code, mtu), relayed });
    expect(verdictOf(one)).toBe(verdict);
    expect(stagesOf(one, FAN)[1]?.detail).toBe(detail);
    expect(shown(one).at(-1)).toBe(relayed ? 'taken the sender is told' : 'taken nobody is told');
  });

  it('of a probe, which fand keeps for itself', () => {
    const one = line({ path: 'decap', data: tunnelled(PEER, US, inner) }, '');
    expect(verdictOf(one)).toBe('noted');
    expect(shown(one).at(-1)).toBe('taken a probe of a peer, answered by fand');
  });
});

describe('text', () => {
  it('has a head, the layers of the whole packet and the stages', () => {
    const text = new TraceText();
    text.learn(FAN);
    const long = packet('250.0.28.2', '250.0.27.2', { payload: 1400 });
    const cut = line({ data: long.slice(0, 64), length: long.length, outer: outerHeader(1440) });
    const [head, ip, udp, stages] = text.packet(cut).split('\n');
    expect(head).toMatch(/^\d\d:\d\d:15\.123456 fan-250-0-28 encap: sent, 5\.5 us$/);
    expect(ip).toMatch(/^ {4}IP 250\.0\.28\.2 > 250\.0\.27\.2: UDP, .* length 1420$/);
    expect(udp).toMatch(/^ {6}UDP /);
    expect(stages).toContain('check +2.0 > map (172.30.0.27)');
    expect(stages).toContain('> sent +3.5 (eth0, io raw)');
    expect(text.packetJson(cut)).toMatchObject({ fan: BRIDGE, verdict: 'sent', reason: null, length: 1420 });
  });

  it('tells of kernel drops', () => {
    const text = new TraceText();
    const dropped = { type: 'kernel', reason: 'tun-overflow', bridge: BRIDGE, packets: 7 } as const;
    expect(text.kernel(dropped)).toBe(
      'fan-250-0-28 kernel: DROPPED tun-overflow, 7 packets: the queue of the TUN was full',
    );
    expect(text.kernelJson({ ...dropped, bridge: '' })).toMatchObject({
      fan: null,
      path: 'kernel',
      packets: 7,
    });
  });
});

describe('a capture', () => {
  async function framesOf(lines: readonly TraceLine[], wireSize = false): Promise<Frame[]> {
    const writer = new CaptureWriter('test', { wireSize });
    const bytes = Buffer.concat([
      writer.begin(),
      ...lines.flatMap((one) => writer.add(one)),
      ...writer.rest(),
      writer.end(),
    ]);
    const frames: Frame[] = [];
    for await (const frame of readCapture(oneChunk(bytes))) frames.push(frame);
    return frames;
  }
  async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
    yield bytes;
  }
  const seen = (frames: readonly Frame[]) =>
    frames.map(({ interfaceName, comment }) => [interfaceName, comment]);

  it('has both sides of what passed, one of what was dropped, at their own times', async () => {
    const frames = await framesOf([
      FAN,
      line({ outer: outerHeader(140) }),
      line({ path: 'decap', data: tunnelled('172.30.0.77', US, inner), reason: DROP['source-forged'] }),
    ]);
    expect(seen(frames)).toEqual([
      ['fan-250-0-28/overlay', 'encap: sent'],
      [
        'fan-250-0-28/underlay',
        'decap: dropped source-forged: the inner source does not map to the outer source',
      ],
      ['fan-250-0-28/underlay', 'encap: sent'],
    ]);
    expect(Number(frames[2]!.timeNs - frames[0]!.timeNs)).toBe(5500);
    expect(Buffer.from(frames[2]!.bytes.subarray(20))).toEqual(Buffer.from(inner));
  });

  it('shows the TOS that decap gave the inner packet', async () => {
    const data = tunnelled(PEER, US, packet('250.0.27.2', '250.0.28.2', { tos: 2 }), { tos: 3 });
    const frames = await framesOf([FAN, line({ path: 'decap', data, tos: 3 })]);
    expect([...frames[1]!.bytes.subarray(0, 2)]).toEqual([0x45, 3]);
    expect(Buffer.from(frames[1]!.bytes)).toEqual(
      Buffer.from(packet('250.0.27.2', '250.0.28.2', { tos: 3 })),
    );
  });

  it('counts what is missing before the next packet', async () => {
    const frames = await framesOf([
      FAN,
      { type: 'lost', records: 4, behind: 0 },
      { type: 'kernel', reason: 'tun-overflow', bridge: BRIDGE, packets: 3 },
      line({ outer: outerHeader(140) }),
      line({ outer: outerHeader(140) }),
    ]);
    expect(frames.map(({ dropped }) => dropped)).toEqual([7, undefined, undefined, undefined]);
    expect(frames[0]?.comment).toContain(
      'kernel: dropped 3 packets before, tun-overflow: the queue of the TUN',
    );
  });

  const flow = { protocol: TCP, sourcePort: 9, id: 5, df: true, seq: 1, options: 0 } as const;
  it('cuts super-packets where it is asked to, and completes their checksums where not', async () => {
    const payload = new Uint8Array(3000).map((_, i) => i);
    const data = buildPacket(flow, payload, { done: 0, nth: 0, partial: true });
    const whole = line({
      data,
      outer: outerHeader(data.length + 20),
      vnet: [1, 1, 1440, 40, 20, 16],
      packets: 3,
    });
    const [asItIs] = await framesOf([FAN, whole]);
    expect(Uint8Array.from(asItIs!.bytes)).toEqual(buildPacket(flow, payload, { done: 0, nth: 0 }));
    const cut = await framesOf([FAN, whole], true);
    expect(cut).toHaveLength(6);
    expect(cut.slice(0, 3).map(({ bytes }) => Uint8Array.from(bytes))).toEqual(
      slowSegment(flow, payload, 1440),
    );
    expect(cut[5]?.comment).toBe('encap: sent, segment 3 of 3');
  });

  it('cuts an outer packet that is longer than IPv4 allows, asked or not', async () => {
    const data = buildPacket(flow, new Uint8Array(65_490), { done: 0, nth: 0, partial: true });
    const one = line({ data, outer: outerHeader(data.length + 20), vnet: [1, 1, 1440, 40, 20, 16] });
    const frames = await framesOf([FAN, one]);
    expect(frames[0]?.length).toBe(65_530);
    expect(frames).toHaveLength(1 + Math.ceil(65_490 / 1440));
  });

  it('cuts what the kernel merged for a raw socket to the largest that fits', async () => {
    const payload = new Uint8Array(3000).map((_, i) => i * 3);
    const segments = buildPacket(flow, payload, { done: 0, nth: 0, partial: true });
    const data = tunnelled(PEER, US, segments, { dontFragment: true });
    const frames = await framesOf(
      [FAN, line({ path: 'decap', data, tos: 0, vnet: [0x80, 0, 0, 0, 0, 0] })],
      true,
    );
    expect(frames.map(({ length }) => length)).toEqual([1500, 1500, 20 + 40 + 120, 1480, 1480, 160]);
  });
});

it('tells any time that a capture may say: what no calendar has in seconds, microseconds never below 0', () => {
  expect(clockTime(1_795_590_735_123_456_789n)).toMatch(/^\d\d:\d\d:15\.123456$/);
  expect(clockTime(2n ** 120n)).toMatch(/^\d{28}\.\d{6}$/);
  expect(clockTime(-1_000n)).toMatch(/^\d\d:\d\d:59\.999999$/);
});
