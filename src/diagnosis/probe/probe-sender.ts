/**
 * Sends probes (wire/probe.ts) through a fan: as plain packets from its gateway, which the kernel routes into the TUN
 * and the dataplane carries as it carries a container's. Of a fan over VXLAN as frames by its TAP, since nobody answers ARP
 * for the network address of a slice.
 */

import { FrameSender } from '../../io/devices/frame-sender.js';
import { RawSender } from '../../io/devices/raw-socket.js';
import { deviceIndex } from '../../io/netlink/device-index.js';
import { PacketBatch } from '../../io/packet-batch.js';
import { encodeProbe, type Probe } from '../../wire/probe.js';
import { ETHERNET_LEN, writeTunnelLink } from '../../wire/vxlan.js';

const BUFFER_BYTES = 1 << 18;
const MAX_PACKET = 65_536;

/** Underlay addresses of both ends of the fan, u32. */
export interface Ends {
  readonly here: number;
  readonly there: number;
}

export class ProbeSender {
  readonly #gateway: number;
  /** Of a fan over VXLAN; else empty. */
  readonly #tap: string;
  readonly #batch = PacketBatch.create(1, ETHERNET_LEN + MAX_PACKET);
  #socket: RawSender | FrameSender;
  /** Of the TAP that frames go by. */
  #index = 0;

  /** Throws an Error with a code where the gateway is no address of this host, or there is no such TAP. */
  constructor(gateway: number, tap = '') {
    this.#gateway = gateway;
    this.#tap = tap;
    this.#socket = this.#open();
  }

  /** Returns whether the kernel took it. */
  send(probe: Probe, ends: Ends): boolean {
    if (this.#tap !== '' && deviceIndex(this.#tap) !== this.#index) {
      this.#socket.close();
      this.#socket = this.#open();
    }
    const batch = this.#batch;
    batch.slab.set(encodeProbe(probe), ETHERNET_LEN);
    writeTunnelLink(batch.view, 0, ends.here, ends.there);
    batch.count = 1;
    batch.setRange(0, ETHERNET_LEN, probe.length);
    batch.setVnet(0, 0, 0, 0, 0);
    batch.setAddress(0, probe.destination);
    batch.setError(0, 0);
    return this.#socket.send(batch) === 0;
  }

  close(): void {
    this.#socket.close();
  }

  #open(): RawSender | FrameSender {
    if (this.#tap === '')
      return RawSender.open({ bindAddress: this.#gateway, sendBufferBytes: BUFFER_BYTES });
    this.#index = deviceIndex(this.#tap);
    return new FrameSender(this.#index);
  }
}
