/**
 * What a capture of a fan over VXLAN has, dissect judges as the walk did: any frame, as the TAP or a peer may bring it,
 * walked under a tracer, written as a capture, read again.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parsePrefix } from '../../../src/addr/prefix.js';
import { dropReasonName } from '../../../src/base/drop-reason.js';
import type { TraceRecord } from '../../../src/dataplane/tracing/protocol.js';
import { readCapture } from '../../../src/trace/capture-reader.js';
import { CaptureWriter } from '../../../src/trace/capture-writer.js';
import { Dissection } from '../../../src/trace/dissect.js';
import { type FanLine, packetLine } from '../../../src/trace/trace-lines.js';
import { TraceText } from '../../../src/trace/trace-text.js';
import { prettyFrame } from '../../../src/wire/pretty.js';
import { arp, frame, inVxlan, VXLAN } from '../../unit/dataplane/frames.js';
import { packet } from '../../unit/dataplane/packets.js';
import { decap, encap, PEER, traced } from '../../unit/dataplane/tracing/vxlan.js';

const BRIDGE = 'fan-250-0-28';
const FAN: FanLine = {
  type: 'fan',
  bridge: BRIDGE,
  tun: 'tap-250-0-28',
  device: 'eth0',
  underlayMtu: 1500,
  io: 'raw',
  vxlanPort: VXLAN.port,
};
const JUDGED = { overlay: parsePrefix('250.0.0.0/8'), underlay: parsePrefix('172.30.0.0/16'), vxlan: VXLAN };

const address = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('250.0.27.2', '250.0.28.2') },
  fc.constantFrom(
    '250.0.27.0',
    '250.0.28.255',
    '250.0.0.9',
    '250.255.255.9',
    '250.0.99.2',
    '8.8.8.8',
    '127.0.0.1',
  ),
);
const inner = fc
  .record({
    from: address,
    to: address,
    isArp: fc.boolean(),
    ttl: fc.constantFrom(64, 64, 64, 0),
    tos: fc.nat(3),
  })
  .map(({ from, to, isArp, ttl, tos }) =>
    isArp ? arp(from, to) : frame(packet(from, to, { ttl, tos, payload: 8 })),
  );
const changes = fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 2 });
const damaged = fc
  .tuple(inner, fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, changes))
  .map(([bytes, some]) => {
    for (const [at, value] of some) if (at < bytes.length) bytes[at] = value;
    return bytes;
  });
const RUNS = { numRuns: 1500 };

async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** Reads the capture of records, and judges the packets of that side. */
async function dissected(records: readonly TraceRecord[], side: 'overlay' | 'underlay') {
  const writer = new CaptureWriter('test');
  const lines = [FAN, ...records.map((record) => packetLine(record, record.fan === undefined ? '' : BRIDGE))];
  const bytes = Buffer.concat([
    writer.begin(),
    ...lines.flatMap((line) => writer.add(line)),
    ...writer.rest(),
    writer.end(),
  ]);
  const dissection = new Dissection([JUDGED]);
  const seen = [];
  for await (const read of readCapture(oneChunk(bytes))) {
    if (read.interfaceName?.endsWith(side)) seen.push(dissection.add(read));
  }
  return seen;
}

it('of what came', async () => {
  const sender = fc.constantFrom(PEER, PEER, PEER, '172.30.0.77', '10.0.0.1', '172.30.255.255');
  const property = fc.asyncProperty(damaged, sender, fc.nat(3), async (bytes, from, tos) => {
    const { tracer, records } = traced();
    decap(tracer, [inVxlan(bytes)], [from], tos);
    const [judged] = await dissected(records, 'underlay');
    const reason = dropReasonName(records[0]!.reason);
    expect([judged?.path, judged?.verdict, judged?.reason]).toEqual([
      'decap',
      reason === undefined ? 'accepted' : 'dropped',
      reason,
    ]);
  });
  await fc.assert(property, RUNS);
});

it('of what left, where it is between addresses of the overlay', async () => {
  const property = fc.asyncProperty(damaged, async (bytes) => {
    const { tracer, records } = traced();
    encap(tracer, [bytes]);
    const [judged] = await dissected(records, 'overlay');
    const reason = dropReasonName(records[0]!.reason);
    if (reason === undefined) expect([judged?.path, judged?.verdict]).toEqual(['encap', 'accepted']);
    // What this host would not send, another one may, or none; and what is for a neighbour never comes to the tunnel.
    const isElsewhere = [reason, judged?.reason].includes('source-not-ours') || reason === 'to-ourselves';
    if (judged !== undefined && !isElsewhere) expect(judged.reason).toBe(reason);
  });
  await fc.assert(property, RUNS);
});

it('any bytes are printed, as what they are', () => {
  const text = new TraceText();
  text.learn(FAN);
  fc.assert(
    fc.property(damaged, fc.nat(120), fc.uint8Array({ maxLength: 80 }), (bytes, length, noise) => {
      const { tracer, records } = traced();
      encap(tracer, [bytes.subarray(0, length), noise]);
      decap(tracer, [inVxlan(bytes).subarray(0, length), noise]);
      expect(records.filter(({ path }) => path !== 'reply')).toHaveLength(4);
      for (const record of records) {
        expect(text.packet(packetLine(record, BRIDGE))).not.toMatch(/undefined|NaN/);
      }
      expect(prettyFrame(noise, 0, noise.length)).toMatch(/^Ethernet /);
    }),
    RUNS,
  );
});
