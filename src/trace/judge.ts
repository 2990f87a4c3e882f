/**
 * Judges packets of a capture by the very code of the dataplane, for the host that each is for: DecapPath or VxlanDecap as
 * the host of the outer destination would, EncapPath or VxlanEncap as the host that owns the inner source would. Only what a capture can't know is
 * left out: path MTUs, and what a kernel would have done.
 */
import { contains, type Prefix, prefixOf } from '../addr/prefix.js';
import { DROP, type DropReason, KEEP } from '../base/drop-reason.js';
import { FanError } from '../base/error.js';
import { Counters } from '../dataplane/tables/counters.js';
import type { FanSpec } from '../dataplane/tables/fan-spec.js';
import { ForwardingTable } from '../dataplane/tables/forwarding-table.js';
import { PeerTable } from '../dataplane/tables/peer-table.js';
import { DecapPath } from '../dataplane/walks/decap-path.js';
import { EncapPath } from '../dataplane/walks/encap-path.js';
import { IcmpReplies } from '../dataplane/walks/icmp-replies.js';
import { PathMtuTable } from '../dataplane/walks/path-mtu.js';
import { FRAGMENT_ROOM, TooBig } from '../dataplane/walks/too-big.js';
import { VxlanDecap } from '../dataplane/walks/vxlan-decap.js';
import { VxlanEncap } from '../dataplane/walks/vxlan-encap.js';
import type { VxlanTerms } from '../fan/encapsulation.js';
import { createMapping, underlayHostOf } from '../fan/mapping.js';
import { HEADROOM, MAX_PACKET, PacketBatch } from '../io/packet-batch.js';
import { OUTER_LEN } from '../wire/ipip.js';
import {
  checkOuterIpv4,
  destination,
  headerLen,
  read16,
  source,
  tos,
  totalLength,
  ttl,
} from '../wire/ipv4.js';
import { UDP_HEADER_LEN, UDP_LENGTH } from '../wire/udp.js';
import { arpSender, arpTarget, ETHERNET_LEN, ETHERTYPE_IPV4 } from '../wire/vxlan.js';

/** A fan whatever the host. */
export interface JudgedFan {
  overlay: Prefix;
  /** The underlay's network. */
  underlay: Prefix;
  /** Absent where its packets travel as IP-in-IP. */
  vxlan?: VxlanTerms;
}

/** Hosts whose tables are kept. */
const MOST_HOSTS = 4096;
/** No path is too small: a capture doesn't tell what was known of it. */
const ANY_MTU = 1 << 20;

export class Judge {
  readonly #ipip: Hosts;
  readonly #vxlan: Hosts;
  /** UDP ports by which fans over VXLAN go. */
  readonly vxlanPorts: readonly number[];
  readonly #counters = new Counters();
  readonly #rx = PacketBatch.create(1, HEADROOM + MAX_PACKET + OUTER_LEN + FRAGMENT_ROOM);
  readonly #decap: DecapPath;
  readonly #encap: EncapPath;
  readonly #vxlanDecap: VxlanDecap;
  readonly #vxlanEncap: VxlanEncap;

  constructor(fans: readonly JudgedFan[]) {
    this.#ipip = new Hosts(fans.filter(({ vxlan }) => vxlan === undefined));
    this.#vxlan = new Hosts(fans.filter(({ vxlan }) => vxlan !== undefined));
    this.vxlanPorts = [...new Set(fans.flatMap(({ vxlan }) => vxlan?.port ?? []))];
    const none = new ForwardingTable([]);
    const replies = new IcmpReplies(this.#counters);
    const peers = new PeerTable();
    this.#decap = new DecapPath(this.#counters, none);
    const tooBig = new TooBig(this.#counters, replies, this.#rx.slab, MAX_PACKET);
    this.#encap = new EncapPath(this.#counters, new PathMtuTable(), tooBig, none);
    this.#vxlanDecap = new VxlanDecap(this.#counters, none, peers);
    this.#vxlanEncap = new VxlanEncap(this.#counters, new PathMtuTable(), replies, none, peers);
  }

  /** Whether both are hosts of the underlay of one fan over VXLAN: where that is so, UDP between them may be its. */
  areVxlanHosts(one: number, other: number): boolean {
    return this.#vxlan.fans.some(({ underlay }) => contains(underlay, one) && contains(underlay, other));
  }

  /**
   * Whether the host of the outer destination would take the tunnel packet. `length` is the packet's, of which `bytes`
   * has at least both headers.
   */
  decap(bytes: Uint8Array, length: number): DropReason {
    const table = this.#ipip.tableOf(destination(bytes, 0));
    if (table === undefined) return DROP['outer-destination'];
    this.#decap.configure(table);
    const rx = this.#load(bytes, length);
    this.#decap.process(rx, outputsOf(table, rx));
    return rx.verdict(0);
  }

  /** The same of a datagram to one of vxlanPorts, whose UDP header is there. */
  decapVxlan(bytes: Uint8Array, length: number): DropReason {
    const malformed = checkOuterIpv4(bytes, 0, length);
    if (malformed !== KEEP) return malformed;
    const table = this.#vxlan.tableOf(destination(bytes, 0));
    if (table === undefined) return DROP['outer-destination'];
    this.#vxlanDecap.configure(table);
    const udp = headerLen(bytes, 0);
    const end = Math.min(totalLength(bytes, 0), udp + read16(bytes, udp + UDP_LENGTH));
    const start = udp + UDP_HEADER_LEN;
    if (end < start) return DROP['outer-malformed'];
    const rx = this.#load(bytes.subarray(start), end - start);
    rx.setAddress(0, source(bytes, 0));
    rx.setTag(0, (ttl(bytes, 0) << 8) | tos(bytes, 0));
    const site = { address: destination(bytes, 0), udpPort: read16(bytes, udp + 2) };
    this.#vxlanDecap.process(rx, site, outputsOf(table, rx));
    return rx.verdict(0);
  }

  /**
   * Whether the host that owns the source would tunnel the plain packet; undefined where it is not one to be tunnelled:
   * of no overlay, or for a neighbour on the same bridge. `link`: the Ethernet header before it, where there was one.
   */
  encap(bytes: Uint8Array, length: number, link?: Uint8Array): DropReason | undefined {
    const [from, to] = [source(bytes, 0), destination(bytes, 0)];
    if (this.#vxlan.fanOf(from, to)) {
      const frame = new Uint8Array(ETHERNET_LEN + bytes.length);
      frame[12] = ETHERTYPE_IPV4 >> 8;
      if (link) frame.set(link);
      frame.set(bytes, ETHERNET_LEN);
      return this.#encapFrame(frame, ETHERNET_LEN + length, from, to);
    }
    const host = this.#ipip.hostOf(from, to);
    if (host === undefined) return undefined;
    const table = this.#ipip.tableOf(host);
    const entry = table?.fanOf(from | 0);
    if (table === undefined || entry === undefined) return DROP['source-not-ours'];
    this.#encap.configure(table);
    const rx = this.#load(bytes, length);
    this.#encap.process(entry, rx, 0, new PacketBatch(4, rx.slab), 0);
    return rx.verdict(0);
  }

  /** The same of a frame with ARP, all of it there, by its sender and target. */
  encapArp(frame: Uint8Array): DropReason | undefined {
    const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
    return this.#encapFrame(frame, frame.length, arpSender(view, 0) >>> 0, arpTarget(view, 0) >>> 0);
  }

  #encapFrame(frame: Uint8Array, length: number, from: number, to: number): DropReason | undefined {
    const host = this.#vxlan.hostOf(from, to);
    if (host === undefined) return undefined;
    const table = this.#vxlan.tableOf(host);
    const entry = table?.fanOf(from | 0);
    if (table === undefined || entry === undefined) return DROP['source-not-ours'];
    this.#vxlanEncap.configure(table);
    const rx = this.#load(frame, length);
    this.#vxlanEncap.process(entry, rx, 0, new PacketBatch(4, rx.slab), 0);
    return rx.verdict(0);
  }

  #load(bytes: Uint8Array, length: number): PacketBatch {
    const rx = this.#rx;
    const there = Math.min(length, MAX_PACKET);
    rx.slab.set(bytes.subarray(0, there), HEADROOM);
    rx.setRange(0, HEADROOM, there);
    rx.setVnet(0, 0, 0, 0, 0);
    rx.setVerdict(0, KEEP, -1, 1);
    rx.count = 1;
    return rx;
  }
}

function outputsOf(table: ForwardingTable, { slab }: PacketBatch): PacketBatch[] {
  return table.fans.map(() => new PacketBatch(1, slab));
}

/** The hosts of some fans, each with its table. */
class Hosts {
  readonly fans: readonly JudgedFan[];
  /** By the host's address; undefined: no host can have it. */
  readonly #tables = new Map<number, ForwardingTable | undefined>();

  constructor(fans: readonly JudgedFan[]) {
    this.fans = fans;
  }

  /** The fan that has both addresses in its overlay. */
  fanOf(from: number, to: number): JudgedFan | undefined {
    return this.fans.find(({ overlay }) => contains(overlay, from) && contains(overlay, to));
  }

  /** The host that `from` belongs to, where `to` belongs to another host of a fan. */
  hostOf(from: number, to: number): number | undefined {
    const fan = this.fanOf(from, to);
    if (fan === undefined) return undefined;
    const { overlay, underlay } = fan;
    if (contains(prefixOf(from, 32 - (underlay.length - overlay.length)), to)) return undefined;
    return underlayHostOf(createMapping(overlay, underlay.base + 1, underlay.length), from);
  }

  /** The fans of the host at `address`; undefined where it can't be a host's in any of them. */
  tableOf(address: number): ForwardingTable | undefined {
    if (this.#tables.has(address)) return this.#tables.get(address);
    if (this.#tables.size >= MOST_HOSTS) this.#tables.clear();
    const specs = this.fans.flatMap((fan) => specOf(fan, address) ?? []);
    const table = specs.length === 0 ? undefined : new ForwardingTable(specs);
    this.#tables.set(address, table);
    return table;
  }
}

function specOf({ overlay, underlay, vxlan }: JudgedFan, address: number): FanSpec | undefined {
  if (!contains(underlay, address)) return undefined;
  try {
    return {
      id: `${overlay.base}/${overlay.length}`,
      mapping: createMapping(overlay, address, underlay.length),
      tun: '',
      bridge: '',
      underlayDevice: '',
      io: ['raw'],
      ioNotes: [],
      decapRefused: undefined,
      vxlan,
      kernelVxlan: undefined,
      underlayMtu: ANY_MTU,
      minPathMtu: 576,
      counterBlock: 1,
      ttl: -1,
      dscp: -1,
      fragment: true,
      receiverGroup: 0,
      kernelFlows: { encap: -1, decap: -1 },
      kernelPeers: -1,
      pins: undefined,
    };
  } catch (error) {
    // The network's own or its broadcast address.
    if (error instanceof FanError) return undefined;
    throw error;
  }
}
