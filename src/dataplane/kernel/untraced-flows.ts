/**
 * Flows that no trace can show: found among the packets that come to us while somebody traces, and given to the
 * program of `--io bpf`, which from then on sends them on by itself. All others stay where they can be seen.
 *
 * A flow is what the program can tell of a packet (fan_flow in native/bpf/fan_program.h): addresses, protocol, and ports of
 * TCP and UDP. All else, the length too, may be different in the next packet. Of a fan over VXLAN, what both ends agree on
 * is known as well; other frames than of IPv4 are of no flow. A packet that came to us, and others of
 * its flow behind it, may be overtaken by the first that the program takes.
 */
import { KEEP } from '../../base/drop-reason.js';
import type { VxlanTerms } from '../../fan/encapsulation.js';
import { underlayHostBits } from '../../fan/mapping.js';
import type { PacketBatch } from '../../io/packet-batch.js';
import { FLOW_WORDS, type FlowSink } from '../../io/programs/fan-program.js';
import type { KnownPacket } from '../../wire/flow-filter.js';
import { OUTER_LEN } from '../../wire/ipip.js';
import {
  DESTINATION,
  DONT_FRAGMENT,
  destination,
  FLAGS_FRAGMENT,
  FRAGMENT_OFFSET_MASK,
  isFragment,
  MIN_HEADER_LEN,
  MORE_FRAGMENTS,
  PROTOCOL,
  PROTOCOL_IPIP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  protocol,
  read32,
  SOURCE,
  source,
  write16,
  write32,
} from '../../wire/ipv4.js';
import { UDP_TARGET_PORT } from '../../wire/udp.js';
import {
  ETHERNET_LEN,
  ETHERTYPE_IPV4,
  etherType,
  TUNNEL_LEN,
  VXLAN_LEN,
  VXLAN_OUTER_LEN,
  writeVxlan,
} from '../../wire/vxlan.js';
import type { FanEntry } from '../tables/forwarding-table.js';
import type { Tracer } from '../tracing/tracer.js';

/** Version 4, IHL 5. */
const VERSION_IHL = 0x45;
/** Where each encapsulation has the inner packet. */
const IN_VXLAN = VXLAN_OUTER_LEN;
const IN_IPIP = OUTER_LEN;
const PORTS_LEN = 4;
/** In Ethernet. */
const ETHER_TYPE = 12;
/** What is 0 in the flags and fragment word of a packet that is no fragment. */
const FRAGMENT = MORE_FRAGMENTS | FRAGMENT_OFFSET_MASK;
/** Flows of which the judgement is kept, a power of 2; of two in one slot, the later one. */
const SLOTS = 1024;
/** The fan's index + 1, and the flow without its generation. */
const SLOT_WORDS = FLOW_WORDS;
/** The program forgets flows; packets of one that still come after this time mean so. ms */
const AGAIN_MS = 100;
/** Judging takes at most this share of the thread's time, and as many ms at once. */
const TIME_SHARE = 0.05;
const MOST_MS = 5;

/** Which way packets go: out of the TUN, or out of their outer headers. */
export type Direction = 'encap' | 'decap';

export class UntracedFlows {
  readonly #direction: Direction;
  readonly #slots = new Uint32Array(SLOTS * SLOT_WORDS);
  /** When to tell the program of the slot's flow again; Infinity: never, it is traced. */
  readonly #againMs = new Float64Array(SLOTS);
  /** Generation, source, target, ports, protocol. */
  readonly #flow = new Uint32Array(FLOW_WORDS);
  readonly #ofIpip: FlowPacket;
  readonly #ofVxlan: FlowPacket;
  #budgetMs = MOST_MS;
  #refilledMs = 0;

  constructor(direction: Direction) {
    this.#direction = direction;
    this.#ofIpip = new FlowPacket(IN_IPIP, PROTOCOL_IPIP, direction === 'encap' ? DONT_FRAGMENT : undefined);
    this.#ofVxlan = new FlowPacket(IN_VXLAN, PROTOCOL_UDP, undefined);
  }

  /** Other traces, or other fans: what was judged counts no more. `generation`: of the flows from now on. */
  begin(generation: number): void {
    this.#slots.fill(0);
    this.#flow[0] = generation;
  }

  /** Gives `program` the untraced flows among packets of `rx`, which were judged: those of `fan`. */
  release(fan: FanEntry, program: FlowSink, tracer: Tracer, rx: PacketBatch, nowMs: number): void {
    this.#budgetMs = Math.min(MOST_MS, this.#budgetMs + (nowMs - this.#refilledMs) * TIME_SHARE);
    this.#refilledMs = nowMs;
    for (let i = 0; i < rx.count; i++) {
      if (rx.verdict(i) !== KEEP || !this.#readInner(fan, rx, i)) continue;
      if (!this.#isToBeTold(fan, tracer, nowMs)) continue;
      program.addFlow(this.#flow);
    }
  }

  /** Reads the flow of packet i, as #readFlow does; false where it is none of this fan. */
  #readInner(fan: FanEntry, rx: PacketBatch, i: number): boolean {
    const isDecap = this.#direction === 'decap';
    if (isDecap && rx.verdictFan(i) !== fan.index) return false;
    let skip = 0;
    if (fan.vxlan) {
      const link = isDecap ? VXLAN_LEN : 0;
      if (etherType(rx.slab, rx.offset(i) + link) !== ETHERTYPE_IPV4) return false;
      skip = link + ETHERNET_LEN;
    } else if (isDecap) {
      if (rx.slab[rx.offset(i)] !== VERSION_IHL) return false;
      skip = OUTER_LEN;
    }
    return this.#readFlow(rx.slab, rx.offset(i) + skip, rx.length(i) - skip);
  }

  /** Reads the flow of a packet that has the header of one; false for one of none. */
  #readFlow(bytes: Uint8Array, off: number, len: number): boolean {
    if (bytes[off] !== VERSION_IHL || isFragment(bytes, off)) return false;
    const flow = this.#flow;
    const proto = protocol(bytes, off);
    const portsEnd = hasPorts(proto) ? MIN_HEADER_LEN + PORTS_LEN : MIN_HEADER_LEN;
    if (len < portsEnd) return false;
    flow[1] = source(bytes, off);
    flow[2] = destination(bytes, off);
    flow[3] = hasPorts(proto) ? read32(bytes, off + MIN_HEADER_LEN) : 0;
    flow[4] = proto;
    return true;
  }

  /** Whether #flow is untraced, and the program doesn't know it, or has forgotten it. */
  #isToBeTold(fan: FanEntry, tracer: Tracer, nowMs: number): boolean {
    const slot = slotOf(this.#flow);
    if (this.#holds(slot, fan)) {
      if (nowMs < this.#againMs[slot]!) return false;
    } else {
      if (this.#budgetMs <= 0) return false;
      this.#slots.set(this.#flow, slot * SLOT_WORDS);
      this.#slots[slot * SLOT_WORDS] = fan.index + 1;
      if (this.#isTraced(fan, tracer)) {
        this.#againMs[slot] = Number.POSITIVE_INFINITY;
        return false;
      }
    }
    this.#againMs[slot] = nowMs + AGAIN_MS;
    return true;
  }

  /** Whether the slot is that of #flow. */
  #holds(slot: number, fan: FanEntry): boolean {
    const at = slot * SLOT_WORDS;
    if (this.#slots[at] !== fan.index + 1) return false;
    for (let i = 1; i < FLOW_WORDS; i++) if (this.#slots[at + i] !== this.#flow[i]) return false;
    return true;
  }

  #isTraced(fan: FanEntry, tracer: Tracer): boolean {
    const startMs = performance.now();
    const flow = this.#flow;
    const out = this.#direction === 'encap';
    const packet = fan.vxlan ? this.#ofVxlan : this.#ofIpip;
    packet.setEnds(
      out ? fan.address : underlayHostBits(fan, flow[1]!),
      out ? underlayHostBits(fan, flow[2]!) : fan.address,
    );
    if (fan.vxlan) packet.setTunnel(fan.vxlan);
    const traced = tracer.mayShow(fan.id, packet.of(flow), packet.innerAt);
    this.#budgetMs -= performance.now() - startMs;
    return traced;
  }
}

/** A packet of which only its flow is known, in its outer headers. */
class FlowPacket {
  readonly innerAt: number;
  readonly #bytes: Uint8Array;
  readonly #withPorts: KnownPacket;
  readonly #withoutPorts: KnownPacket;

  /** `flags`: the outer header's flags and fragment word, where more is known than that it is no fragment. */
  constructor(innerAt: number, outerProtocol: number, flags: number | undefined) {
    this.innerAt = innerAt;
    this.#bytes = new Uint8Array(innerAt + MIN_HEADER_LEN + PORTS_LEN);
    for (const start of [0, innerAt]) this.#bytes[start] = VERSION_IHL;
    write16(this.#bytes, FLAGS_FRAGMENT, flags ?? 0);
    this.#bytes[PROTOCOL] = outerProtocol;
    const mask = flags === undefined ? FRAGMENT : 0xffff;
    this.#withPorts = { bytes: this.#bytes, known: knownBits(innerAt, mask, PORTS_LEN) };
    this.#withoutPorts = { bytes: this.#bytes, known: knownBits(innerAt, mask, 0) };
  }

  setEnds(source: number, destination: number): void {
    write32(this.#bytes, SOURCE, source);
    write32(this.#bytes, DESTINATION, destination);
  }

  /** What all of a fan's packets have between the outer header and the inner one. */
  setTunnel({ vni, port }: VxlanTerms): void {
    const vxlan = this.innerAt - TUNNEL_LEN;
    write16(this.#bytes, MIN_HEADER_LEN + UDP_TARGET_PORT, port);
    writeVxlan(new DataView(this.#bytes.buffer), vxlan, vni);
    write16(this.#bytes, vxlan + VXLAN_LEN + ETHER_TYPE, ETHERTYPE_IPV4);
  }

  of(flow: Uint32Array): KnownPacket {
    const inner = this.innerAt;
    this.#bytes[inner + PROTOCOL] = flow[4]!;
    write32(this.#bytes, inner + SOURCE, flow[1]!);
    write32(this.#bytes, inner + DESTINATION, flow[2]!);
    write32(this.#bytes, inner + MIN_HEADER_LEN, flow[3]!);
    return hasPorts(flow[4]!) ? this.#withPorts : this.#withoutPorts;
  }
}

function hasPorts(proto: number): boolean {
  return proto === PROTOCOL_TCP || proto === PROTOCOL_UDP;
}

function slotOf(flow: Uint32Array): number {
  let mixed = 0;
  for (let i = 1; i < FLOW_WORDS; i++) mixed = Math.imul(mixed ^ flow[i]!, 0x9e3779b1) ^ (mixed >>> 15);
  return (mixed ^ (mixed >>> 16)) & (SLOTS - 1);
}

/**
 * Which bits all packets of a flow have in common, in both IP headers, in the tunnel's between them, and `portsLen` bytes
 * behind. `flags`: those of the outer flags and fragment word.
 */
function knownBits(innerAt: number, flags: number, portsLen: number): Uint8Array {
  const known = new Uint8Array(innerAt + MIN_HEADER_LEN + portsLen);
  for (const start of [0, innerAt]) {
    known[start] = 0xff;
    known[start + PROTOCOL] = 0xff;
    known.fill(0xff, start + SOURCE, start + MIN_HEADER_LEN);
  }
  write16(known, FLAGS_FRAGMENT, flags);
  write16(known, innerAt + FLAGS_FRAGMENT, FRAGMENT);
  known.fill(0xff, innerAt + MIN_HEADER_LEN);
  if (innerAt === IN_IPIP) return known;
  const vxlan = innerAt - TUNNEL_LEN;
  // The source port of what the kernel sends or hands over is shown as 0.
  known.fill(0xff, MIN_HEADER_LEN, MIN_HEADER_LEN + UDP_TARGET_PORT + 2);
  known.fill(0xff, vxlan, vxlan + VXLAN_LEN);
  write16(known, vxlan + VXLAN_LEN + ETHER_TYPE, 0xffff);
  return known;
}
