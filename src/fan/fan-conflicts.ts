/**
 * Refusals that need more than one fan: a new fan against those that are up, and against the host's addresses and routes.
 *
 * Overlapping overlays are allowed on one underlay network (the longest prefix wins), except where an address
 * would mean two things on this host: slices that overlap, or an overlay inside the other fan's slice. Run by
 * `up` before it touches the host. Addresses and routes are the caller's to collect, without those that ufan made itself.
 */
import { formatAddress } from '../addr/ipv4-address.js';
import { contains, containsPrefix, formatPrefix, overlaps, type Prefix, samePrefix } from '../addr/prefix.js';
import { FanError } from '../base/error.js';
import type { FanMapping } from './mapping.js';

export interface NamedFan {
  readonly mapping: FanMapping;
  /** Name of the bridge, by which the operator knows the fan. */
  readonly bridge: string;
  /** Whether connection tracking is spared what goes between its slice and others. */
  readonly notrack?: boolean;
}

export interface HostRoute {
  readonly destination: Prefix;
  readonly device: string;
  /** Set where all that it leads to is taken for the host's own. */
  readonly isLocal?: true;
}

export interface HostAddress {
  /** u32 */
  readonly address: number;
  readonly device: string;
}

/** Throws FanError already-configured or overlap for the first of `others` that `candidate` cannot live beside. */
export function checkAgainstFans(candidate: FanMapping, others: readonly NamedFan[]): void {
  for (const other of others) {
    checkTwice(candidate, other);
    checkUnderlayInOverlay(candidate, other);
    if (!overlaps(candidate.overlay, other.mapping.overlay)) continue;
    checkUnderlaysAgree(candidate, other);
    checkOverlayOutsideSlice(candidate, other);
    checkSlicesApart(candidate, other);
  }
}

/** Throws FanError overlap where a question between containers of two fans here would not be tracked, and its answer would. */
export function checkTracking(candidate: FanMapping, notrack: boolean, others: readonly NamedFan[]): void {
  const other = others.find(
    (each) => overlaps(candidate.overlay, each.mapping.overlay) && (notrack || each.notrack),
  );
  if (!other) return;
  throw new FanError(
    'overlap',
    `notrack is not for fans whose overlays overlap, and ${other.bridge} has ` +
      `${formatPrefix(other.mapping.overlay)}: leave it out of both, or take another overlay`,
  );
}

/** Throws FanError overlap for an address in the overlay: this host would answer in place of the container that has it. */
export function checkAgainstAddresses(candidate: FanMapping, addresses: readonly HostAddress[]): void {
  const taken = addresses.find(({ address }) => contains(candidate.overlay, address));
  if (!taken) return;
  throw new FanError(
    'overlap',
    `overlay ${formatPrefix(candidate.overlay)} holds ${formatAddress(taken.address)}, ` +
      `an address of this host on ${taken.device}: choose another overlay or remove that address`,
  );
}

/**
 * Throws FanError overlap where the overlay overlaps a route other than a default one. The underlay's own
 * connected route needs no exception: createMapping has refused an overlay that overlaps the underlay.
 */
export function checkAgainstRoutes(candidate: FanMapping, routes: readonly HostRoute[]): void {
  const taken = routes.find(
    (route) => route.destination.length > 0 && overlaps(route.destination, candidate.overlay),
  );
  if (taken) {
    throw new FanError(
      'overlap',
      `overlay ${formatPrefix(candidate.overlay)} overlaps the route to ${formatPrefix(taken.destination)} ` +
        `on ${taken.device}: choose another overlay or remove that route`,
    );
  }
}

function checkTwice(candidate: FanMapping, { mapping, bridge }: NamedFan): void {
  if (samePrefix(candidate.overlay, mapping.overlay) && samePrefix(candidate.underlay, mapping.underlay)) {
    throw new FanError(
      'already-configured',
      `${formatPrefix(mapping.overlay)} on ${formatPrefix(mapping.underlay)} is already configured (${bridge})`,
    );
  }
}

/** Either way round, outer packets of one fan would be inner packets of the other: a tunnel in a tunnel. */
function checkUnderlayInOverlay(candidate: FanMapping, { mapping, bridge }: NamedFan): void {
  if (overlaps(candidate.overlay, mapping.underlay)) {
    throw new FanError(
      'overlap',
      `overlay ${formatPrefix(candidate.overlay)} overlaps ${formatPrefix(mapping.underlay)}, ` +
        `the underlay of ${bridge}: choose another overlay`,
    );
  }
  if (overlaps(candidate.underlay, mapping.overlay)) {
    throw new FanError(
      'overlap',
      `underlay ${formatPrefix(candidate.underlay)} overlaps ${formatPrefix(mapping.overlay)}, ` +
        `the overlay of ${bridge}: fans cannot be stacked, choose another underlay`,
    );
  }
}

function checkUnderlaysAgree(candidate: FanMapping, { mapping, bridge }: NamedFan): void {
  if (samePrefix(candidate.underlay, mapping.underlay)) return;
  throw new FanError(
    'overlap',
    `overlay ${formatPrefix(candidate.overlay)} overlaps ${formatPrefix(mapping.overlay)} of ${bridge}, ` +
      `which is on another underlay network (${formatPrefix(mapping.underlay)}): ` +
      `choose another overlay or take ${bridge} down`,
  );
}

function checkOverlayOutsideSlice(candidate: FanMapping, { mapping, bridge }: NamedFan): void {
  if (containsPrefix(mapping.slice, candidate.overlay)) {
    throw new FanError(
      'overlap',
      `overlay ${formatPrefix(candidate.overlay)} lies in ${formatPrefix(mapping.slice)}, the slice of ${bridge}: ` +
        'its addresses are on that bridge already, choose another overlay',
    );
  }
  if (containsPrefix(candidate.slice, mapping.overlay)) {
    throw new FanError(
      'overlap',
      `slice ${formatPrefix(candidate.slice)} would hold ${formatPrefix(mapping.overlay)}, the overlay of ${bridge}: ` +
        `choose another overlay or take ${bridge} down`,
    );
  }
}

/** Overlays of which neither is in a slice can still meet so where the host has several underlay addresses. */
function checkSlicesApart(candidate: FanMapping, { mapping, bridge }: NamedFan): void {
  if (!overlaps(candidate.slice, mapping.slice)) return;
  throw new FanError(
    'overlap',
    `slice ${formatPrefix(candidate.slice)} overlaps ${formatPrefix(mapping.slice)}, the slice of ${bridge}: ` +
      'choose an overlay that gives this host other addresses',
  );
}
