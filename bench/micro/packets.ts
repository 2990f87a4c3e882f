/**
 * Both packet paths with a batch to work on, as the forwarder drives them, but with no device: what a packet costs in
 * TypeScript alone. A batch is processed again and again; neither path changes what it reads.
 */
import '../../src/dataplane/workers/inlining.js';
import { formatAddress } from '../../src/addr/ipv4-address.js';
import { Counters } from '../../src/dataplane/tables/counters.js';
import { ForwardingTable } from '../../src/dataplane/tables/forwarding-table.js';
import { PeerTable } from '../../src/dataplane/tables/peer-table.js';
import { DecapPath } from '../../src/dataplane/walks/decap-path.js';
import { EncapPath } from '../../src/dataplane/walks/encap-path.js';
import { IcmpReplies } from '../../src/dataplane/walks/icmp-replies.js';
import { PathMtuTable } from '../../src/dataplane/walks/path-mtu.js';
import { FRAGMENT_ROOM, TooBig } from '../../src/dataplane/walks/too-big.js';
import { PacketBatch } from '../../src/io/packet-batch.js';
import { OUTER_LEN } from '../../src/wire/ipip.js';
import { batchOf, fanSpec, packet, tunnelled } from '../../test/unit/dataplane/packets.js';

/** Packets a batch. */
export const BATCH = 64;
const SLOT_BYTES = 2240;
const US = '172.30.0.28';
/** Of a packet of the benchmarks: 64 bytes after its header. */
const PAYLOAD = 64;

/** The overlay of the `n`th fan: 250.0.0.0/8, then from 100.0.0.0/8 on, leaving out loopback and the underlay's. */
export function overlayOf(n: number): string {
  return `${[250, ...COUNTING][n]}.0.0.0/8`;
}

const COUNTING = Array.from({ length: 90 }, (_, i) => 100 + i).filter((octet) => ![127, 172].includes(octet));

/** An overlay address of host `host` (its 16 bits) in the `fan`th fan. */
function containerOf(fan: number, host: number): string {
  return formatAddress((Number.parseInt(overlayOf(fan), 10) * 2 ** 24 + host * 256 + 2) >>> 0);
}

function hostAddress(host: number): string {
  return `172.30.${host >> 8}.${host & 255}`;
}

/** Hosts that a batch's packets go to or come from, spread over the underlay; never us, nor its first or last address. */
export function hostsOf(count: number): number[] {
  const all = Array.from({ length: 65_534 }, (_, i) => i + 1).filter((host) => host !== 28);
  const step = Math.max(1, Math.floor(all.length / count));
  return Array.from({ length: Math.min(count, all.length) }, (_, i) => all[(i * step) % all.length]!);
}

export interface Rig {
  /** The packets before; `after` has them once they are processed. */
  packets: readonly Uint8Array[];
  after: PacketBatch;
  run(): void;
  /** Makes the batch's packets those of the hosts from the `from`th on, in turn. */
  aim(from: number): void;
}

/** Encap of packets to these hosts, a batch at a time; `fans` are up, and the packets belong to the last of them. */
export function encapRig(hosts: readonly number[], fans = 1): Rig {
  const counters = new Counters();
  const own = fans - 1;
  const packets = hosts.map((host) => {
    return packet(containerOf(own, 28), containerOf(own, host), { payload: PAYLOAD, dontFragment: true });
  });
  const rx = batchOf(firstBatch(packets), FRAGMENT_ROOM);
  const tx = new PacketBatch(BATCH, rx.slab);
  const table = tableOf(fans);
  const tooBig = new TooBig(counters, new IcmpReplies(counters), rx.slab, BATCH * SLOT_BYTES);
  const path = new EncapPath(counters, new PathMtuTable(), tooBig, table, new PeerTable());
  const fan = table.fans[own]!;
  const run = () => {
    tx.count = 0;
    path.process(fan, rx, 0, tx, 1);
  };
  return { packets, after: tx, run, aim: aimer(rx, packets, [CHECKSUM, DESTINATION]) };
}

/** Decap of packets from these hosts, a batch at a time; `fans` are up, and the packets are for the last of them. */
export function decapRig(hosts: readonly number[], fans = 1): Rig {
  const own = fans - 1;
  const packets = hosts.map((host) => {
    const inner = packet(containerOf(own, host), containerOf(own, 28), { payload: PAYLOAD });
    return tunnelled(hostAddress(host), US, inner, { dontFragment: true });
  });
  const rx = batchOf(firstBatch(packets));
  const out = Array.from({ length: fans }, () => new PacketBatch(BATCH, rx.slab));
  const path = new DecapPath(new Counters(), tableOf(fans), new PeerTable());
  const toTun = out[own]!;
  const run = () => {
    toTun.count = 0;
    path.process(rx, out);
  };
  const parts = [CHECKSUM, SOURCE].flatMap((field) => [field, { ...field, at: field.at + OUTER_LEN }]);
  return { packets, after: toTun, run, aim: aimer(rx, packets, parts) };
}

/** Fields of an IPv4 header that differ between hosts (RFC 791 §3.1). */
const CHECKSUM = { at: 10, bytes: 2 };
const SOURCE = { at: 12, bytes: 4 };
const DESTINATION = { at: 16, bytes: 4 };

function firstBatch(packets: readonly Uint8Array[]): Uint8Array[] {
  return Array.from({ length: BATCH }, (_, i) => packets[i % packets.length]!);
}

/** Copies those fields of the next packets into the batch, as a device would overwrite the slab with what comes next. */
function aimer(
  rx: PacketBatch,
  packets: readonly Uint8Array[],
  fields: readonly { at: number; bytes: number }[],
): (from: number) => void {
  const places = Int32Array.from(
    fields.flatMap(({ at, bytes }) => Array.from({ length: bytes }, (_, i) => at + i)),
  );
  const values = Uint8Array.from(packets.flatMap((bytes) => [...places].map((at) => bytes[at]!)));
  const offsets = Int32Array.from({ length: BATCH }, (_, i) => rx.offset(i));
  const { slab } = rx;
  return (from) => {
    let value = (from % packets.length) * places.length;
    for (let i = 0; i < BATCH; i++) {
      if (value === values.length) value = 0;
      for (let place = 0; place < places.length; place++)
        slab[offsets[i]! + places[place]!] = values[value++]!;
    }
  };
}

function tableOf(fans: number): ForwardingTable {
  const specs = Array.from({ length: fans }, (_, i) =>
    fanSpec(overlayOf(i), US, 16, { counterBlock: i + 1 }),
  );
  return new ForwardingTable(specs);
}
