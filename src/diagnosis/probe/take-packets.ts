/** The few packets of a probe, one by one: what ears and transports of ICMP do when they look at a socket. */
import type { RxDevice } from '../../io/devices/device.js';
import type { PacketBatch } from '../../io/packet-batch.js';

/** Fills `batch` with what `receiver` has. `take` gets each packet; its bytes are valid during the call. */
export function takePackets(
  receiver: RxDevice,
  batch: PacketBatch,
  take: (packet: Uint8Array) => void,
): void {
  try {
    receiver.receive(batch);
  } catch {
    // An error about a packet that is lost then.
    return;
  }
  for (let i = 0; i < batch.count; i++) {
    const offset = batch.offset(i);
    take(batch.slab.subarray(offset, offset + batch.length(i)));
  }
}
