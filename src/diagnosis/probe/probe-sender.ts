/**
 * Sends probes (wire/probe.ts) through a fan: as plain packets from its gateway, which the kernel routes into the TUN
 * and the dataplane carries as it carries a container's.
 */

import { RawSender } from '../../io/devices/raw-socket.js';
import { PacketBatch } from '../../io/packet-batch.js';
import { encodeProbe, type Probe } from '../../wire/probe.js';

const BUFFER_BYTES = 1 << 18;
const MAX_PACKET = 65_536;

export class ProbeSender {
  readonly #socket: RawSender;
  readonly #batch = PacketBatch.create(1, MAX_PACKET);

  /** Throws an Error with a code where the gateway is no address of this host. */
  constructor(gateway: number) {
    this.#socket = RawSender.open({ bindAddress: gateway, sendBufferBytes: BUFFER_BYTES });
  }

  /** Returns whether the kernel took it. */
  send(probe: Probe): boolean {
    const batch = this.#batch;
    batch.slab.set(encodeProbe(probe), 0);
    batch.count = 1;
    batch.setRange(0, 0, probe.length);
    batch.setVnet(0, 0, 0, 0, 0);
    batch.setAddress(0, probe.destination);
    batch.setError(0, 0);
    return this.#socket.send(batch) === 0;
  }

  close(): void {
    this.#socket.close();
  }
}
