/** The walks of VXLAN under a tracer, as the forwarder has them. */
import { parseAddress } from '../../../../src/addr/ipv4-address.js';
import { Counters } from '../../../../src/dataplane/tables/counters.js';
import { ForwardingTable } from '../../../../src/dataplane/tables/forwarding-table.js';
import { PeerTable } from '../../../../src/dataplane/tables/peer-table.js';
import { CELL_BYTES, type TraceRecord, type TraceSpec } from '../../../../src/dataplane/tracing/protocol.js';
import { TraceSession } from '../../../../src/dataplane/tracing/session.js';
import { receivedVxlan } from '../../../../src/dataplane/tracing/shape.js';
import { Tracer } from '../../../../src/dataplane/tracing/tracer.js';
import { IcmpReplies } from '../../../../src/dataplane/walks/icmp-replies.js';
import { PathMtuTable } from '../../../../src/dataplane/walks/path-mtu.js';
import { VxlanDecap } from '../../../../src/dataplane/walks/vxlan-decap.js';
import { VxlanEncap } from '../../../../src/dataplane/walks/vxlan-encap.js';
import { PacketBatch } from '../../../../src/io/packet-batch.js';
import { VXLAN } from '../frames.js';
import { batchOf, fanSpec } from '../packets.js';

export const US = '172.30.0.28';
export const PEER = '172.30.0.27';
const SITE = { address: parseAddress(US), udpPort: VXLAN.port };

export const table = new ForwardingTable([
  fanSpec('250.0.0.0/8', US, 16, { vxlan: VXLAN, ttl: 64, dscp: 0 }),
]);

/** A tracer that gives what it shows. */
export function traced(more: Partial<TraceSpec> = {}): { tracer: Tracer; records: TraceRecord[] } {
  const records: TraceRecord[] = [];
  const spec: TraceSpec = {
    session: 1,
    program: [],
    dropsOnly: false,
    snapLen: 65_535,
    burstSnapLen: 65_535,
    recordsPerSecond: 50_000,
    bytesPerSecond: 256 << 20,
    epochNs: 0n,
    shared: new SharedArrayBuffer(CELL_BYTES),
    ...more,
  };
  const tracer = new Tracer([new TraceSession(spec, (_, some) => records.push(...some))], 64);
  return { tracer, records };
}

/** Frames as the TAP brings them; returns them judged. */
export function encap(tracer: Tracer, frames: readonly Uint8Array[]): PacketBatch {
  const counters = new Counters();
  const replies = new IcmpReplies(counters);
  replies.tracer = tracer;
  const rx = batchOf(frames);
  const tx = new PacketBatch(64, rx.slab);
  const fan = table.fans[0]!;
  tracer.received();
  new VxlanEncap(counters, new PathMtuTable(), replies, table, new PeerTable()).process(fan, rx, 0, tx, 1);
  tracer.encapJudged(fan, rx, 0, rx.count, tx);
  tracer.encapSent(fan, rx, 0, rx.count, tx);
  tracer.replied(fan, replies.batch);
  tracer.flush();
  return rx;
}

/** VXLAN as a UDP socket brings it, from `port` of `senders[i]`. */
export function decap(
  tracer: Tracer,
  payloads: readonly Uint8Array[],
  senders: readonly string[] = [],
  tos = 0,
  port = 40_000,
): PacketBatch {
  const rx = batchOf(payloads);
  for (let i = 0; i < rx.count; i++) {
    rx.setAddress(i, parseAddress(senders[i] ?? PEER));
    rx.setNote(i, port);
    rx.setTag(i, (63 << 8) | tos);
  }
  const out = [new PacketBatch(64, rx.slab)];
  tracer.decapReceived(rx, receivedVxlan(SITE));
  new VxlanDecap(new Counters(), table, new PeerTable()).process(rx, SITE, out);
  tracer.decapJudged();
  tracer.decapWritten(rx, table.fans, out);
  tracer.flush();
  return rx;
}
