/**
 * The TUN device of a fan: where encap begins and decap ends. Reads are whole super-packets where the kernel
 * offers them; writes are merged into super-packets, as a NIC's driver would. The kernel's part is in
 * native/tun.c and native/merge.c.
 */

import { deviceError } from '../device-error.js';
import { native, type RingHandle, type TunInfo } from '../native.js';
import type { PacketBatch } from '../packet-batch.js';
import type { Ring } from '../ring.js';
import type { RxDevice, TxDevice } from './device.js';

/** TUNSETOFFLOAD bits (linux/if_tun.h): what the kernel may leave to us. USO takes both bits, since 6.2. */
export const TUN_CSUM = 0x01;
export const TUN_TSO4 = 0x02;
export const TUN_USO = 0x20 | 0x40;

/** Protocols that tunWrite may merge. */
export const MERGE_TCP = 1;
export const MERGE_UDP = 2;

/** Each offload is on unless said otherwise here; kernels regress, and one may have to do without. */
export interface TunOptions {
  /** The link's MTU: segments of super-packets whose own segment size is not known are cut to it. */
  mtu: number;
  /** Partial checksums from the kernel. Without them there are no super-packets either. */
  csum?: boolean;
  /** TCP super-packets from the kernel. */
  tso?: boolean;
  /** UDP super-packets from the kernel. */
  uso?: boolean;
  /** Merging of TCP segments on the way to the kernel. */
  mergeTcp?: boolean;
  /** Merging of UDP datagrams on the way to the kernel; takes one that knows USO. */
  mergeUdp?: boolean;
  /** Of several workers each opens it, for a part of the flows; takes a TUN that was made with several queues. */
  multiQueue?: boolean;
  /** Of the thread that uses it. */
  ring?: Ring | undefined;
}

/**
 * With several queues there are two descriptors. A flow's queue is its hash, as long as no packet of it, or of its
 * answers, is written to an attached queue: then the kernel moves the flow there, past those of its packets that still
 * wait in the old queue. So what is read is not what is written to: the second queue is detached.
 */
export class Tun implements RxDevice, TxDevice {
  /** To be read. */
  readonly fd: number;
  readonly #writeFd: number;
  readonly name: string;
  /** TUNSETOFFLOAD bits that the kernel accepted. */
  readonly offloads: number;
  /** As TunOptions.mtu, from the next packet on. */
  mtu: number;
  readonly #merge: number;
  readonly #ring: RingHandle | null;
  #closed = false;

  private constructor(
    { fd, name, offloads }: TunInfo,
    writeFd: number,
    { mtu, mergeTcp = true, mergeUdp = true, uso = true, ring }: TunOptions,
  ) {
    this.fd = fd;
    this.#writeFd = writeFd;
    this.name = name;
    this.offloads = offloads;
    const takesUso = uso && (offloads & TUN_USO) === TUN_USO;
    this.mtu = mtu;
    this.#ring = ring?.handle ?? null;
    this.#merge = (mergeTcp ? MERGE_TCP : 0) | (mergeUdp && takesUso ? MERGE_UDP : 0);
  }

  /**
   * Attaches to the persistent TUN `name`, or creates one that lives as long as this object. Throws an Error with
   * {code, errno, syscall}: EBUSY when another process holds it, EPERM, ENOENT without /dev/net/tun.
   */
  static open(name: string, options: TunOptions): Tun {
    const { csum = true, tso = true, uso = true, multiQueue = false } = options;
    const wanted = csum ? TUN_CSUM | (tso ? TUN_TSO4 : 0) | (uso ? TUN_USO : 0) : 0;
    const info = native.tunOpen(name, wanted, multiQueue);
    try {
      return new Tun(info, multiQueue ? openDetached(info.name, wanted) : info.fd, options);
    } catch (error) {
      native.close(info.fd);
      throw error;
    }
  }

  /** One that a process before us opened with these options; `writeFd`: as it had it. */
  static adopt(info: TunInfo, writeFd: number, options: TunOptions): Tun {
    return new Tun(info, writeFd, options);
  }

  /** That of the queue which is written to. */
  get writeFd(): number {
    return this.#writeFd;
  }

  /** Whether the device and its routes outlive us. */
  persist(persist: boolean): void {
    native.tunPersist(this.fd, persist);
  }

  receive(batch: PacketBatch): number {
    const count = native.tunRead(this.fd, this.#ring, batch.slab, batch.descriptors, batch.capacity);
    batch.count = Math.max(count, 0);
    if (count < 0) throw deviceError(count, 'readv');
    return count;
  }

  send(batch: PacketBatch): number {
    return native.tunWrite(
      this.#writeFd,
      this.#ring,
      batch.slab,
      batch.descriptors,
      batch.count,
      this.mtu,
      this.#merge,
    );
  }

  /** Idempotent; the descriptor must not be used afterwards. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    native.close(this.fd);
    if (this.#writeFd !== this.fd) native.close(this.#writeFd);
  }
}

/** A queue that is only written to. */
function openDetached(name: string, offloads: number): number {
  const { fd } = native.tunOpen(name, offloads, true);
  try {
    native.tunDetachQueue(fd);
    return fd;
  } catch (error) {
    native.close(fd);
    throw error;
  }
}
