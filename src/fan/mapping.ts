/**
 * The fan's arithmetic: which slice of the overlay a host owns, and which host owns an overlay address.
 *
 * With overlay O/o, underlay U/u and shift s = u − o, host h owns `O | (host bits of h << s)`, a slice of
 * o + 32 − u bits; overlay address d lives on host `U | (host bits of d >> s)`. Nothing is looked up or learnt:
 * encap asks underlayHostOf for the outer destination, decap for the only outer source an inner one may have.
 * createMapping holds the refusals that need one fan only; fan-conflicts.ts has those between fans and routes.
 */
import { BROADCAST, formatAddress } from '../addr/ipv4-address.js';
import {
  broadcastOf,
  contains,
  formatPrefix,
  maskOf,
  overlaps,
  type Prefix,
  prefixOf,
} from '../addr/prefix.js';
import { FanError } from '../base/error.js';

export interface FanMapping {
  readonly overlay: Prefix;
  readonly underlay: Prefix;
  /** This host's underlay address, u32. */
  readonly address: number;
  /** Underlay length − overlay length: bits of left shift from underlay to overlay, 2–30. */
  readonly shift: number;
  /** What this host owns of the overlay. */
  readonly slice: Prefix;
  /** The first host address of the slice; the bridge has it. */
  readonly gateway: number;
}

/** Networks whose addresses mean the host itself or a group, never one host elsewhere (RFC 6890, RFC 5771). */
const UNUSABLE: readonly (Prefix & { readonly meaning: string })[] = [
  { base: 0, length: 8, meaning: '"this network"' },
  { base: 0x7f000000, length: 8, meaning: 'loopback' },
  { base: 0xe0000000, length: 4, meaning: 'multicast' },
];

/** The longest slice with a gateway and a container: /30 has two host addresses. */
const LONGEST_SLICE = 30;

/**
 * The mapping of a fan. `address` is the host's own on the underlay, whose network is `underlayLength` bits of it.
 * Throws FanError bad-overlay, bad-underlay or overlap.
 */
export function createMapping(overlay: Prefix, address: number, underlayLength: number): FanMapping {
  checkUnderlay(address, underlayLength);
  const underlay = prefixOf(address, underlayLength);
  checkOverlay(overlay);
  checkWidths(overlay, underlay);
  if (overlaps(overlay, underlay)) {
    throw new FanError(
      'overlap',
      `overlay ${formatPrefix(overlay)} and underlay ${formatPrefix(underlay)} overlap: choose another overlay`,
    );
  }
  checkHostAddress(address, underlay);
  const shift = underlay.length - overlay.length;
  const slice = sliceOf({ overlay, underlay, shift }, address);
  return { overlay, underlay, address, shift, slice, gateway: slice.base + 1 };
}

/**
 * The underlay address of the host that owns `overlayAddress`, u32. Meaningful for addresses inside the overlay.
 * Per packet: allocates nothing. The result may be the underlay's network or broadcast address, or our own.
 */
export function underlayHostOf(mapping: FanMapping, overlayAddress: number): number {
  return underlayHostBits(mappingBits(mapping), overlayAddress) >>> 0;
}

/** What the arithmetic needs, as the int32 of the bits. */
export interface MappingBits {
  readonly underlayBase: number;
  /** The bits of an overlay address behind the overlay's prefix. */
  readonly overlayHostMask: number;
  readonly shift: number;
}

export function mappingBits({ overlay, underlay, shift }: FanMapping): MappingBits {
  return { underlayBase: underlay.base | 0, overlayHostMask: ~maskOf(overlay.length), shift };
}

/** As underlayHostOf, as the int32 of the same bits, from either form of the address: for the packet paths. */
export function underlayHostBits(fan: MappingBits, overlayAddress: number): number {
  return fan.underlayBase | ((overlayAddress & fan.overlayHostMask) >>> fan.shift);
}

/** The slice that the host with `underlayAddress` owns. */
export function sliceOf(
  mapping: Pick<FanMapping, 'overlay' | 'underlay' | 'shift'>,
  underlayAddress: number,
): Prefix {
  const hostBits = underlayAddress & ~maskOf(mapping.underlay.length);
  return {
    base: (mapping.overlay.base | (hostBits << mapping.shift)) >>> 0,
    length: 32 - mapping.shift,
  };
}

function checkUnderlay(address: number, length: number): void {
  if (!Number.isInteger(length) || length < 1 || length > 32) {
    throw new FanError('bad-underlay', `underlay width /${length} is not between /1 and /32`);
  }
  const unusable = UNUSABLE.find((network) => contains(network, address));
  if (unusable) {
    throw new FanError(
      'bad-underlay',
      `underlay address ${formatAddress(address)} is in ${formatPrefix(unusable)} (${unusable.meaning}): ` +
        'name an address by which other hosts reach this one',
    );
  }
}

function checkOverlay(overlay: Prefix): void {
  const { base, length } = prefixOf(overlay.base, overlay.length);
  if (base !== overlay.base) {
    throw new FanError(
      'bad-overlay',
      `overlay ${formatPrefix(overlay)} has host bits set: did you mean ${formatPrefix({ base, length })}?`,
    );
  }
  const unusable = UNUSABLE.find((network) => overlaps(network, overlay));
  if (unusable) {
    throw new FanError(
      'bad-overlay',
      `overlay ${formatPrefix(overlay)} overlaps ${formatPrefix(unusable)} (${unusable.meaning}): ` +
        'choose another, such as 250.0.0.0/8',
    );
  }
}

function checkWidths(overlay: Prefix, underlay: Prefix): void {
  const shift = underlay.length - overlay.length;
  if (shift <= 0) {
    throw new FanError(
      'bad-overlay',
      `overlay ${formatPrefix(overlay)} is no larger than underlay ${formatPrefix(underlay)}: ` +
        'give the overlay a shorter prefix, or the underlay a longer one',
    );
  }
  const sliceLength = 32 - shift;
  if (sliceLength > LONGEST_SLICE) {
    throw new FanError(
      'bad-overlay',
      `overlay ${formatPrefix(overlay)} over underlay ${formatPrefix(underlay)} leaves each host a /${sliceLength}: ` +
        `no room for a container; give the overlay a prefix at least 2 shorter than the underlay's`,
    );
  }
}

function checkHostAddress(address: number, underlay: Prefix): void {
  const kind =
    address === underlay.base
      ? 'network'
      : address === broadcastOf(underlay) || address === BROADCAST
        ? 'broadcast'
        : undefined;
  if (kind) {
    throw new FanError(
      'bad-underlay',
      `${formatAddress(address)} is the ${kind} address of underlay ${formatPrefix(underlay)}: ` +
        "name this host's own address, and the width that the network really has",
    );
  }
}
