/**
 * What the encap programs in the kernel (`--io bpf`) are told: each one its fan, and how long a packet may be.
 *
 * A program takes only what needs no decision. As soon as any path is narrower than the link, longer packets come to
 * EncapPath, which knows the peers; so do all of them where a rule applies that the program doesn't have, and, while
 * somebody traces, those of flows that a trace may show (untraced-flows.ts).
 *
 * Of several workers the first one has the programs; the others, to whom a part of those packets comes, give them flows.
 */
import {
  type EncapConfig,
  type EncapProgram,
  type FlowSink,
  flowsOf,
  MOST_OWN_ADDRESSES,
  type Takes,
} from '../io/encap-program.js';
import type { PacketBatch } from '../io/packet-batch.js';
import type { FanEntry, ForwardingTable } from './forwarding-table.js';
import type { PeerCounts } from './peer-table.js';
import type { FanPort } from './ports.js';
import type { Tracer } from './tracer.js';
import { UntracedFlows } from './untraced-flows.js';

interface Served {
  readonly fan: FanEntry;
  /** Undefined where another worker has it. */
  readonly program: EncapProgram | undefined;
  readonly flows: FlowSink;
  readonly device: number;
  takes: Takes;
}

/** What is left to a program of a fan of which a trace wants so much. */
const LEFT: Record<ReturnType<Tracer['wants']>, Takes> = { none: 'all', some: 'untraced', all: 'nothing' };

export class KernelEncap {
  #served: Served[] = [];
  #own: readonly number[] = [];
  #smallestPath = Number.POSITIVE_INFINITY;
  #tracer: Tracer | undefined;
  readonly #untraced = new UntracedFlows();
  #generation = 0;

  /** `ports` are those of the table's fans, in its order; `generation` as in ToWorker. */
  configure(table: ForwardingTable, ports: readonly FanPort[], generation: number): void {
    this.#own = [...new Set(table.fans.map(({ address }) => address))];
    this.#served = table.fans.flatMap((fan) => {
      const { program, underlay } = ports[fan.index]!;
      const flows = program ?? (fan.encapFlows < 0 ? undefined : flowsOf(fan.encapFlows));
      return flows ? [{ fan, program, flows, device: underlay.deviceIndex!, takes: 'nothing' }] : [];
    });
    this.#begin(generation);
  }

  /** `smallest`: the smallest path MTU known of any peer, bytes, or Infinity. Cheap where it is the last one's. */
  setSmallestPath(smallest: number): void {
    if (smallest === this.#smallestPath) return;
    this.#smallestPath = smallest;
    this.#apply();
  }

  /**
   * What the programs may take follows from what the tracer wants to see: that comes to EncapPath. So does, in any case,
   * whatever will be dropped.
   */
  trace(tracer: Tracer | undefined, generation: number): void {
    this.#tracer = tracer;
    this.#begin(generation);
  }

  /** Packets of `rx` came out of the TUN of `fan` and were judged: the program may take what no trace can show. */
  release(fan: FanEntry, rx: PacketBatch, nowMs: number): void {
    const tracer = this.#tracer;
    if (tracer === undefined) return;
    const served = this.#served.find((each) => each.fan === fan);
    if (served?.takes === 'untraced') this.#untraced.release(fan, served.flows, tracer, rx, nowMs);
  }

  /** `peers` with what the programs have sent. Allocates. */
  addPeers(peers: readonly PeerCounts[]): PeerCounts[] {
    const byKey = new Map(peers.map((peer) => [`${peer.block} ${peer.address}`, { ...peer }]));
    for (const { fan, program } of this.#served) {
      program?.forEachPeer((address, packets, bytes) => {
        const key = `${fan.counterBlock} ${address}`;
        const none = { block: fan.counterBlock, address, txPackets: 0, txBytes: 0, rxPackets: 0, rxBytes: 0 };
        const peer = byKey.get(key) ?? none;
        byKey.set(key, { ...peer, txPackets: peer.txPackets + packets, txBytes: peer.txBytes + bytes });
      });
    }
    return [...byKey.values()];
  }

  #begin(generation: number): void {
    this.#generation = generation;
    this.#untraced.begin(generation);
    this.#apply();
  }

  #apply(): void {
    for (const served of this.#served) {
      const { fan, program, device } = served;
      const fits = !fan.exitMayBeOverlay && this.#own.length <= MOST_OWN_ADDRESSES;
      served.takes = fits ? LEFT[this.#tracer?.wants(fan.id) ?? 'none'] : 'nothing';
      const limit = Math.min(fan.underlayMtu, this.#smallestPath);
      const { takes } = served;
      program?.configure({
        ...encapConfigOf(fan, device, limit, this.#own),
        takes,
        generation: this.#generation,
      });
    }
  }
}

/** Of a program that takes all; `own` as in EncapConfig; `device`: the underlay's; `limit`: the longest outer packet. */
export function encapConfigOf(
  fan: FanEntry,
  device: number,
  limit: number,
  own: readonly number[],
): EncapConfig {
  const { overlay, underlay } = fan.mapping;
  return {
    takes: 'all',
    generation: 0,
    overlayBase: fan.overlayBase,
    overlayMask: fan.overlayMask,
    sliceBase: fan.sliceBase,
    sliceMask: fan.sliceMask,
    underlayBase: fan.underlayBase,
    underlayMask: fan.underlayMask,
    shift: underlay.length - overlay.length,
    address: fan.address,
    device,
    limit,
    ttl: fan.ttl,
    dscp: fan.dscp,
    linkHeader: 0,
    own,
  };
}
