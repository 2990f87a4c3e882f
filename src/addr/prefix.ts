/**
 * IPv4 prefixes (CIDR, RFC 4632): a base address and a length, and the few relations that fans are built from.
 *
 * A Prefix that these functions make has no host bits set and a `base` of 0 … 2^32 − 1; one that is made by
 * hand must keep to that. JavaScript's shifts are modulo 32, hence the special case of /0 in maskOf.
 */
import { FanError } from '../base/error.js';
import { formatAddress, parseAddress } from './ipv4-address.js';

export interface Prefix {
  /** Network address, u32 in host order. */
  readonly base: number;
  /** Bits, 0–32. */
  readonly length: number;
}

const CIDR = /^([^/]*)\/([0-9]{1,2})$/;

/** "250.0.0.0/8" to a prefix. Throws FanError bad-address: no CIDR, length over 32, or host bits set. */
export function parsePrefix(text: string): Prefix {
  const [, addressText, lengthText] = CIDR.exec(text) ?? [];
  if (addressText === undefined || Number(lengthText) > 32) {
    throw new FanError('bad-address', `"${text}" is no IPv4 network: write one such as 250.0.0.0/8`);
  }
  const address = parseAddress(addressText);
  const prefix = prefixOf(address, Number(lengthText));
  if (prefix.base !== address) {
    throw new FanError('bad-address', `${text} has host bits set: did you mean ${formatPrefix(prefix)}?`);
  }
  return prefix;
}

export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(prefix.base)}/${prefix.length}`;
}

/** The netmask of a length 0–32, as u32. */
export function maskOf(length: number): number {
  return length === 0 ? 0 : (-1 << (32 - length)) >>> 0;
}

/** The network of `length` bits that holds `address`. */
export function prefixOf(address: number, length: number): Prefix {
  return { base: (address & maskOf(length)) >>> 0, length };
}

/** Allocates nothing. */
export function contains(prefix: Prefix, address: number): boolean {
  return ((address ^ prefix.base) & maskOf(prefix.length)) === 0;
}

/** Whether every address of `inner` is in `outer`; a prefix contains itself. */
export function containsPrefix(outer: Prefix, inner: Prefix): boolean {
  return inner.length >= outer.length && contains(outer, inner.base);
}

/** Whether the two share an address: of prefixes, one then contains the other. */
export function overlaps(a: Prefix, b: Prefix): boolean {
  return containsPrefix(a, b) || containsPrefix(b, a);
}

export function samePrefix(a: Prefix, b: Prefix): boolean {
  return a.base === b.base && a.length === b.length;
}

/** The last address, u32. */
export function broadcastOf(prefix: Prefix): number {
  return (prefix.base | ~maskOf(prefix.length)) >>> 0;
}

/** `outer` without `inner`, which lies in it: disjoint networks, the largest first. */
export function without(outer: Prefix, inner: Prefix): Prefix[] {
  const rest: Prefix[] = [];
  for (let length = outer.length + 1; length <= inner.length; length++) {
    rest.push(prefixOf((inner.base ^ (1 << (32 - length))) >>> 0, length));
  }
  return rest;
}
