/**
 * IPv4 addresses: text at the edges, a host-order u32 everywhere inside (192.0.2.1 is 0xc0000201).
 *
 * ip-num reads the text; it takes the strict dotted quad only, no leading zero (octal to some readers) and no
 * short form such as "10.1". Network order exists only inside a byte array (see wire/ipv4.ts).
 */
// What judges text, instead of all of the package: every fanctl loads this, and the ranges of IPv6 that the rest computes
// as it loads are a fifth of a short command's time.
import { Validator } from 'ip-num/dist/src/Validator.js';
import { FanError } from '../base/error.js';

/** The limited broadcast address, RFC 919 §7. */
export const BROADCAST = 0xffffffff;

/** Text to u32. Throws FanError bad-address. */
export function parseAddress(text: string): number {
  const [isValid] = Validator.isValidIPv4String(text);
  if (isValid) return text.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0);
  throw new FanError('bad-address', `"${text}" is no IPv4 address: write four numbers such as 172.30.0.28`);
}

/** u32 to text; a negative int32 of the same bits is taken as well. */
export function formatAddress(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

/** Whether an address can be that of one host: not in 0/8, 127/8 or 224/4, and not the limited broadcast. */
export function isHostAddress(address: number): boolean {
  const first = address >>> 24;
  const multicast = first >>> 4 === 14;
  return first !== 0 && first !== 127 && !multicast && address >>> 0 !== BROADCAST;
}
