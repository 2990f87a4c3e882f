/**
 * What an ICMP error about one of our outer packets means for the sender of the inner one (RFC 2003 §5.1).
 *
 * The path between two hosts is one hop to their containers: whatever breaks on it is "host unreachable", and
 * what only the tunnel's own ends could mend is not their business. Pure; the dataplane relays and remembers.
 */
import {
  FRAGMENTATION_NEEDED,
  ICMP_PARAMETER_PROBLEM,
  ICMP_TIME_EXCEEDED,
  ICMP_UNREACHABLE,
  PORT_UNREACHABLE,
  PROTOCOL_UNREACHABLE,
} from './icmpv4.js';
import { MIN_MTU, OUTER_LEN } from './ipip.js';

/** What to do about an error; see pathErrorOf. */
export const PATH_IGNORE = 0;
/** Learn the MTU; tell the inner sender 3/4 with innerMtu. */
export const PATH_TOO_BIG = 1;
/** Tell the inner sender 3/1. */
export const PATH_HOST_UNREACHABLE = 2;
/** Our own outer header was refused: count it. */
export const PATH_PARAMETER_PROBLEM = 3;

/**
 * One of the PATH_ numbers for an ICMP error. `mtu` is its next-hop MTU, 0 where it names none; `byUdp`: it is about a
 * packet of VXLAN.
 */
export function pathErrorOf(type: number, code: number, mtu: number, byUdp = false): number {
  switch (type) {
    case ICMP_TIME_EXCEEDED:
      return PATH_HOST_UNREACHABLE;
    case ICMP_PARAMETER_PROBLEM:
      return PATH_PARAMETER_PROBLEM;
    case ICMP_UNREACHABLE:
      return unreachableOf(code, mtu, byUdp);
    default:
      return PATH_IGNORE;
  }
}

/**
 * Port unreachable (3/3) is what a host without a fan over VXLAN says, but also how one with another tunnel4 handler answers
 * IP-in-IP that its fan received.
 */
function unreachableOf(code: number, mtu: number, byUdp: boolean): number {
  if (code === FRAGMENTATION_NEEDED) return mtu >= MIN_MTU ? PATH_TOO_BIG : PATH_IGNORE;
  if (code === PORT_UNREACHABLE && byUdp) return PATH_HOST_UNREACHABLE;
  return code <= PROTOCOL_UNREACHABLE ? PATH_HOST_UNREACHABLE : PATH_IGNORE;
}

/** The largest inner packet that a path with `pathMtu` takes whole, RFC 2003 §5.1. */
export function innerMtu(pathMtu: number): number {
  return pathMtu - OUTER_LEN;
}
