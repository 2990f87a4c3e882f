/**
 * Slow references for the verdict on any bytes at all: what a fan's host delivers and what it sends, by the rules of
 * RFC 2003, RFC 6040 and the mapping, one after the other on strings of digits. They share nothing with src.
 */
import { type SlowFan, slowHost, slowSlice } from '../fan/slow-mapping.js';
import { slowChecksum } from './slow-wire.js';

const IPIP = 4;
const HEADER = 20;

/** RFC 6040 §4.2, figure 4: inner, then outer; Not-ECT, ECT(1), ECT(0), CE; x is a drop. */
const DECAP_ECN = ['000x', '1113', '2123', '3333'];

/** The inner packet that the host of these fans delivers of an outer one, or undefined: dropped. */
export function slowDelivered(fans: readonly SlowFan[], outer: Uint8Array): Uint8Array | undefined {
  if (!isHeader(outer) || (wordAt(outer, 6) & 0x3fff) !== 0) return undefined;
  const [sender, us] = [addressAt(outer, 12), addressAt(outer, 16)];
  const there = outer.slice(headerOf(outer), wordAt(outer, 2));
  if (!isCarried(there)) return undefined;
  const inner = there.slice(0, wordAt(there, 2));
  const [from, to] = [addressAt(inner, 12), addressAt(inner, 16)];
  const fan = fans.find((each) => isWithin(from, each.overlayBase, each.overlayLength));
  if (!fan || fan.address !== us || sender === us || !isPeer(fan, sender)) return undefined;
  const isTheirs = slowHost(fan, from) === sender && isHostOfSlice(fan, from, sender);
  if (!isTheirs || !isHostOfSlice(fan, to, us)) return undefined;
  const ecn = DECAP_ECN[inner[1]! % 4]![outer[1]! % 4]!;
  if (ecn === 'x') return undefined;
  inner[1] = Math.floor(inner[1]! / 4) * 4 + Number(ecn);
  return withChecksum(inner);
}

/** Where a fan's host sends an inner packet, or undefined: dropped. Whether it fits is not asked. */
export function slowExit(fan: SlowFan, inner: Uint8Array): number | undefined {
  if (!isCarried(inner)) return undefined;
  const [from, to] = [addressAt(inner, 12), addressAt(inner, 16)];
  if (!isHostOfSlice(fan, from, fan.address)) return undefined;
  if (!isWithin(to, fan.overlayBase, fan.overlayLength)) return undefined;
  const exit = slowHost(fan, to);
  return isPeer(fan, exit) && exit !== fan.address ? exit : undefined;
}

/** With the header's checksum as its bytes ask for: two zeros of the field mean the same. */
export function withChecksum(packet: Uint8Array): Uint8Array {
  const whole = packet.slice();
  whole.fill(0, 10, 12);
  const sum = slowChecksum(whole.slice(0, headerOf(whole)));
  whole.set([Math.floor(sum / 256), sum % 256], 10);
  return whole;
}

/** A whole header, and a total length within what is there. */
function isHeader(packet: Uint8Array): boolean {
  if (packet.length < HEADER || Math.floor(packet[0]! / 16) !== 4) return false;
  const [header, total] = [headerOf(packet), wordAt(packet, 2)];
  if (header < HEADER || total < header || total > packet.length) return false;
  return slowChecksum(packet.slice(0, header)) === 0;
}

function isCarried(inner: Uint8Array): boolean {
  return isHeader(inner) && inner[8] !== 0 && inner[9] !== IPIP;
}

/** A host address of the slice of this underlay host: neither the first nor the last. */
function isHostOfSlice(fan: SlowFan, address: number, host: number): boolean {
  const length = fan.overlayLength + 32 - fan.underlayLength;
  const base = slowSlice({ ...fan, address: host });
  const last = base + 2 ** (32 - length) - 1;
  return address > base && address < last && address !== 2 ** 32 - 1;
}

/** An address of the underlay that a host can have. */
function isPeer(fan: SlowFan, address: number): boolean {
  const size = 2 ** (32 - fan.underlayLength);
  const at = address % size;
  return isWithin(address, fan.address, fan.underlayLength) && at !== 0 && at !== size - 1;
}

function isWithin(address: number, base: number, length: number): boolean {
  const size = 2 ** (32 - length);
  return Math.floor(address / size) === Math.floor(base / size);
}

function headerOf(packet: Uint8Array): number {
  return (packet[0]! % 16) * 4;
}

function wordAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! * 256 + bytes[at + 1]!;
}

function addressAt(bytes: Uint8Array, at: number): number {
  return wordAt(bytes, at) * 65_536 + wordAt(bytes, at + 2);
}
