/**
 * Kernel tunnels that would take the same packets as we do: protocol 4 to our underlay address.
 *
 * A host with an ipip or sit device that is up and open to any sender decapsulates each of our packets as well, past
 * all our checks, and the container would get it twice. A tunnel4 handler that is merely registered only answers
 * with port unreachable, which the NAT step's output chain holds back.
 */
import { formatAddress } from '../addr/ipv4-address.js';
import { FanError } from '../base/error.js';
import type { Link } from './links.js';

/** Throws FanError in-use for a tunnel that would decapsulate packets to `underlayAddress` too. */
export function checkTunnel4(underlayAddress: number, links: readonly Link[]): void {
  const rival = findRival(links, underlayAddress);
  if (!rival) return;
  throw new FanError(
    'in-use',
    `tunnel ${rival.name} (${rival.kind}) takes protocol 4 from anybody to ${formatAddress(underlayAddress)} and would ` +
      `deliver each packet of the fan a second time: ip link set dev ${rival.name} down, or give it a remote address`,
  );
}

/** The first of `links` that is up and decapsulates IPIP from any sender to `address`. */
export function findRival(links: readonly Link[], address: number): Link | undefined {
  return links.find((link) => link.flags.includes('UP') && takesIpip(link) && isOpenTo(link, address));
}

/** ipip carries IPv4 unless it was narrowed to MPLS; sit carries IPv6 unless it was widened. */
function takesIpip(link: Link): boolean {
  const mode = link.attributes.proto;
  if (link.kind === 'ipip') return mode !== 'mplsip';
  return link.kind === 'sit' && (mode === 'ipip' || mode === 'any');
}

function isOpenTo(link: Link, address: number): boolean {
  const { remote, local, external } = link.attributes;
  if (external === true) return true;
  return isAny(remote) && (isAny(local) || local === formatAddress(address));
}

function isAny(end: unknown): boolean {
  return end === undefined || end === 'any' || end === '0.0.0.0';
}
