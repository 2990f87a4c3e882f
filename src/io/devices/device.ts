/**
 * What the dataplane knows of a device: where packets come from and where they go to. TUN, raw socket,
 * loopback and fault injector are interchangeable behind these two contracts.
 */
import type { PacketBatch } from '../packet-batch.js';

export interface RxDevice {
  /** Readable (poll) when `receive` would return packets. */
  readonly fd: number;
  /**
   * Fills `batch` from index 0 and sets `batch.count`; never blocks. Each packet has HEADROOM free bytes before
   * it and starts at a multiple of 4. Returns the count; 0 when nothing waits. Throws only where the device
   * itself is broken.
   */
  receive(batch: PacketBatch): number;
  /** Packets since the last call that the kernel had for us and could not hand over. */
  takeLost?(): number;
}

export interface TxDevice {
  /**
   * Sends all packets of `batch`. Bytes before each packet, within HEADROOM, may be overwritten. Returns how many
   * *descriptors* failed; each of them has `batch.error(i)` set to the errno, the others 0. Never throws for a packet.
   */
  send(batch: PacketBatch): number;
}
