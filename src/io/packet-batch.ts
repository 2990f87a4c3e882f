/**
 * PacketBatch: up to `capacity` packets in one slab, each with a 32-byte descriptor. The shared currency of
 * devices, dataplane and native code: native/packet.h declares the same layout as a C struct.
 *
 * Descriptor, host byte order (u32 words):
 *   0  offset   of the first byte of the packet in the slab
 *   1  length   bytes
 *   2  u8 flags, u8 gsoType, u16 gsoSize         virtio_net_hdr fields (linux/virtio_net.h)
 *   3  u16 headerLen, u16 csumStart              both counted from the packet's first byte
 *   4  u16 csumOffset, u16 note                of UDP sockets (devices/udp-socket.ts)
 *   5  address  tx: IPv4 destination of the outer packet, host order
 *   6  tag      free for the dataplane (not read by native code)
 *   7  error    set by a send: 0, or the positive errno for which the packet was not sent; received: see setVerdict
 */

export const DESCRIPTOR_WORDS = 8;

/** Bytes that a device leaves free before each packet it receives: room for an outer and a link header. */
export const HEADROOM = 64;
/** The longest packet a device hands over (an IPv4 packet of 65,535 bytes), rounded up. */
export const MAX_PACKET = 65_536;

/** virtio_net_hdr flags. */
export const NEEDS_CSUM = 1;
export const DATA_VALID = 2;
/** Ours: received, and surely not merged of several; where it is longer than the link carries, it came in fragments. */
export const NOT_MERGED = 0x40;
/** Ours: nothing is known of the transport checksum; the TUN's write finds out (raw sockets don't tell). */
export const CSUM_UNKNOWN = 0x80;

/** virtio_net_hdr gso types; the ECN bit may be or'ed to a TCP type. */
export const GSO_NONE = 0;
export const GSO_TCPV4 = 1;
export const GSO_UDP_L4 = 5;
export const GSO_ECN = 0x80;

/** Where word 2 of a descriptor has the byte gsoType, by the machine's byte order. */
const GSO_TYPE_BITS = new Int32Array(Uint8Array.of(0, 0xff, 0, 0).buffer)[0]!;

// Offsets and indices are smaller: V8 then knows that sums with them don't overflow, and needn't look at each.
const MOST_BYTES = 0x3fffffff;
const MOST_PACKETS = 0xffffff;

/** Index of the first word of descriptor i. */
const at = (i: number): number => (i & MOST_PACKETS) * 8;

export class PacketBatch {
  readonly capacity: number;
  readonly slab: Uint8Array;
  /** The slab, for fields of headers: a DataView reads network order in one instruction. */
  readonly view: DataView;
  readonly descriptors: Uint32Array;
  /** The descriptors as int32: V8 has to check each u32 before it may take it for a small integer. */
  readonly #words: Int32Array;
  readonly #u16: Uint16Array;
  readonly #u8: Uint8Array;
  /** Packets in the batch; a receive sets it, a send reads it. */
  count = 0;

  /** `slab`, of less than 1 GiB, may be shared with another batch (a tx list that points into what was received). */
  constructor(capacity: number, slab: Uint8Array) {
    this.capacity = capacity;
    this.slab = slab;
    this.view = new DataView(slab.buffer, slab.byteOffset, slab.byteLength);
    this.descriptors = new Uint32Array(capacity * DESCRIPTOR_WORDS);
    this.#words = new Int32Array(this.descriptors.buffer);
    this.#u16 = new Uint16Array(this.descriptors.buffer);
    this.#u8 = new Uint8Array(this.descriptors.buffer);
  }

  /** A batch with a slab of its own. */
  static create(capacity: number, slabBytes: number): PacketBatch {
    return new PacketBatch(capacity, new Uint8Array(slabBytes));
  }

  offset(i: number): number {
    return this.#words[at(i)]! & MOST_BYTES;
  }
  length(i: number): number {
    return this.#words[at(i) + 1]!;
  }
  flags(i: number): number {
    return this.#u8[i * 32 + 8]!;
  }
  /** Whether packet i was surely one packet on its way, if perhaps in fragments. */
  isUnmerged(i: number): boolean {
    return (this.flags(i) & NOT_MERGED) !== 0;
  }
  gsoType(i: number): number {
    return this.#u8[i * 32 + 9]!;
  }
  /** Whether packet i is one packet on the wire as well, by its gsoType: the usual case, in one comparison. */
  isWhole(i: number): boolean {
    return (this.#words[at(i) + 2]! & GSO_TYPE_BITS) === 0;
  }
  gsoSize(i: number): number {
    return this.#u16[i * 16 + 5]!;
  }
  headerLen(i: number): number {
    return this.#u16[i * 16 + 6]!;
  }
  csumStart(i: number): number {
    return this.#u16[i * 16 + 7]!;
  }
  csumOffset(i: number): number {
    return this.#u16[i * 16 + 8]!;
  }
  address(i: number): number {
    return this.#words[at(i) + 5]! >>> 0;
  }
  error(i: number): number {
    return this.#words[at(i) + 7]!;
  }

  tag(i: number): number {
    return this.#words[at(i) + 6]!;
  }

  setRange(i: number, offset: number, length: number): void {
    this.#words[at(i)] = offset;
    this.#words[at(i) + 1] = length;
  }
  setAddress(i: number, address: number): void {
    this.#words[at(i) + 5] = address;
  }
  /** Of 16 bits. */
  note(i: number): number {
    return this.#u16[i * 16 + 9]!;
  }
  setNote(i: number, note: number): void {
    this.#u16[i * 16 + 9] = note;
  }
  setTag(i: number, tag: number): void {
    this.#words[at(i) + 6] = tag;
  }
  setError(i: number, errno: number): void {
    this.#words[at(i) + 7] = errno;
  }
  setGsoSize(i: number, gsoSize: number): void {
    this.#u16[i * 16 + 5] = gsoSize;
  }
  /**
   * What a packet path decided about packet i of a received batch, for whoever traces it: a drop reason (0: kept) in
   * the error word, and in the tag the table's index of the fan (−1: none) and the wire packets that it stands for.
   */
  setVerdict(i: number, reason: number, fan: number, packets: number): void {
    this.#words[at(i) + 6] = (packets << 16) | (fan + 1);
    this.#words[at(i) + 7] = reason;
  }
  verdict(i: number): number {
    return this.#words[at(i) + 7]!;
  }
  verdictFan(i: number): number {
    return (this.#words[at(i) + 6]! & 0xffff) - 1;
  }
  verdictPackets(i: number): number {
    return this.#words[at(i) + 6]! >>> 16;
  }

  /** The virtio_net_hdr of packet i in one go. */
  setVnet(i: number, flags: number, gsoType: number, gsoSize: number, headerLen: number): void {
    this.#u8[i * 32 + 8] = flags;
    this.#u8[i * 32 + 9] = gsoType;
    this.#u16[i * 16 + 5] = gsoSize;
    this.#u16[i * 16 + 6] = headerLen;
  }
  setCsum(i: number, csumStart: number, csumOffset: number): void {
    this.#u16[i * 16 + 7] = csumStart;
    this.#u16[i * 16 + 8] = csumOffset;
  }

  /** Appends packet `i` of `from` (same slab) as it is; returns its index. */
  append(from: PacketBatch, i: number): number {
    return this.appendRange(from, i, from.offset(i), from.length(i), from.address(i), from.tag(i));
  }

  /**
   * Appends packet `i` of `from` (same slab) as the bytes [offset, offset + length) of the slab: with a header more in
   * front of it, or one less. Returns its index.
   */
  appendRange(
    from: PacketBatch,
    i: number,
    offset: number,
    length: number,
    address: number,
    tag: number,
  ): number {
    const to = this.count++;
    const source = at(i);
    const target = at(to);
    const packet = from.#words;
    const appended = this.#words;
    const shift = packet[source]! - offset;
    const starts = packet[source + 3]!;
    appended[target] = offset;
    appended[target + 1] = length;
    appended[target + 2] = packet[source + 2]!;
    // headerLen and csumStart, 16 bits each.
    appended[target + 3] = ((starts + shift) & 0xffff) | (((starts >>> 16) + shift) << 16);
    appended[target + 4] = packet[source + 4]!;
    appended[target + 5] = address;
    appended[target + 6] = tag;
    appended[target + 7] = 0;
    return to;
  }

  /** Puts packet i in the place of packet `to`, whose bytes stay where they are. */
  move(i: number, to: number): void {
    this.descriptors.copyWithin(at(to), at(i), at(i) + DESCRIPTOR_WORDS);
  }

  /**
   * Appends a copy of packet `i` of `from` behind the last packet, with HEADROOM before it and at a multiple of
   * 64; returns false when the batch or its slab is full. For devices in memory.
   */
  appendCopy(from: PacketBatch, i: number): boolean {
    const to = this.count;
    const length = from.length(i);
    const end = to === 0 ? 0 : this.offset(to - 1) + this.length(to - 1);
    const offset = ((end + HEADROOM + 63) >> 6) << 6;
    if (to === this.capacity || offset + length > this.slab.length) return false;
    const source = i * DESCRIPTOR_WORDS;
    this.slab.set(from.slab.subarray(from.offset(i), from.offset(i) + length), offset);
    this.descriptors.set(from.descriptors.subarray(source, source + DESCRIPTOR_WORDS), to * DESCRIPTOR_WORDS);
    this.descriptors[to * DESCRIPTOR_WORDS] = offset;
    this.count++;
    return true;
  }
}
