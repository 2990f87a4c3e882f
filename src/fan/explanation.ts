/**
 * What an address is to the fans of a host, by arithmetic alone: which fan, which underlay host, which slice, what a
 * packet to it would meet. The part of `fanctl explain` that needs no fand; its JSON is a stable object.
 */
import { formatAddress } from '../addr/ipv4-address.js';
import { broadcastOf, contains, formatPrefix, type Prefix } from '../addr/prefix.js';
import type { DropReasonName } from '../base/drop-reason.js';
import { travelsAs, type VxlanTerms } from './encapsulation.js';
import { bridgeName } from './fan-name.js';
import { type FanMapping, sliceOf, underlayHostOf } from './mapping.js';
import { fanOf, judgeDecap, judgeEncap, judgeExit } from './verdict.js';

/** A drop reason has the name of its counter, without "drop-" and "-packets". */
export type Verdict = 'deliverable' | DropReasonName;

/** What a host owns of one fan. */
export interface SliceView {
  /** "250.0.0.0/8" */
  overlay: string;
  /** The network, "172.30.0.0/16". */
  underlay: string;
  /** Underlay address of the host. */
  host: string;
  /** "250.0.27.0/24" */
  slice: string;
  gateway: string;
  /** The name that `up` gives the bridge there, unless it is told another. */
  bridge: string;
}

/** How many bits of an address mean what; in an overlay address they stand in this order. */
export interface BitWidths {
  overlayPrefix: number;
  /** The bits that name the host: the last ones of an underlay address. */
  host: number;
  /** The bits that stay within the slice. */
  slice: number;
  /** From underlay to overlay, left. */
  shift: number;
}

export interface AddressExplanation {
  address: string;
  kind: 'overlay' | 'underlay' | 'outside';
  verdict: Verdict;
  why: string;
  /** Our own part of the fan that the address belongs to. */
  fan: SliceView | null;
  /** Underlay address of the host that has the address. */
  host: string | null;
  /** What that host owns: of one fan for an overlay address, of each for an underlay address. */
  slices: SliceView[];
  bits: BitWidths | null;
  /** Of the packet's sender, where one was named. */
  source: { address: string; host: string | null; verdict: Verdict; why: string } | null;
}

/**
 * `fans` are those of this host, `from` the sender of the packet, by default this host; `termsOf` says how a fan's packets
 * travel. Addresses are u32.
 */
export function explainAddress(
  fans: readonly FanMapping[],
  address: number,
  from?: number,
  termsOf: (fan: FanMapping) => VxlanTerms | undefined = () => undefined,
): AddressExplanation {
  const fan = fanOf(fans, address);
  if (fan) return explainOverlay(fans, fan, address, from, travelsAs(termsOf(fan)));
  const source = from === undefined ? null : explainSource(fans, undefined, from);
  const around = fans.filter(({ underlay }) => contains(underlay, address));
  if (around[0]) return { ...explainUnderlay(fans, around, address), source };
  const list = [...new Set(fans.flatMap(({ overlay, underlay }) => [overlay, underlay].map(formatPrefix)))];
  return {
    address: formatAddress(address),
    kind: 'outside',
    verdict: 'outside-overlay',
    why: `it is in none of ${list.join(', ')}: packets to it take no fan`,
    ...{ fan: null, host: null, slices: [], bits: null, source },
  };
}

/** What the host with an underlay address owns of a fan. */
export function sliceViewOf(mapping: FanMapping, host: number): SliceView {
  const slice = sliceOf(mapping, host);
  return {
    overlay: formatPrefix(mapping.overlay),
    underlay: formatPrefix(mapping.underlay),
    host: formatAddress(host),
    slice: formatPrefix(slice),
    gateway: formatAddress(slice.base + 1),
    bridge: bridgeName(slice, () => false),
  };
}

function explainOverlay(
  fans: readonly FanMapping[],
  fan: FanMapping,
  address: number,
  from: number | undefined,
  way: string,
): AddressExplanation {
  const host = underlayHostOf(fan, address);
  const source = from === undefined ? null : explainSource(fans, fan, from, address);
  const isInbound = source !== null && source.host !== null && source.host !== formatAddress(fan.address);
  const reason = isInbound && contains(fan.slice, address) ? undefined : outwardReason(fans, fan, address);
  const own = source && source.verdict !== 'deliverable' ? source : undefined;
  return {
    address: formatAddress(address),
    kind: 'overlay',
    verdict: own?.verdict ?? reason ?? 'deliverable',
    why: own?.why ?? whyOverlay(fan, address, reason, way),
    fan: sliceViewOf(fan, fan.address),
    host: formatAddress(host),
    slices: [sliceViewOf(fan, host)],
    bits: bitsOf(fan),
    source,
  };
}

function outwardReason(
  fans: readonly FanMapping[],
  fan: FanMapping,
  address: number,
): DropReasonName | undefined {
  const reason = judgeEncap(fans, fan, fan.gateway, address);
  if (reason) return reason;
  return isEdge(sliceOf(fan, underlayHostOf(fan, address)), address)
    ? 'destination-outside-slice'
    : undefined;
}

function explainUnderlay(
  fans: readonly FanMapping[],
  around: readonly FanMapping[],
  address: number,
): Omit<AddressExplanation, 'source'> {
  const fan = around[0]!;
  const reason = judgeExit(fans, fan, address);
  return {
    address: formatAddress(address),
    kind: 'underlay',
    verdict: reason ?? 'deliverable',
    why: whyUnderlay(reason),
    fan: sliceViewOf(fan, fan.address),
    host: formatAddress(address),
    slices: around.map((each) => sliceViewOf(each, address)),
    bits: bitsOf(fan),
  };
}

/** Whether a packet with this inner source passes: out of one of our slices, or in from the host that it maps to. */
function explainSource(
  fans: readonly FanMapping[],
  towards: FanMapping | undefined,
  from: number,
  to?: number,
): NonNullable<AddressExplanation['source']> {
  const address = formatAddress(from);
  const fan = fanOf(fans, from);
  if (!fan) {
    const why = `${address} is in no overlay of this host: neither we nor a peer would send it`;
    return { address, host: null, verdict: 'source-not-ours', why };
  }
  const sender = underlayHostOf(fan, from);
  const host = formatAddress(sender);
  if (fans.some((each) => each.address === sender)) {
    const out = towards ?? fan;
    const refused = judgeEncap(fans, out, from, out.gateway) === 'source-not-ours';
    const verdict = refused ? 'source-not-ours' : 'deliverable';
    return { address, host, verdict, why: whyOwnSource(fan, out, from, refused) };
  }
  const target = to !== undefined && contains(fan.slice, to) ? to : fan.gateway;
  const verdict = judgeDecap(fans, fan, sender, from, target);
  if (!verdict && to !== undefined && !contains(fan.slice, to)) {
    const why = `${address} belongs to ${host}, and ${formatAddress(to)} is not in our slice: it does not come by here`;
    return { address, host, verdict: 'source-not-ours', why };
  }
  const why = verdict
    ? `from ${host} it would be dropped here`
    : `accepted here from ${host}, and from no other host`;
  return { address, host, verdict: verdict ?? 'deliverable', why };
}

function whyOwnSource(fan: FanMapping, out: FanMapping, from: number, refused: boolean): string {
  const slice = formatPrefix(fan.slice);
  if (!refused) return `a host address of our slice ${slice}`;
  if (isEdge(fan.slice, from)) return `the first or last address of our slice ${slice}, which no host has`;
  return `in our slice ${slice}, but ${formatPrefix(out.overlay)} leaves by ${formatAddress(out.address)}`;
}

function whyOverlay(
  fan: FanMapping,
  address: number,
  reason: DropReasonName | undefined,
  way: string,
): string {
  const host = formatAddress(underlayHostOf(fan, address));
  const slice = formatPrefix(sliceOf(fan, underlayHostOf(fan, address)));
  switch (reason) {
    case undefined:
      return contains(fan.slice, address) ? `a host address of our slice ${slice}` : `${way} to ${host}`;
    case 'underlay-network':
      return `${host} is the network address of the underlay: no host has it`;
    case 'underlay-broadcast':
      return `${host} is the broadcast address of the underlay: no host has it`;
    case 'to-ourselves':
      return contains(fan.slice, address)
        ? `in our own slice ${slice}: such packets stay on the bridge of this host`
        : `${host} is this host, or inside an overlay: a tunnel into itself`;
    default:
      return `the first or last address of slice ${slice}: ${host} would drop it`;
  }
}

function whyUnderlay(reason: DropReasonName | undefined): string {
  switch (reason) {
    case undefined:
      return 'an underlay address that a peer may have';
    case 'underlay-network':
      return 'the network address of the underlay: no host has it';
    case 'underlay-broadcast':
      return 'the broadcast address of the underlay: no host has it';
    default:
      return 'this host itself, or inside an overlay';
  }
}

function isEdge(network: Prefix, address: number): boolean {
  return address === network.base || address === broadcastOf(network);
}

function bitsOf({ overlay, underlay, shift }: FanMapping): BitWidths {
  return { overlayPrefix: overlay.length, host: 32 - underlay.length, slice: shift, shift };
}
