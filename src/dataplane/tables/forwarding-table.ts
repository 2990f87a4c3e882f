/**
 * The fans of one worker, immutable; a change makes a new table. Answers what both packet paths ask of addresses.
 */
import { broadcastOf, containsPrefix, maskOf, overlaps } from '../../addr/prefix.js';
import { FanTable } from '../../fan/fan-table.js';
import { type MappingBits, mappingBits } from '../../fan/mapping.js';
import { encapTos } from '../../wire/ecn.js';
import type { FanSpec } from './fan-spec.js';

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
  /** Whether no other fan's overlay lies within this one's. */
  readonly isInnermost: boolean;
}

export class ForwardingTable {
  readonly fans: readonly FanEntry[];
  readonly #byOverlay: FanTable;
  /** Underlay address → the first fan that uses it. */
  readonly #byAddress = new Map<number, FanEntry>();
  /** The first fan, where all have the same underlay address. */
  readonly #atOnlyAddress: FanEntry | undefined;
  /** Those of the fans' underlays that no peer has (int32): of this host, fans on it or not, and of all on a link. */
  readonly #own: ReadonlySet<number>;
  /** Where there is just one. */
  readonly #onlyOwn: number | undefined;
  /** What fanOf found last, as a fan's packets follow each other; only a fan that no other can be the answer for. */
  #lastFound: FanEntry | undefined;

  /**
   * `host`: addresses of this host, and of all on its links, host-order u32. `all`: those that the index of a fan is
   * counted in, where `specs` is a part of them.
   */
  constructor(specs: readonly FanSpec[], host: readonly number[] = [], all = specs) {
    this.fans = specs.map((spec) => entryOf(spec, all.indexOf(spec), specs));
    this.#byOverlay = new FanTable(specs.map(({ mapping }) => mapping));
    for (const fan of this.fans) {
      if (!this.#byAddress.has(fan.address)) this.#byAddress.set(fan.address, fan);
    }
    this.#own = new Set(this.fans.flatMap((fan) => [fan.address, ...host.map(bitsOf).filter(isInside(fan))]));
    this.#onlyOwn = this.#own.size === 1 ? this.fans[0]!.address : undefined;
    this.#atOnlyAddress = this.#byAddress.size === 1 ? this.fans[0] : undefined;
  }

  // Addresses are int32 in all of these.

  /** The fan with the longest overlay prefix over `overlayAddress`. */
  fanOf(overlayAddress: number): FanEntry | undefined {
    const last = this.#lastFound;
    if (last !== undefined && (overlayAddress & last.overlayMask) === last.overlayBase) return last;
    const index = this.#byOverlay.lookup(overlayAddress);
    if (index < 0) return undefined;
    const found = this.fans[index]!;
    if (found.isInnermost) this.#lastFound = found;
    return found;
  }

  /** Whether this host has the underlay address, or all on a link have it: no peer does. */
  isOwnAddress(address: number): boolean {
    const only = this.#onlyOwn;
    return only !== undefined ? address === only : this.#own.has(address);
  }

  /** Those addresses that lie in the fan's underlay. */
  ownIn(fan: FanEntry): number[] {
    return [...this.#own].filter(isInside(fan));
  }

  /** The first fan at an underlay address. */
  fanAt(address: number): FanEntry | undefined {
    const only = this.#atOnlyAddress;
    if (only !== undefined) return address === only.address ? only : undefined;
    return this.#byAddress.get(address);
  }

  /** Whether `source` is a host address in the slice of another fan at the same underlay address as `fan`. */
  isSiblingSource(fan: FanEntry, source: number): boolean {
    if (this.fans.length === 1) return false;
    const sibling = this.fanOf(source);
    return sibling !== undefined && sibling.address === fan.address && isHostOfSlice(sibling, source);
  }
}

/** Whether `address` is in the fan's slice and neither its first nor its last address. */
export function isHostOfSlice(fan: FanEntry, address: number): boolean {
  return (
    (address & fan.sliceMask) === fan.sliceBase && address !== fan.sliceBase && address !== fan.sliceBroadcast
  );
}

const bitsOf = (address: number): number => address | 0;

const isInside =
  ({ underlayMask, underlayBase }: FanEntry) =>
  (address: number): boolean =>
    (address & underlayMask) === underlayBase;

/** Field by field: a spread gives each entry a shape of its own in the end, and the walks are compiled for one. */
function entryOf(spec: FanSpec, index: number, all: readonly FanSpec[]): FanEntry {
  const { address, overlay, slice, underlay } = spec.mapping;
  const { underlayBase, overlayHostMask, shift } = mappingBits(spec.mapping);
  return {
    id: spec.id,
    mapping: spec.mapping,
    tun: spec.tun,
    bridge: spec.bridge,
    underlayDevice: spec.underlayDevice,
    vxlan: spec.vxlan,
    kernelVxlan: spec.kernelVxlan,
    io: spec.io,
    ioNotes: spec.ioNotes,
    decapRefused: spec.decapRefused,
    underlayMtu: spec.underlayMtu,
    minPathMtu: spec.minPathMtu,
    counterBlock: spec.counterBlock,
    ttl: spec.ttl,
    dscp: spec.dscp,
    fragment: spec.fragment,
    receiverGroup: spec.receiverGroup,
    kernelFlows: spec.kernelFlows,
    kernelPeers: spec.kernelPeers,
    pins: spec.pins,
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
    isInnermost: all.every((other) => other === spec || !containsPrefix(overlay, other.mapping.overlay)),
    exitMayBeOverlay: all.some((other) => overlaps(other.mapping.overlay, underlay)),
  };
}
