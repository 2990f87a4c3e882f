/**
 * The TAP of a VXLAN fan: what tun.ts is for IP-in-IP, with Ethernet frames. Descriptors count from a frame's first byte,
 * the MTU is that of the packet in it. One descriptor reads and writes also where there are several queues: a flow may
 * then move to the queue that its answers were written to.
 */
import { deviceError } from '../device-error.js';
import { native, type RingHandle, type TunInfo } from '../native.js';
import type { PacketBatch } from '../packet-batch.js';
import type { Ring } from '../ring.js';
import type { RxDevice, TxDevice } from './device.js';
import { MERGE_TCP, MERGE_UDP, TUN_CSUM, TUN_TSO4, TUN_USO } from './tun.js';

const OFFLOADS = TUN_CSUM | TUN_TSO4 | TUN_USO;

export class Tap implements RxDevice, TxDevice {
  readonly fd: number;
  readonly name: string;
  /** TUNSETOFFLOAD bits that the kernel accepted. */
  readonly offloads: number;
  /** As TunOptions.mtu, from the next packet on. */
  mtu: number;
  readonly #merge: number;
  readonly #ring: RingHandle | null;
  #closed = false;

  private constructor({ fd, name, offloads }: TunInfo, mtu: number, ring: Ring | undefined) {
    this.fd = fd;
    this.name = name;
    this.offloads = offloads;
    this.mtu = mtu;
    this.#ring = ring?.handle ?? null;
    this.#merge = MERGE_TCP | ((offloads & TUN_USO) === TUN_USO ? MERGE_UDP : 0);
  }

  /** As Tun.open; `ring`: of the thread that uses it. */
  static open(name: string, mtu: number, multiQueue: boolean, ring?: Ring): Tap {
    return new Tap(native.tapOpen(name, OFFLOADS, multiQueue), mtu, ring);
  }

  /** One that a process before us opened. */
  static adopt(info: TunInfo, mtu: number, ring?: Ring): Tap {
    return new Tap(info, mtu, ring);
  }

  get writeFd(): number {
    return this.fd;
  }

  receive(batch: PacketBatch): number {
    const count = native.tapRead(this.fd, this.#ring, batch.slab, batch.descriptors, batch.capacity);
    batch.count = Math.max(count, 0);
    if (count < 0) throw deviceError(count, 'readv');
    return count;
  }

  send(batch: PacketBatch): number {
    return native.tapWrite(
      this.fd,
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
  }
}
