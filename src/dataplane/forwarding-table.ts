/**
 * The fans of one worker, immutable; a change makes a new table. Answers what both packet paths ask of addresses.
 */
import { broadcastOf, maskOf, overlaps } from '../addr/prefix.js';
import { FanTable } from '../fan/fan-table.js';
import { encapTos } from '../wire/ecn.js';
import type { FanSpec } from './worker-protocol.js';

/** One fan with all that a packet needs precomputed; bases and masks are host-order u32. */
export interface FanEntry extends FanSpec {
  readonly index: number;
  /** Outer TOS by inner TOS: 256 entries. */
  readonly outerTos: Uint8Array;
  readonly overlayMask: number;
  readonly overlayBase: number;
  readonly sliceMask: number;
  readonly sliceBase: number;
  /** The last address of the slice; like the first, never a host's. */
  readonly sliceBroadcast: number;
  readonly underlayMask: number;
  readonly underlayBase: number;
  readonly underlayBroadcast: number;
  /** Whether an overlay lies over this fan's underlay, so that an exit might be inside an overlay. */
  readonly exitMayBeOverlay: boolean;
}

export class ForwardingTable {
  readonly fans: readonly FanEntry[];
  readonly #byOverlay: FanTable;
  /** Underlay address → index of the first fan that uses it. */
  readonly #byAddress = new Map<number, number>();
  readonly #onlyAddress: number;

  constructor(specs: readonly FanSpec[]) {
    this.fans = specs.map((spec, index) => entryOf(spec, index, specs));
    this.#byOverlay = new FanTable(specs.map(({ mapping }) => mapping));
    for (const { mapping, index } of this.fans) {
      if (!this.#byAddress.has(mapping.address)) this.#byAddress.set(mapping.address, index);
    }
    this.#onlyAddress = this.#byAddress.size === 1 ? this.fans[0]!.mapping.address : -1;
  }

  /** Index of the fan with the longest overlay prefix over `overlayAddress`, or −1. */
  lookup(overlayAddress: number): number {
    return this.#byOverlay.lookup(overlayAddress);
  }

  /** Whether a fan here uses this underlay address. */
  isOwnAddress(address: number): boolean {
    return address === this.#onlyAddress || this.fanAt(address) >= 0;
  }

  /** Index of the first fan at an underlay address, or −1. */
  fanAt(address: number): number {
    if (this.#onlyAddress >= 0) return address === this.#onlyAddress ? 0 : -1;
    return this.#byAddress.get(address) ?? -1;
  }

  /** Whether `source` is a host address in the slice of another fan at the same underlay address as `fan`. */
  isSiblingSource(fan: FanEntry, source: number): boolean {
    if (this.fans.length === 1) return false;
    const sibling = this.fans[this.lookup(source)];
    return (
      sibling !== undefined &&
      sibling.mapping.address === fan.mapping.address &&
      isHostOfSlice(sibling, source)
    );
  }
}

/** Whether `address` is in the fan's slice and neither its first nor its last address. */
export function isHostOfSlice(fan: FanEntry, address: number): boolean {
  return (
    (address & fan.sliceMask) >>> 0 === fan.sliceBase &&
    address !== fan.sliceBase &&
    address !== fan.sliceBroadcast
  );
}

function entryOf(spec: FanSpec, index: number, all: readonly FanSpec[]): FanEntry {
  const { overlay, slice, underlay } = spec.mapping;
  return {
    ...spec,
    index,
    outerTos: Uint8Array.from({ length: 256 }, (_, tos) => encapTos(tos, spec.dscp)),
    overlayMask: maskOf(overlay.length),
    overlayBase: overlay.base,
    sliceMask: maskOf(slice.length),
    sliceBase: slice.base,
    sliceBroadcast: broadcastOf(slice),
    underlayMask: maskOf(underlay.length),
    underlayBase: underlay.base,
    underlayBroadcast: broadcastOf(underlay),
    exitMayBeOverlay: all.some((other) => overlaps(other.mapping.overlay, underlay)),
  };
}
