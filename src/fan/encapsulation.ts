/**
 * How a fan's packets travel: as IP-in-IP (RFC 2003), or as Ethernet frames in VXLAN (RFC 7348) as Ubuntu's and LXD's
 * fans do. What both ends must agree on follows from the overlay, as everything else of a fan: nothing is looked up.
 */
import { formatAddress } from '../addr/ipv4-address.js';
import { formatPrefix, overlaps, type Prefix } from '../addr/prefix.js';
import { FanError } from '../base/error.js';
import type { FanMapping } from './mapping.js';

export const FAN_TYPES = ['ipip', 'vxlan'] as const;
export type FanType = (typeof FAN_TYPES)[number];

/** What a fan over VXLAN has beside its mapping; a fan over IP-in-IP has none of it. */
export interface VxlanTerms {
  /** 24 bits. */
  readonly vni: number;
  /** UDP destination port. */
  readonly port: number;
  /** Containers have the whole overlay on link, and the tunnel is a port of their bridge; else the overlay is routed. */
  readonly layer2: boolean;
}

/** What the kernel's vxlan driver takes where nobody says another (`dstport 0`), and so do Ubuntu's and LXD's fans; not IANA's 4789. */
export const DEFAULT_VXLAN_PORT = 8472;
export const MAX_VNI = 0xff_ffff;

/** Outer headers of a packet in bytes: IPv4; and IPv4, UDP, VXLAN, Ethernet. */
const OVERHEAD: Readonly<Record<FanType, number>> = { ipip: 20, vxlan: 50 };

/** Bytes of the underlay's MTU that the overlay has not; `vxlan` is absent for IP-in-IP. */
export function overheadOf(vxlan: VxlanTerms | undefined): number {
  return OVERHEAD[vxlan ? 'vxlan' : 'ipip'];
}

/** What packets travel as, in words. */
export function travelsAs(vxlan: VxlanTerms | undefined): string {
  return vxlan ? `VXLAN (vni ${vxlan.vni}, UDP port ${vxlan.port})` : 'IP-in-IP';
}

/** The VNI by which Ubuntu's and LXD's hosts know an overlay: 240.0.0.0/8 is 15728640. */
export function defaultVni(overlay: Prefix): number {
  return overlay.base >>> 8;
}

/** Of the tunnel's end at an underlay address, "02:fa:ac:1e:00:1c": local, unicast, and of one host only. */
export function tunnelMac(underlayAddress: number): string {
  const octets = formatAddress(underlayAddress).split('.').map(Number);
  return ['02', 'fa', ...octets.map((octet) => octet.toString(16).padStart(2, '0'))].join(':');
}

interface Encapsulated {
  readonly mapping: FanMapping;
  readonly bridge: string;
  readonly vxlan?: VxlanTerms;
}

/**
 * Throws FanError overlap where `candidate` and one of `others` could not tell their packets apart: one overlay over
 * both encapsulations, or one VNI for two overlays.
 */
export function checkEncapsulation(
  candidate: Omit<Encapsulated, 'bridge'>,
  others: readonly Encapsulated[],
): void {
  for (const other of others) {
    const overlay = formatPrefix(candidate.mapping.overlay);
    const isShared = overlaps(candidate.mapping.overlay, other.mapping.overlay);
    if (isShared && typeOf(candidate) !== typeOf(other)) {
      throw new FanError(
        'overlap',
        `overlay ${overlay} overlaps ${formatPrefix(other.mapping.overlay)} of ${other.bridge}, which is of type ` +
          `${typeOf(other)}: say "type ${typeOf(other)}" here too, choose another overlay, or take ${other.bridge} down`,
      );
    }
    if (isShared && (candidate.vxlan?.layer2 || other.vxlan?.layer2)) {
      throw new FanError(
        'overlap',
        `overlay ${overlay} overlaps ${formatPrefix(other.mapping.overlay)} of ${other.bridge}, and one of them is layer2, ` +
          'which has all of its overlay on its bridge: leave layer2 out, or choose another overlay',
      );
    }
    if (!candidate.vxlan || candidate.vxlan.vni !== other.vxlan?.vni) continue;
    throw new FanError(
      'overlap',
      `vni ${candidate.vxlan.vni} of ${overlay} is that of ${other.bridge} already: give one of the two another, ` +
        'on every host, with "vni N"',
    );
  }
}

function typeOf({ vxlan }: Pick<Encapsulated, 'vxlan'>): FanType {
  return vxlan ? 'vxlan' : 'ipip';
}
