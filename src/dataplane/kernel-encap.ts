/**
 * What the encap programs in the kernel (`--io bpf`) are told: each one its fan, and how long a packet may be.
 *
 * A program takes only what needs no decision. As soon as any path is narrower than the link, longer packets come to
 * EncapPath, which knows the peers; so do all of them where a rule applies that the program doesn't have.
 */
import { type EncapConfig, type EncapProgram, MOST_OWN_ADDRESSES } from '../io/encap-program.js';
import type { FanEntry, ForwardingTable } from './forwarding-table.js';
import type { PeerCounts } from './peer-table.js';
import type { FanPort } from './ports.js';

interface Served {
  readonly fan: FanEntry;
  readonly program: EncapProgram;
  readonly device: number;
}

export class KernelEncap {
  #served: Served[] = [];
  #own: readonly number[] = [];
  #smallestPath = Number.POSITIVE_INFINITY;
  #mayTake: (fan: string) => boolean = () => true;

  /** `ports` are those of the table's fans, in its order. */
  configure(table: ForwardingTable, ports: readonly FanPort[]): void {
    this.#own = [...new Set(table.fans.map(({ address }) => address))];
    this.#served = table.fans.flatMap((fan) => {
      const { program, underlay } = ports[fan.index]!;
      return program ? [{ fan, program, device: underlay.deviceIndex! }] : [];
    });
    this.#apply();
  }

  /** `smallest`: the smallest path MTU known of any peer, bytes, or Infinity. Cheap where it is the last one's. */
  setSmallestPath(smallest: number): void {
    if (smallest === this.#smallestPath) return;
    this.#smallestPath = smallest;
    this.#apply();
  }

  /**
   * Whose packets the programs may take, by the fan's id. What they may not take comes to EncapPath, where it can be
   * seen; so does, in any case, whatever will be dropped.
   */
  allow(mayTake: (fan: string) => boolean): void {
    this.#mayTake = mayTake;
    this.#apply();
  }

  /** `peers` with what the programs have sent. Allocates. */
  addPeers(peers: readonly PeerCounts[]): PeerCounts[] {
    const byKey = new Map(peers.map((peer) => [`${peer.block} ${peer.address}`, { ...peer }]));
    for (const { fan, program } of this.#served) {
      program.forEachPeer((address, packets, bytes) => {
        const key = `${fan.counterBlock} ${address}`;
        const none = { block: fan.counterBlock, address, txPackets: 0, txBytes: 0, rxPackets: 0, rxBytes: 0 };
        const peer = byKey.get(key) ?? none;
        byKey.set(key, { ...peer, txPackets: peer.txPackets + packets, txBytes: peer.txBytes + bytes });
      });
    }
    return [...byKey.values()];
  }

  #apply(): void {
    for (const { fan, program, device } of this.#served) {
      const fits = !fan.exitMayBeOverlay && this.#own.length <= MOST_OWN_ADDRESSES;
      const enabled = fits && this.#mayTake(fan.id);
      const limit = Math.min(fan.underlayMtu, this.#smallestPath);
      program.configure(encapConfigOf(fan, device, limit, this.#own, enabled));
    }
  }
}

/** `enabled` and `own` as in EncapConfig; `device`: index of the underlay's; `limit`: the longest outer packet. */
export function encapConfigOf(
  fan: FanEntry,
  device: number,
  limit: number,
  own: readonly number[],
  enabled: boolean,
): EncapConfig {
  const { overlay, underlay } = fan.mapping;
  return {
    enabled,
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
