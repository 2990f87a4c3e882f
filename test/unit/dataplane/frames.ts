/** Ethernet frames and VXLAN for tests of a fan over VXLAN, byte by byte: nothing here is from src/wire/vxlan.ts. */
import { PROTOCOL_UDP } from '../../../src/wire/ipv4.js';
import { type Fields, packet } from './packets.js';

export const VNI = 16_384_000;
export const VXLAN = { vni: VNI, port: 8472, layer2: false };
const HEADER = [8, 0, 0, 0, 0xfa, 0, 0, 0];
export const MAC = [2, 0, 0, 0, 0, 2];
export const OTHER = [2, 0, 0, 0, 0, 3];

export const octets = (address: string) => address.split('.').map(Number);

/** From MAC. */
export const frame = (inner: Uint8Array, type = 0x0800, to: readonly number[] = OTHER) =>
  Uint8Array.from([...to, ...MAC, type >> 8, type & 255, ...inner]);

/** A request. */
export const arp = (from: string, to: string, mac = MAC) =>
  frame(
    Uint8Array.from([0, 1, 8, 0, 6, 4, 0, 1, ...mac, ...octets(from), 0, 0, 0, 0, 0, 0, ...octets(to)]),
    0x0806,
  );

export const inVxlan = (inner: Uint8Array) => Uint8Array.from([...HEADER, ...inner]);

/** UDP from port 40000 without a checksum, in IPv4. */
export function datagram(
  source: string,
  destination: string,
  payload: Uint8Array,
  fields: Fields = {},
  port = VXLAN.port,
): Uint8Array {
  const length = 8 + payload.length;
  const bytes = packet(source, destination, { protocol: PROTOCOL_UDP, ...fields, payload: length });
  bytes.set([40_000 >> 8, 40_000 & 255, port >> 8, port & 255, length >> 8, length & 255, 0, 0], 20);
  bytes.set(payload, 28);
  return bytes;
}
