/**
 * The underlay's side of the dataplane over AF_PACKET sockets, where super-packets stay whole: PacketReceiver begins
 * decap, PacketSender ends encap. The kernel's part is in native/packet_*.c and native/bpf/gso_shim.bpf.c.
 *
 * Frames pass beside the kernel's IP layer: no firewall, no routing, and on receive nobody has checked the outer
 * header. What a frame can't do (a peer that must be resolved first, a packet that the kernel refuses as a frame)
 * goes by the raw socket, so nothing is lost by this way of sending.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { deviceError } from '../device-error.js';
import { native } from '../native.js';
import { ETHERNET_LEN, type NextHops } from '../netlink/next-hops.js';
import { GSO_NONE, PacketBatch } from '../packet-batch.js';
import { frameFilter } from '../receive-filter.js';
import type { RxDevice, TxDevice } from './device.js';

const BUFFER_BYTES = 16 << 20;
const MOST_IPV4 = 65_535;
const EAGAIN = 11;
const ENOBUFS = 105;
/** Set on what isn't tried as a frame. */
const EHOSTUNREACH = 113;

/** The shim's place at a device's egress; it ends with the descriptor, or the process. */
export class GsoShim {
  /** For native.programDevice, good until `detach`. */
  readonly linkFd: number;

  private constructor(link: number) {
    this.linkFd = link;
  }

  /** Throws an Error with {code, errno, syscall}: EPERM, EINVAL before kernel 6.6, ENOENT where it was not built. */
  static attach(deviceIndex: number): GsoShim {
    const path = createRequire(import.meta.url).resolve('#gso-shim');
    return new GsoShim(native.gsoShimAttach(readFileSync(path), deviceIndex));
  }

  detach(): void {
    native.close(this.linkFd);
  }
}

/**
 * Receives IPIP packets to `address` (host order) that come in by one device, outer header first. Those of one group
 * share them: each inner flow has one receiver.
 */
export class PacketReceiver implements RxDevice {
  readonly fd: number;
  readonly #address: number;
  readonly #lost = new Uint32Array(1);

  private constructor(fd: number, address: number) {
    this.fd = fd;
    this.#address = address;
  }

  /** `group`: to join, of the same device and address; 0 for a new one. Throws an Error with {code, errno, syscall}. */
  static open(deviceIndex: number, address: number, group = 0): PacketReceiver {
    return new PacketReceiver(native.packetReceiverOpen(deviceIndex, address, BUFFER_BYTES, group), address);
  }

  /** One that a process before us opened, of the same device, address and group. */
  static adopt(fd: number, address: number): PacketReceiver {
    return new PacketReceiver(fd, address);
  }

  /** Takes nothing from these addresses (u32), of this host or of all on a link. */
  refuse(own: readonly number[]): void {
    native.rawFilter(this.fd, frameFilter(this.#address, own));
  }

  takeLost(): number {
    const lost = this.#lost[0]!;
    if (lost !== 0) this.#lost[0] = 0;
    return lost;
  }

  /** Its own in the network namespace. */
  get group(): number {
    return native.packetReceiverGroup(this.fd);
  }

  /** The slab takes one packet a slot of a little over 64 kB; at most 128 a call. */
  receive(batch: PacketBatch): number {
    const count = native.packetReceive(this.fd, batch.slab, batch.descriptors, batch.capacity, this.#lost);
    batch.count = Math.max(count, 0);
    if (count < 0) throw deviceError(count, 'recvmmsg');
    return count;
  }

  close(): void {
    native.close(this.fd);
  }
}

/** Sends IPIP packets, outer header included, each to its descriptor's address. */
export class PacketSender implements TxDevice {
  readonly fd: number;
  readonly #hops: NextHops;
  readonly #raw: TxDevice;
  readonly #patient: boolean;
  /** Keeps super-packets whole; without it they are cut before they are sent. */
  readonly #shim: GsoShim | undefined;
  /** What goes by the raw socket, and its index in the batch; shares the batch's slab. */
  #rest = new PacketBatch(0, new Uint8Array(0));
  #restIndex = new Uint32Array(0);
  /** Of the batch at hand. */
  #batchNumber = 0;

  private constructor(fd: number, hops: NextHops, raw: TxDevice, patient: boolean, shim?: GsoShim) {
    this.fd = fd;
    this.#hops = hops;
    this.#raw = raw;
    this.#patient = patient;
    this.#shim = shim;
  }

  /** Super-packets go whole. `hops` and `raw` stay the caller's. Throws as GsoShim.attach. */
  static whole(hops: NextHops, raw: TxDevice): PacketSender {
    const shim = GsoShim.attach(hops.deviceIndex);
    try {
      const fd = native.packetSenderOpen(hops.deviceIndex, BUFFER_BYTES, true);
      return new PacketSender(fd, hops, raw, false, shim);
    } catch (error) {
      shim.detach();
      throw error;
    }
  }

  /** Super-packets are cut first. */
  static cutting(hops: NextHops, raw: TxDevice): PacketSender {
    const fd = native.packetSenderOpen(hops.deviceIndex, BUFFER_BYTES, false);
    return new PacketSender(fd, hops, raw, false);
  }

  /** As cutting, but by a device that is the kernel's own and always drains; at most `bytes` are on their way by it. */
  static relayed(hops: NextHops, raw: TxDevice, deviceIndex: number, bytes: number): PacketSender {
    return new PacketSender(native.packetSenderOpen(deviceIndex, bytes, false), hops, raw, true);
  }

  /** Of its shim, as GsoShim.linkFd; undefined where it has none. */
  get linkFd(): number | undefined {
    return this.#shim?.linkFd;
  }

  send(batch: PacketBatch): number {
    const nowMs = performance.now();
    this.#batchNumber = this.#hops.nextBatch();
    for (let i = 0; i < batch.count; i++) {
      batch.setError(i, this.#frame(batch, i, nowMs) ? 0 : EHOSTUNREACH);
    }
    const { slab, descriptors, count } = batch;
    const failed = native.packetSend(this.fd, slab, descriptors, count, this.#cut, this.#patient);
    return failed === 0 ? 0 : this.#sendRest(batch);
  }

  close(): void {
    native.close(this.fd);
    this.#shim?.detach();
  }

  get #cut(): boolean {
    return this.#shim === undefined;
  }

  /**
   * Writes the Ethernet header before packet i; false where it has to go by the raw socket. That comes after the frames
   * of the batch: what follows a packet to the same next hop then goes there too, or it would overtake.
   */
  #frame(batch: PacketBatch, i: number, nowMs: number): boolean {
    const hop = this.#hops.lookup(batch.address(i));
    const { header } = hop;
    if (header === undefined) return false;
    const bytes = batch.slab;
    const offset = batch.offset(i);
    if (hop.detour === this.#batchNumber) return false;
    const nudged = !hop.confirmed && !isOuterFragment(bytes, offset) && this.#hops.nudge(hop, nowMs);
    if (nudged || (batch.gsoType(i) !== GSO_NONE && !this.#maySegment(batch, i))) {
      hop.detour = this.#batchNumber;
      return false;
    }
    const start = offset - ETHERNET_LEN;
    for (let k = 0; k < ETHERNET_LEN; k++) bytes[start + k] = header[k]!;
    return true;
  }

  /** The device's MTU is asked for segments too: what the kernel cuts it checks no more. */
  #maySegment(batch: PacketBatch, i: number): boolean {
    return (
      (this.#cut || batch.length(i) <= MOST_IPV4) &&
      batch.headerLen(i) + batch.gsoSize(i) <= this.#hops.deviceMtu
    );
  }

  /** What failed as a frame, but for want of room on the way out, goes by the raw socket. Returns what failed there too. */
  #sendRest(batch: PacketBatch): number {
    const rest = this.#restOf(batch);
    let failed = 0;
    for (let i = 0; i < batch.count; i++) {
      const error = batch.error(i);
      if (error === EAGAIN || error === ENOBUFS) failed++;
      else if (error !== 0) this.#restIndex[rest.append(batch, i)] = i;
    }
    if (rest.count === 0) return failed;
    failed += this.#raw.send(rest);
    for (let k = 0; k < rest.count; k++) batch.setError(this.#restIndex[k]!, rest.error(k));
    return failed;
  }

  #restOf(batch: PacketBatch): PacketBatch {
    if (this.#rest.slab !== batch.slab || this.#rest.capacity < batch.capacity) {
      this.#rest = new PacketBatch(batch.capacity, batch.slab);
      this.#restIndex = new Uint32Array(batch.capacity);
    }
    this.#rest.count = 0;
    return this.#rest;
  }
}

/** Fragments stay together: connection tracking puts those of the raw socket together and would wait for the others. */
function isOuterFragment(bytes: Uint8Array, offset: number): boolean {
  return (bytes[offset + 6]! & 0x3f) !== 0 || bytes[offset + 7] !== 0;
}
