/**
 * Slow references for a whole encap and decap: packets put together from pieces, addresses mapped on strings of digits.
 * They share nothing with src. RFC 2003 §3, for plain packets: TTL, DSCP and ECN copied, DF set, ID 0.
 */
import { type SlowFan, slowHost } from '../fan/slow-mapping.js';
import { slowChecksum } from './slow-wire.js';

/** The outer packet that `fan`'s host sends for an inner one. */
export function slowEncap(fan: SlowFan, inner: Uint8Array): Uint8Array {
  const length = inner.length + 20;
  const destination = slowHost(fan, addressAt(inner, 16));
  const header = Uint8Array.of(
    ...[0x45, inner[1]!, ...octets(length).slice(2)],
    ...[0, 0, 0x40, 0, inner[8]!, 4, 0, 0],
    ...octets(fan.address),
    ...octets(destination),
  );
  const sum = slowChecksum(header);
  return Uint8Array.of(...header.slice(0, 10), sum >> 8, sum & 255, ...header.slice(12), ...inner);
}

/** The inner packet, or undefined where its source isn't a container of the host that sent it. */
export function slowDecap(fan: SlowFan, outer: Uint8Array): Uint8Array | undefined {
  const inner = Uint8Array.from(outer.slice((outer[0]! & 15) * 4));
  const whole = slowChecksum(outer.slice(0, 20)) === 0 && slowChecksum(inner.slice(0, 20)) === 0;
  return whole && slowHost(fan, addressAt(inner, 12)) === addressAt(outer, 12) ? inner : undefined;
}

function addressAt(bytes: Uint8Array, at: number): number {
  return bytes.slice(at, at + 4).reduce((value, octet) => value * 256 + octet, 0);
}

function octets(value: number): number[] {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256);
}
