/**
 * How packets lie in the batches that the tracer sees, by how a fan's packets travel: IP-in-IP is whole there; of VXLAN the
 * kernel has the IP and UDP headers, and the overlay's packets are Ethernet frames. The headers that are not there are lent
 * for as long as a packet is looked at, so that the filter and the copy have all of it.
 */
import type { PacketBatch } from '../../io/packet-batch.js';
import { OUTER_LEN } from '../../wire/ipip.js';
import { emitIpv4, headerLen, MIN_HEADER_LEN, PLAIN_HEADER } from '../../wire/ipv4.js';
import {
  ARP_LEN,
  arpSender,
  arpTarget,
  DATAGRAM_LEN,
  ETHERNET_LEN,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  etherType,
  VXLAN_LEN,
  writeDatagram,
} from '../../wire/vxlan.js';
import type { FanEntry } from '../tables/forwarding-table.js';

/** Reserved by IANA: none has it. */
const NO_PROTOCOL = 255;

/** Where a batch of VXLAN was received. */
export interface Site {
  /** Our underlay address, u32 or int32. */
  readonly address: number;
  readonly udpPort: number;
}

/** An IPv4 packet, or what a filter may take for one. */
export interface Inner {
  readonly bytes: Uint8Array;
  readonly off: number;
  readonly len: number;
}

export interface Shape {
  readonly isVxlan: boolean;
  /** Bytes of link header before the overlay's packets. */
  readonly linkLen: number;
  /** Bytes that encap puts before a packet in the slab, and that stand there on the wire. */
  readonly pushedLen: number;
  readonly outerLen: number;
  /** The packet for filters, of `len` bytes at `off` as the overlay has it. */
  innerAt(bytes: Uint8Array, off: number, len: number): Inner;
  /** Calls `look` while all of the outer header of packet k, which encap has made for `fan`, is there. */
  lendSent(fan: FanEntry, tx: PacketBatch, k: number, look: () => void): void;
}

/** Of what the underlay brought. */
export interface ReceivedShape {
  readonly shape: Shape;
  /** Bytes that are not in the batch, before each packet. */
  readonly lentLen: number;
  /** Where the overlay's packet begins, in packet i of `rx`; 0 where there is none. */
  innerStart(rx: PacketBatch, i: number): number;
  lend(rx: PacketBatch, i: number, look: () => void): void;
}

export const IPIP: Shape = {
  isVxlan: false,
  linkLen: 0,
  pushedLen: OUTER_LEN,
  outerLen: OUTER_LEN,
  innerAt: (bytes, off, len) => ({ bytes, off, len }),
  lendSent: (_fan, _tx, _k, look) => look(),
};

const VXLAN: Shape = {
  isVxlan: true,
  linkLen: ETHERNET_LEN,
  pushedLen: VXLAN_LEN,
  outerLen: DATAGRAM_LEN + VXLAN_LEN,
  innerAt: frameAt,
  lendSent: ({ address, vxlan, ttl }, tx, k, look) =>
    lend(tx, k, look, {
      source: address >>> 0,
      destination: tx.address(k),
      sourcePort: 0,
      port: vxlan!.port,
      tos: tx.note(k) & 0xff,
      ttl,
    }),
};

export const RECEIVED_IPIP: ReceivedShape = {
  shape: IPIP,
  lentLen: 0,
  innerStart: (rx, i) => {
    const header = rx.length(i) >= MIN_HEADER_LEN ? headerLen(rx.slab, rx.offset(i)) : 0;
    return header >= MIN_HEADER_LEN && header < rx.length(i) ? header : 0;
  },
  lend: (_rx, _i, look) => look(),
};

export function receivedVxlan({ address, udpPort }: Site): ReceivedShape {
  return {
    shape: VXLAN,
    lentLen: DATAGRAM_LEN,
    innerStart: (rx, i) => (rx.length(i) > VXLAN_LEN ? VXLAN_LEN : 0),
    lend: (rx, i, look) =>
      lend(rx, i, look, {
        source: rx.address(i),
        destination: address >>> 0,
        // What the kernel's VXLAN device has left does not say.
        sourcePort: rx.note(i),
        port: udpPort,
        tos: rx.tag(i) & 0xff,
        ttl: (rx.tag(i) >>> 8) & 0xff,
      }),
  };
}

export function shapeOf(fan: FanEntry): Shape {
  return fan.vxlan ? VXLAN : IPIP;
}

type Head = Omit<Parameters<typeof writeDatagram>[2], 'length'>;

/** Puts IP and UDP headers before packet i, over what is the end of another datagram there, and takes them away again. */
function lend(batch: PacketBatch, i: number, look: () => void, head: Head): void {
  const at = batch.offset(i) - DATAGRAM_LEN;
  const there = batch.slab.slice(at, at + DATAGRAM_LEN);
  writeDatagram(batch.slab, at, { ...head, length: batch.length(i) });
  look();
  batch.slab.set(there, at);
}

/** What is in a frame: IPv4; of ARP a packet without protocol from its sender to its target, as filters know no other. */
function frameAt(bytes: Uint8Array, off: number, len: number): Inner {
  const there = len >= ETHERNET_LEN ? etherType(bytes, off) : 0;
  if (there === ETHERTYPE_ARP && len >= ETHERNET_LEN + ARP_LEN) return arpAsPacket(bytes, off);
  return { bytes, off: off + ETHERNET_LEN, len: there === ETHERTYPE_IPV4 ? len - ETHERNET_LEN : 0 };
}

function arpAsPacket(frames: Uint8Array, frame: number): Inner {
  const view = new DataView(frames.buffer, frames.byteOffset, frames.byteLength);
  const bytes = new Uint8Array(MIN_HEADER_LEN);
  const [source, destination] = [arpSender(view, frame) >>> 0, arpTarget(view, frame) >>> 0];
  emitIpv4(bytes, 0, {
    ...PLAIN_HEADER,
    totalLength: MIN_HEADER_LEN,
    protocol: NO_PROTOCOL,
    source,
    destination,
  });
  return { bytes, off: 0, len: MIN_HEADER_LEN };
}
