/**
 * What the dataplane would say of addresses, in words instead of in packets: the address checks of encap (source and
 * exit) and decap (sender, source and target) for the fans of a host, in the same order and under the same names.
 *
 * The packet paths have these checks inlined over a slab; a property test holds the two against each other.
 */
import { isHostAddress } from '../addr/ipv4-address.js';
import { broadcastOf, contains, type Prefix } from '../addr/prefix.js';
import type { DropReasonName } from '../base/drop-reason.js';
import { FanTable } from './fan-table.js';
import { type FanMapping, sliceOf, underlayHostOf } from './mapping.js';

/** The fan whose overlay holds `address`, the longest prefix of several; undefined where none does. */
export function fanOf(fans: readonly FanMapping[], address: number): FanMapping | undefined {
  return fans[new FanTable(fans).lookup(address)];
}

/** Whether `address` is in `slice` and neither its first nor its last address, which no host has. */
export function isHostOf(slice: Prefix, address: number): boolean {
  return contains(slice, address) && !isEdgeOf(slice, address);
}

/**
 * Why a packet from `from` to `to` (u32) that comes out of `fan`'s TUN would not leave, or undefined where it would.
 * `fans` are all of this host.
 */
export function judgeEncap(
  fans: readonly FanMapping[],
  fan: FanMapping,
  from: number,
  to: number,
): DropReasonName | undefined {
  if (!isOwnSource(fans, fan, from)) return 'source-not-ours';
  if (!contains(fan.overlay, to)) return 'outside-overlay';
  return judgeExit(fans, fan, underlayHostOf(fan, to));
}

/** The second half of judgeEncap: why a packet would not leave for the underlay host `exit`. */
export function judgeExit(
  fans: readonly FanMapping[],
  fan: FanMapping,
  exit: number,
): DropReasonName | undefined {
  if (exit === fan.underlay.base) return 'underlay-network';
  if (exit === broadcastOf(fan.underlay)) return 'underlay-broadcast';
  if (fans.some(({ address }) => address === exit) || fanOf(fans, exit)) return 'to-ourselves';
  return undefined;
}

/**
 * Why `fan` would refuse a packet from `from` to `to` that the underlay host `sender` sent to its address, or
 * undefined where it would deliver it. `fan` is the one that fanOf(fans, from) names, or any at that address.
 */
export function judgeDecap(
  fans: readonly FanMapping[],
  fan: FanMapping,
  sender: number,
  from: number,
  to: number,
): DropReasonName | undefined {
  if (fans.some(({ address }) => address === sender)) return 'outer-source';
  if (!contains(fan.underlay, sender) || isEdgeOf(fan.underlay, sender)) return 'outer-source';
  if (!isHostAddress(from)) return 'source-martian';
  if (!contains(fan.overlay, from)) return 'source-forged';
  if (contains(fan.slice, from)) return 'source-in-slice';
  if (underlayHostOf(fan, from) !== sender) return 'source-forged';
  if (isEdgeOf(sliceOf(fan, sender), from)) return 'source-martian';
  return isHostOf(fan.slice, to) ? undefined : 'destination-outside-slice';
}

/** A host address of the fan's slice, or of a fan's that leaves by the same underlay address. */
function isOwnSource(fans: readonly FanMapping[], fan: FanMapping, from: number): boolean {
  if (isHostOf(fan.slice, from)) return true;
  const sibling = fanOf(fans, from);
  return sibling !== undefined && sibling.address === fan.address && isHostOf(sibling.slice, from);
}

function isEdgeOf(network: Prefix, address: number): boolean {
  return address === network.base || address === broadcastOf(network);
}
