/**
 * Judges packets of a capture by the very code of the dataplane, for the host that each is for: DecapPath as the host of
 * the outer destination would, EncapPath as the host that owns the inner source would. Only what a capture can't know is
 * left out: path MTUs, and what a kernel would have done.
 */
import { contains, type Prefix, prefixOf } from '../addr/prefix.js';
import { DROP, type DropReason, KEEP } from '../base/drop-reason.js';
import { FanError } from '../base/error.js';
import { Counters } from '../dataplane/tables/counters.js';
import type { FanSpec } from '../dataplane/tables/fan-spec.js';
import { ForwardingTable } from '../dataplane/tables/forwarding-table.js';
import { DecapPath } from '../dataplane/walks/decap-path.js';
import { EncapPath } from '../dataplane/walks/encap-path.js';
import { IcmpReplies } from '../dataplane/walks/icmp-replies.js';
import { PathMtuTable } from '../dataplane/walks/path-mtu.js';
import { FRAGMENT_ROOM, TooBig } from '../dataplane/walks/too-big.js';
import { createMapping, underlayHostOf } from '../fan/mapping.js';
import { HEADROOM, MAX_PACKET, PacketBatch } from '../io/packet-batch.js';
import { OUTER_LEN } from '../wire/ipip.js';
import { destination, source } from '../wire/ipv4.js';

/** A fan whatever the host. */
export interface JudgedFan {
  overlay: Prefix;
  /** The underlay's network. */
  underlay: Prefix;
}

/** Hosts whose tables are kept. */
const MOST_HOSTS = 4096;
/** No path is too small: a capture doesn't tell what was known of it. */
const ANY_MTU = 1 << 20;

export class Judge {
  readonly #fans: readonly JudgedFan[];
  /** By the host's address; undefined: no host can have it. */
  readonly #tables = new Map<number, ForwardingTable | undefined>();
  readonly #counters = new Counters();
  readonly #rx = PacketBatch.create(1, HEADROOM + MAX_PACKET + OUTER_LEN + FRAGMENT_ROOM);
  readonly #decap: DecapPath;
  readonly #encap: EncapPath;

  constructor(fans: readonly JudgedFan[]) {
    this.#fans = fans;
    const none = new ForwardingTable([]);
    this.#decap = new DecapPath(this.#counters, none);
    const tooBig = new TooBig(this.#counters, new IcmpReplies(this.#counters), this.#rx.slab, MAX_PACKET);
    this.#encap = new EncapPath(this.#counters, new PathMtuTable(), tooBig, none);
  }

  /**
   * Whether the host of the outer destination would take the tunnel packet. `length` is the packet's, of which `bytes`
   * has at least both headers.
   */
  decap(bytes: Uint8Array, length: number): DropReason {
    const table = this.#tableOf(destination(bytes, 0));
    if (table === undefined) return DROP['outer-destination'];
    this.#decap.configure(table);
    const rx = this.#load(bytes, length);
    this.#decap.process(
      rx,
      table.fans.map(() => new PacketBatch(1, rx.slab)),
    );
    return rx.verdict(0);
  }

  /**
   * Whether the host that owns the source would tunnel the plain packet; undefined where it is not one to be tunnelled:
   * of no overlay, or for a neighbour on the same bridge.
   */
  encap(bytes: Uint8Array, length: number): DropReason | undefined {
    const from = source(bytes, 0);
    const fan = this.#fans.find(
      ({ overlay }) => contains(overlay, from) && contains(overlay, destination(bytes, 0)),
    );
    if (fan === undefined) return undefined;
    const shift = fan.underlay.length - fan.overlay.length;
    if (contains(prefixOf(from, 32 - shift), destination(bytes, 0))) return undefined;
    const host = underlayHostOf(createMapping(fan.overlay, fan.underlay.base + 1, fan.underlay.length), from);
    const table = this.#tableOf(host);
    const entry = table?.fanOf(from | 0);
    if (table === undefined || entry === undefined) return DROP['source-not-ours'];
    this.#encap.configure(table);
    const rx = this.#load(bytes, length);
    this.#encap.process(entry, rx, 0, new PacketBatch(4, rx.slab), 0);
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

  /** The fans of the host at `address`; undefined where it can't be a host's in any of them. */
  #tableOf(address: number): ForwardingTable | undefined {
    if (this.#tables.has(address)) return this.#tables.get(address);
    if (this.#tables.size >= MOST_HOSTS) this.#tables.clear();
    const specs = this.#fans.flatMap((fan) => specOf(fan, address) ?? []);
    const table = specs.length === 0 ? undefined : new ForwardingTable(specs);
    this.#tables.set(address, table);
    return table;
  }
}

function specOf({ overlay, underlay }: JudgedFan, address: number): FanSpec | undefined {
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
      vxlan: undefined,
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
