/**
 * What the program of a fan over VXLAN leaves to us of what came in (native/bpf/vxlan_decap.bpf.c): it comes by the TAP,
 * among the frames of containers, in an Ethernet header that is an envelope, its MAC addresses a cookie that only the
 * program and we know. In it are the outer headers, and the frame.
 *
 * Here it is taken out again, and becomes what a UDP socket would have received: VXLAN header and frame, the outer source as
 * the address, TTL and TOS in the tag.
 */
import type { PacketBatch } from '../packet-batch.js';

/** VXLAN_ENVELOPE. */
const ETHERTYPE = 0x88b5;
const ETHERTYPE_AT = 12;
/** Of a frame with a VLAN tag the envelope has one as well. */
const VLAN = 0x8100;
const VLAN_LEN = 4;
const ENVELOPE_LEN = 14;
/** From the envelope's first byte: fields of the IPv4 header, and where the VXLAN header is. */
const TOS_AT = ENVELOPE_LEN + 1;
const TTL_AT = ENVELOPE_LEN + 8;
const SOURCE_AT = ENVELOPE_LEN + 12;
const DESTINATION_AT = ENVELOPE_LEN + 16;
const VXLAN_AT = ENVELOPE_LEN + 28;
/** In a TCP header; and bytes of a UDP header. */
const [TCP_DATA, TCP_CHECKSUM, UDP_LEN] = [12, 16, 8];
/** 0.0.0.0. */
const NOBODY = 0;

export class Envelopes {
  /** As int32. */
  readonly #cookie: Int32Array;
  readonly #address: number;

  /** `cookie`: COOKIE_WORDS of them; `address`: of the underlay, to which what is in them must have come. */
  constructor(cookie: ArrayLike<number>, address: number) {
    this.#cookie = Int32Array.from(cookie);
    this.#address = address | 0;
  }

  /**
   * Takes the envelopes out of `rx` (read from the TAP) and appends what is in them to `out`, of the same slab and
   * capacity. What has come to another address of this host is given no source, as none may send there.
   */
  takeOut(rx: PacketBatch, out: PacketBatch): void {
    let kept = 0;
    for (let i = 0; i < rx.count; i++) {
      const tag = this.#isEnvelope(rx, i, 0) ? 0 : VLAN_LEN;
      if (tag === 0 || this.#isEnvelope(rx, i, tag)) this.#open(rx, i, tag, out);
      else if (kept++ < i) rx.move(i, kept - 1);
    }
    rx.count = kept;
  }

  /** Of a super-packet: the TAP took the outer headers for those of its segments. */
  #setHeaderLen(rx: PacketBatch, i: number): void {
    const start = rx.csumStart(i);
    const isTcp = rx.csumOffset(i) === TCP_CHECKSUM;
    const last = isTcp ? (rx.slab[rx.offset(i) + start + TCP_DATA]! >> 4) * 4 : UDP_LEN;
    rx.setVnet(i, rx.flags(i), rx.gsoType(i), rx.gsoSize(i), start + last);
  }

  /** `tag`: bytes of its VLAN tag. */
  #isEnvelope(rx: PacketBatch, i: number, tag: number): boolean {
    const { view } = rx;
    const off = rx.offset(i);
    if (rx.length(i) < tag + VXLAN_AT) return false;
    if (view.getUint16(off + tag + ETHERTYPE_AT) !== ETHERTYPE) return false;
    if (tag > 0 && view.getUint16(off + ETHERTYPE_AT) !== VLAN) return false;
    for (let word = 0; word < this.#cookie.length; word++) {
      if (view.getInt32(off + word * 4) !== this.#cookie[word]) return false;
    }
    return true;
  }

  #open(rx: PacketBatch, i: number, vlan: number, out: PacketBatch): void {
    const { view } = rx;
    const off = rx.offset(i) + vlan;
    const isOurs = view.getInt32(off + DESTINATION_AT) === this.#address;
    if (!rx.isWhole(i)) this.#setHeaderLen(rx, i);
    const source = isOurs ? view.getInt32(off + SOURCE_AT) : NOBODY;
    const tag = (view.getUint8(off + TTL_AT) << 8) | view.getUint8(off + TOS_AT);
    const at = out.appendRange(rx, i, off + VXLAN_AT, rx.length(i) - vlan - VXLAN_AT, source, tag);
    // The sender's port is not told.
    out.setNote(at, 0);
  }
}
