/**
 * What the encap programs in the kernel (`--io bpf`) are told: each one its fan, and how long a packet may be.
 *
 * A program takes only what needs no decision. As soon as any path is narrower than the link, longer packets come to
 * EncapPath, which knows the peers; so do all of them where a rule applies that the program doesn't have.
 */
import { type EncapConfig, type EncapProgram, MOST_OWN_ADDRESSES } from '../io/encap-program.js';
import type { FanEntry, ForwardingTable } from './forwarding-table.js';
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
  #allowed = true;

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

  /** Whether the programs may take packets; where not, every packet comes to EncapPath, where it can be seen. */
  allow(allowed: boolean): void {
    this.#allowed = allowed;
    this.#apply();
  }

  #apply(): void {
    for (const served of this.#served) served.program.configure(this.#configOf(served));
  }

  #configOf({ fan, device }: Served): EncapConfig {
    const { mapping } = fan;
    return {
      enabled: this.#allowed && !fan.exitMayBeOverlay && this.#own.length <= MOST_OWN_ADDRESSES,
      overlayBase: fan.overlayBase,
      overlayMask: fan.overlayMask,
      sliceBase: fan.sliceBase,
      sliceMask: fan.sliceMask,
      underlayBase: fan.underlayBase,
      underlayMask: fan.underlayMask,
      shift: mapping.underlay.length - mapping.overlay.length,
      address: fan.address,
      device,
      limit: Math.min(fan.underlayMtu, this.#smallestPath),
      ttl: fan.ttl,
      dscp: fan.dscp,
      linkHeader: 0,
      own: this.#own,
    };
  }
}
