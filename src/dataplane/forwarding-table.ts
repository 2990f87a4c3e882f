/**
 * The fans of one worker, immutable; a change makes a new table. Answers what both packet paths ask of addresses.
 */
import { broadcastOf, maskOf, overlaps } from '../addr/prefix.js';
import { FanTable } from '../fan/fan-table.js';
import { type MappingBits, mappingBits } from '../fan/mapping.js';
import { encapTos } from '../wire/ecn.js';
import type { FanSpec } from './worker-protocol.js';

/**
 * One fan with all that a packet needs precomputed. Addresses and masks are the int32 of their bits, as the packet
 * paths read them (wire/ipv4.ts says why).
 */
export interface FanEntry extends FanSpec, MappingBits {
  readonly index: number;
  /** Outer TOS by inner TOS: 256 entries. */
  readonly outerTos: Uint8Array;
  /** Our underlay address. */
  readonly address: number;
  readonly overlayMask: number;
  readonly overlayBase: number;
  readonly sliceMask: number;
  readonly sliceBase: number;
  /** The last address of the slice; like the first, never a host's. */
  readonly sliceBroadcast: number;
  readonly underlayMask: number;
  readonly underlayBroadcast: number;
  /** Whether an overlay lies over this fan's underlay, so that an exit might be inside an overlay. */
  readonly exitMayBeOverlay: boolean;
}

export class ForwardingTable {
  readonly fans: readonly FanEntry[];
  readonly #byOverlay: FanTable;
  /** Underlay address → index of the first fan that uses it. */
  readonly #byAddress = new Map<number, number>();
  /** The underlay address of all fans, or 0 where they have several. */
  readonly #onlyAddress: number;

  constructor(specs: readonly FanSpec[]) {
    this.fans = specs.map((spec, index) => entryOf(spec, index, specs));
    this.#byOverlay = new FanTable(specs.map(({ mapping }) => mapping));
    for (const { address, index } of this.fans) {
      if (!this.#byAddress.has(address)) this.#byAddress.set(address, index);
    }
    this.#onlyAddress = this.#byAddress.size === 1 ? this.fans[0]!.address : 0;
  }

  // Addresses are int32 in all of these.

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
    if (this.#onlyAddress !== 0) return address === this.#onlyAddress ? 0 : -1;
    return this.#byAddress.get(address) ?? -1;
  }

  /** Whether `source` is a host address in the slice of another fan at the same underlay address as `fan`. */
  isSiblingSource(fan: FanEntry, source: number): boolean {
    if (this.fans.length === 1) return false;
    const sibling = this.fans[this.lookup(source)];
    return sibling !== undefined && sibling.address === fan.address && isHostOfSlice(sibling, source);
  }
}

/** Whether `address` is in the fan's slice and neither its first nor its last address. */
export function isHostOfSlice(fan: FanEntry, address: number): boolean {
  return (
    (address & fan.sliceMask) === fan.sliceBase && address !== fan.sliceBase && address !== fan.sliceBroadcast
  );
}

/** Field by field: a spread gives each entry a shape of its own in the end, and the walks are compiled for one. */
function entryOf(spec: FanSpec, index: number, all: readonly FanSpec[]): FanEntry {
  const { address, overlay, slice, underlay } = spec.mapping;
  const { underlayBase, overlayHostMask, shift } = mappingBits(spec.mapping);
  return {
    id: spec.id,
    mapping: spec.mapping,
    tun: spec.tun,
    underlayDevice: spec.underlayDevice,
    io: spec.io,
    ioNotes: spec.ioNotes,
    underlayMtu: spec.underlayMtu,
    counterBlock: spec.counterBlock,
    ttl: spec.ttl,
    dscp: spec.dscp,
    fragment: spec.fragment,
    receiverGroup: spec.receiverGroup,
    encapFlows: spec.encapFlows,
    index,
    outerTos: Uint8Array.from({ length: 256 }, (_, tos) => encapTos(tos, spec.dscp)),
    address: address | 0,
    overlayMask: maskOf(overlay.length) | 0,
    overlayBase: overlay.base | 0,
    overlayHostMask,
    shift,
    sliceMask: maskOf(slice.length) | 0,
    sliceBase: slice.base | 0,
    sliceBroadcast: broadcastOf(slice) | 0,
    underlayMask: maskOf(underlay.length) | 0,
    underlayBase,
    underlayBroadcast: broadcastOf(underlay) | 0,
    exitMayBeOverlay: all.some((other) => overlaps(other.mapping.overlay, underlay)),
  };
}
