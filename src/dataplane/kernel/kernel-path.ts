/**
 * What the programs in the kernel (`--io bpf`) are told: each one its fan, and how long a packet may be.
 *
 * A program takes only what needs no decision. As soon as any path is narrower than the link, longer packets come to
 * EncapPath, which knows the peers. All packets come to the daemon's paths where a rule applies that the program doesn't
 * have, or something on the host would be passed by; and, while somebody traces, those of flows that a trace may show
 * (untraced-flows.ts).
 *
 * Of several workers the first one has the programs; the others, to whom a part of those packets comes, give them flows.
 */
import { ETHERNET_LEN } from '../../io/netlink/next-hops.js';
import type { PacketBatch } from '../../io/packet-batch.js';
import {
  type Direct,
  type FanConfig,
  type FanProgram,
  type FlowSink,
  flowsOf,
  largestSentOf,
  MOST_OWN_ADDRESSES,
  type Takes,
} from '../../io/programs/fan-program.js';
import { OUTER_LEN } from '../../wire/ipip.js';
import { VXLAN_OUTER_LEN } from '../../wire/vxlan.js';
import type { KernelPrograms } from '../ports/fan-programs.js';
import type { FanPort, Ports } from '../ports/ports.js';
import type { FanEntry, ForwardingTable } from '../tables/forwarding-table.js';
import type { PeerCounts } from '../tables/peer-table.js';
import type { Tracer } from '../tracing/tracer.js';
import { type Direction, UntracedFlows } from './untraced-flows.js';

interface Served {
  readonly fan: FanEntry;
  readonly direction: Direction;
  /** Undefined where another worker has it. */
  readonly program: FanProgram | undefined;
  readonly flows: FlowSink;
  /** Undefined where the program is. */
  readonly programs: KernelPrograms | undefined;
  /** Whether its packets may go by the kernel, over VXLAN directly, as things are on this host. */
  readonly isOpen: () => boolean;
  /** As FanConfig.own. */
  readonly own: readonly number[];
  wasOpen: boolean;
  takes: Takes;
}

/** What is left to a program of a fan of which a trace wants so much. */
const LEFT: Record<ReturnType<Tracer['wants']>, Takes> = { none: 'all', some: 'untraced', all: 'nothing' };

export class KernelPath {
  #served: Served[] = [];
  #smallestPath = Number.POSITIVE_INFINITY;
  #tracer: Tracer | undefined;
  readonly #untraced = { encap: new UntracedFlows('encap'), decap: new UntracedFlows('decap') };
  #generation = 0;

  /** `ports` are those of the fans of all `tables`, by their index; `generation` as in ToWorker. */
  configure(
    tables: readonly ForwardingTable[],
    ports: readonly FanPort[],
    host: Pick<Ports, 'chains' | 'policies'>,
    generation: number,
  ): void {
    this.#served = tables.flatMap((table) =>
      table.fans.flatMap((fan) => {
        const own = table.ownIn(fan);
        const { programs } = ports[fan.index]!;
        const exit = programs?.decap?.exit;
        // Without the exit there is nothing that would be passed by; without the program another worker has to say so.
        const mayDecap = () =>
          exit === undefined || (exit.isOpen && !host.chains?.mayBePassedBy(fan.underlayDevice, 'in'));
        const mayEncap = () => !host.chains?.mayBePassedBy(fan.underlayDevice, 'out');
        // Packets of IP-in-IP pass by policies in any case, as SECURITY.md says.
        const isFree = () => fan.vxlan === undefined || !host.policies?.exist;
        return [
          ...servedBy(fan, 'encap', own, programs, () => isFree() && mayEncap()),
          ...servedBy(fan, 'decap', own, programs, () => isFree() && mayDecap()),
        ];
      }),
    );
    this.#begin(generation);
  }

  /** `smallest`: the smallest path MTU known of any peer, bytes, or Infinity. Cheap where it is the last one's. */
  setSmallestPath(smallest: number): void {
    if (smallest === this.#smallestPath) return;
    this.#smallestPath = smallest;
    this.#apply();
  }

  /** Devices, chains or traffic control have changed: what decap would lose, or lead past them, comes to DecapPath. */
  followHost(): void {
    if (this.#served.some(({ isOpen, wasOpen }) => isOpen() !== wasOpen)) this.#apply();
  }

  /**
   * What the programs may take follows from what the tracer wants to see: that comes to the daemon's paths. So does, in
   * any case, whatever will be dropped.
   */
  trace(tracer: Tracer | undefined, generation: number): void {
    this.#tracer = tracer;
    this.#begin(generation);
  }

  /** Packets of `rx` came out of the TUN of `fan` and were judged: the program may take what no trace can show. */
  releaseEncap(fan: FanEntry, rx: PacketBatch, nowMs: number): void {
    if (this.#tracer === undefined) return;
    const served = this.#served.find((each) => each.fan === fan && each.direction === 'encap');
    if (served !== undefined) this.#release(served, this.#tracer, rx, nowMs);
  }

  /** The same of packets that the underlay brought, of any fan. */
  releaseDecap(rx: PacketBatch, nowMs: number): void {
    if (this.#tracer === undefined) return;
    for (const served of this.#served) {
      if (served.direction === 'decap') this.#release(served, this.#tracer, rx, nowMs);
    }
  }

  /** `peers` with what the programs have sent on. Allocates. */
  addPeers(peers: readonly PeerCounts[]): PeerCounts[] {
    const byKey = new Map(peers.map((peer) => [`${peer.block} ${peer.address}`, { ...peer }]));
    for (const { fan, direction, program } of this.#served) {
      program?.forEachPeer((address, packets, bytes) => {
        const key = `${fan.counterBlock} ${address}`;
        const none = { block: fan.counterBlock, address, txPackets: 0, txBytes: 0, rxPackets: 0, rxBytes: 0 };
        const peer = byKey.get(key) ?? none;
        if (direction === 'encap') {
          peer.txPackets += packets;
          peer.txBytes += bytes;
        } else {
          peer.rxPackets += packets;
          peer.rxBytes += bytes;
        }
        byKey.set(key, peer);
      });
    }
    return [...byKey.values()];
  }

  /** Bytes of the longest outer packet that a program sent `peer` of late from `address`, both int32; 0: none. */
  largestSent(address: number, peer: number): number {
    let largest = 0;
    for (const { fan, direction, program } of this.#served) {
      if (direction !== 'encap' || fan.address !== address) continue;
      const peers = program?.peersFd ?? fan.kernelPeers;
      if (peers >= 0) largest = Math.max(largest, largestSentOf(peers, peer));
    }
    return largest;
  }

  #release({ fan, direction, flows, takes }: Served, tracer: Tracer, rx: PacketBatch, nowMs: number): void {
    if (takes === 'untraced') this.#untraced[direction].release(fan, flows, tracer, rx, nowMs);
  }

  #begin(generation: number): void {
    this.#generation = generation;
    this.#untraced.encap.begin(generation);
    this.#untraced.decap.begin(generation);
    this.#apply();
  }

  #apply(): void {
    for (const served of this.#served) {
      const { fan, direction, program, programs, own } = served;
      const fits = suits(fan, direction) && own.length <= MOST_OWN_ADDRESSES;
      served.wasOpen = served.isOpen();
      const mayTake = fits && (served.wasOpen || fan.vxlan !== undefined);
      served.takes = mayTake ? LEFT[this.#tracer?.wants(fan.id) ?? 'none'] : 'nothing';
      if (!program || !programs) continue;
      if (direction === 'decap') programs.decap?.exit?.shut(!served.wasOpen);
      const state = { takes: served.takes, generation: this.#generation };
      program.configure({ ...this.#configOf(served, programs), ...state });
    }
  }

  #configOf({ fan, direction, own, wasOpen }: Served, programs: KernelPrograms): FanConfig {
    const { encapTo, decapTo } = programs;
    const longest = Math.min(fan.underlayMtu, this.#smallestPath);
    if (fan.vxlan)
      return vxlanConfigOf(fan, direction, programs, own, {
        longest,
        direct: wasOpen ? directOf(fan, direction) : 'none',
      });
    return direction === 'encap'
      ? encapConfigOf(fan, encapTo, longest, own)
      : decapConfigOf(fan, decapTo, own);
  }
}

function servedBy(
  fan: FanEntry,
  direction: Direction,
  own: readonly number[],
  programs: KernelPrograms | undefined,
  isOpen = () => true,
): Served[] {
  const program = direction === 'encap' ? programs?.encap : programs?.decap?.program;
  const elsewhere = fan.kernelFlows[direction];
  const flows = program ?? (elsewhere < 0 ? undefined : flowsOf(elsewhere));
  return flows
    ? [{ fan, direction, own, program, programs, flows, isOpen, wasOpen: true, takes: 'nothing' }]
    : [];
}

/** Whether a program knows all the rules that apply to packets of this fan. */
function suits(fan: FanEntry, direction: Direction): boolean {
  if (direction === 'encap') return !fan.exitMayBeOverlay;
  // Which fan a frame is for, its VNI says.
  return fan.vxlan !== undefined || fan.isInnermost;
}

/** In a layer-2 fan the exit from the bridge is not there to keep super-packets from ports that are no veths. */
function directOf({ vxlan }: FanEntry, direction: Direction): Direct {
  return direction === 'decap' && vxlan?.layer2 ? 'single' : 'all';
}

/** Of a program of a fan over VXLAN that takes all; `own` as in FanConfig; `longest`: outer packet; `direct` as in VxlanConfig. */
export function vxlanConfigOf(
  fan: FanEntry,
  direction: Direction,
  {
    encapTo,
    decapTo,
    underlayIndex: underlay,
  }: Pick<KernelPrograms, 'encapTo' | 'decapTo' | 'underlayIndex'>,
  own: readonly number[],
  { longest = fan.underlayMtu, direct = directOf(fan, direction) } = {},
): FanConfig {
  const { vni, port } = fan.vxlan!;
  const overVxlan = { vni, port, underlay, direct, cookie: fan.kernelVxlan!.cookie };
  const [device, limit] =
    direction === 'encap' ? [encapTo, longest] : [decapTo, fan.underlayMtu - VXLAN_OUTER_LEN];
  return { ...configOf(fan, own), device, limit, linkHeader: ETHERNET_LEN, overVxlan };
}

/** Of an encap program that takes all; `own` as in FanConfig; `device`: the underlay's; `limit`: the longest outer packet. */
export function encapConfigOf(
  fan: FanEntry,
  device: number,
  limit: number,
  own: readonly number[],
): FanConfig {
  return { ...configOf(fan, own), device, limit, linkHeader: 0 };
}

/** Of a decap program that takes all; `own` as in FanConfig; `device`: the TUN. */
export function decapConfigOf(fan: FanEntry, device: number, own: readonly number[]): FanConfig {
  return { ...configOf(fan, own), device, limit: fan.underlayMtu - OUTER_LEN, linkHeader: ETHERNET_LEN };
}

function configOf(fan: FanEntry, own: readonly number[]): Omit<FanConfig, 'device' | 'limit' | 'linkHeader'> {
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
    ttl: fan.ttl,
    dscp: fan.dscp,
    own,
  };
}
