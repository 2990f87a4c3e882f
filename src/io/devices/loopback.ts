/**
 * Two devices in memory, each receiving what the other sends: the same contract as the real ones (device.ts),
 * for tests of everything above them. Descriptors travel with the packets, so super-packets stay whole.
 */
import { constants } from 'node:os';
import { native } from '../native.js';
import { PacketBatch } from '../packet-batch.js';
import type { RxDevice, TxDevice } from './device.js';

export class Loopback implements RxDevice, TxDevice {
  /** An eventfd, readable while packets wait. */
  readonly fd = native.eventOpen();
  readonly #queue: PacketBatch;
  /** Packets of the queue that were received already. */
  #taken = 0;
  #peer: Loopback | undefined;

  private constructor(capacity: number, slabBytes: number) {
    this.#queue = PacketBatch.create(capacity, slabBytes);
  }

  /** Each end queues up to `capacity` packets in `slabBytes`; what is sent beyond fails with ENOBUFS. */
  static pair(capacity = 256, slabBytes = 1 << 20): [Loopback, Loopback] {
    const a = new Loopback(capacity, slabBytes);
    const b = new Loopback(capacity, slabBytes);
    a.#peer = b;
    b.#peer = a;
    return [a, b];
  }

  receive(batch: PacketBatch): number {
    batch.count = 0;
    while (this.#taken < this.#queue.count && batch.appendCopy(this.#queue, this.#taken)) this.#taken++;
    if (this.#taken === this.#queue.count) {
      this.#taken = 0;
      this.#queue.count = 0;
      native.eventClear(this.fd);
    }
    return batch.count;
  }

  send(batch: PacketBatch): number {
    let failures = 0;
    for (let i = 0; i < batch.count; i++) {
      const queued = this.#peer?.enqueue(batch, i) ?? false;
      batch.descriptors[i * 8 + 7] = queued ? 0 : constants.errno.ENOBUFS;
      if (!queued) failures++;
    }
    return failures;
  }

  /** Ends this device; what its peer sends then fails. */
  close(): void {
    if (this.#peer) this.#peer.#peer = undefined;
    this.#peer = undefined;
    native.close(this.fd);
  }

  private enqueue(batch: PacketBatch, i: number): boolean {
    const queued = this.#queue.appendCopy(batch, i);
    if (queued) native.eventSignal(this.fd);
    return queued;
  }
}
