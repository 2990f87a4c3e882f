/** Sends Ethernet frames by a device, as if the kernel had routed their packets there; a handful, for probes. */
import { native } from '../native.js';
import type { PacketBatch } from '../packet-batch.js';
import type { TxDevice } from './device.js';

const BUFFER_BYTES = 1 << 18;

export class FrameSender implements TxDevice {
  readonly #fd: number;

  /** Throws an Error with {code, errno, syscall} where there is no such device. */
  constructor(deviceIndex: number) {
    this.#fd = native.packetSenderOpen(deviceIndex, BUFFER_BYTES, false);
  }

  /** Before each packet of the batch stand the ETHERNET_LEN bytes of its header. */
  send(batch: PacketBatch): number {
    return native.packetSend(this.#fd, batch.slab, batch.descriptors, batch.count, false, false);
  }

  close(): void {
    native.close(this.#fd);
  }
}
