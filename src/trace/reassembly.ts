/**
 * Puts the fragments of outer datagrams together (RFC 791 §3.2), as the kernel does before the dataplane sees them: a
 * capture has what was on the wire. Overlapping bytes are the later fragment's; the kernel drops such datagrams, and
 * nobody else makes them.
 */

import { checksum } from '../wire/checksum.js';
import {
  CHECKSUM,
  destination,
  FLAGS_FRAGMENT,
  fragmentOffset,
  headerLen,
  id,
  moreFragments,
  protocol,
  source,
  TOTAL_LENGTH,
  totalLength,
  write16,
} from '../wire/ipv4.js';

/** Datagrams that wait for the rest at most; the oldest goes. */
const MOST_WAITING = 256;
const MOST_IPV4 = 65_535;

interface Waiting {
  header: Uint8Array;
  payload: Uint8Array;
  /** Bytes that came, and that there are; 0: not known before the last fragment. */
  have: number;
  total: number;
}

export class Reassembly {
  readonly #waiting = new Map<string, Waiting>();

  /** Datagrams that lack a fragment. */
  get incomplete(): number {
    return this.#waiting.size;
  }

  /** Takes a fragment, whole; returns its datagram when it is the last that was missing. */
  add(packet: Uint8Array): Uint8Array | undefined {
    const key = [source(packet, 0), destination(packet, 0), protocol(packet, 0), id(packet, 0)].join();
    const from = fragmentOffset(packet, 0);
    const header = headerLen(packet, 0);
    const length = totalLength(packet, 0) - header;
    if (from + length + header > MOST_IPV4) return undefined;
    const datagram = this.#waiting.get(key) ?? this.#begin(key);
    datagram.payload.set(packet.subarray(header, header + length), from);
    datagram.have += length;
    if (from === 0) datagram.header = packet.slice(0, header);
    if (!moreFragments(packet, 0)) datagram.total = from + length;
    if (datagram.total === 0 || datagram.have < datagram.total || datagram.header.length === 0)
      return undefined;
    this.#waiting.delete(key);
    return finish(datagram);
  }

  #begin(key: string): Waiting {
    const oldest = this.#waiting.keys().next().value;
    if (this.#waiting.size >= MOST_WAITING && oldest !== undefined) this.#waiting.delete(oldest);
    const datagram = { header: new Uint8Array(0), payload: new Uint8Array(MOST_IPV4), have: 0, total: 0 };
    this.#waiting.set(key, datagram);
    return datagram;
  }
}

function finish({ header, payload, total }: Waiting): Uint8Array {
  const packet = new Uint8Array(header.length + total);
  packet.set(header);
  packet.set(payload.subarray(0, total), header.length);
  write16(packet, TOTAL_LENGTH, packet.length);
  write16(packet, FLAGS_FRAGMENT, 0);
  write16(packet, CHECKSUM, 0);
  write16(packet, CHECKSUM, checksum(packet, 0, header.length));
  return packet;
}
