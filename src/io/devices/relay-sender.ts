/**
 * Bursts of segments on their way to the underlay, where super-packets have to be cut by us. Sent one by one, each
 * would pass the kernel's whole stack alone. So they take a veth pair (host/relays.ts): a kernel thread at its other
 * end merges what has come meanwhile (GRO) into IPIP super-packets and hands those to the underlay's device, which
 * cuts them as late as it can.
 *
 * Anything but a burst goes straight, unless a burst is still under way: no packet overtakes another.
 */

import { native } from '../native.js';
import type { NextHops } from '../netlink/next-hops.js';
import { GSO_NONE, type PacketBatch } from '../packet-batch.js';
import type { TxDevice } from './device.js';
import { PacketSender } from './packet-socket.js';

/** The kernel doubles it; about 120 full packets. A veth holds 256: more, if they are small, are refused and sent again. */
const BYTES_UNDER_WAY = 140_000;
/** How long a packet that must go straight waits for those under way, at most, and how often it looks. */
const DRAIN_MS = 5;
const DRAIN_STEP_US = 20;

export class RelaySender implements TxDevice {
  readonly #hops: NextHops;
  readonly #raw: TxDevice;
  readonly #straight: TxDevice;
  #relay: PacketSender | undefined;
  /** Something may be on its way through the relay. */
  #isUsed = false;

  /** `straight`: for all that is no burst; `raw`: for what can't be sent as a frame. All stay the caller's. */
  constructor(hops: NextHops, raw: TxDevice, straight: TxDevice) {
    this.#hops = hops;
    this.#raw = raw;
    this.#straight = straight;
  }

  /** Takes this device for bursts from now on, or none. Throws an Error with {code, errno, syscall}; then none is taken. */
  use(relayIndex: number | undefined): void {
    this.close();
    if (relayIndex === undefined) return;
    // What can't be a frame comes after the frames of its batch.
    const raw = { send: (batch: PacketBatch) => this.#afterRelay(batch) };
    this.#relay = PacketSender.relayed(this.#hops, raw, relayIndex, BYTES_UNDER_WAY);
  }

  send(batch: PacketBatch): number {
    const relay = this.#relay;
    if (relay === undefined || !(hasBurst(batch) || this.#isBusy(relay))) return this.#straight.send(batch);
    this.#isUsed = true;
    return relay.send(batch);
  }

  close(): void {
    this.#relay?.close();
    this.#relay = undefined;
    this.#isUsed = false;
  }

  #isBusy(relay: PacketSender): boolean {
    if (this.#isUsed) this.#isUsed = native.packetUnsent(relay.fd) > 0;
    return this.#isUsed;
  }

  #afterRelay(batch: PacketBatch): number {
    const relay = this.#relay!;
    const end = performance.now() + DRAIN_MS;
    while (this.#isBusy(relay) && performance.now() < end) native.pollerPause(DRAIN_STEP_US);
    return this.#raw.send(batch);
  }
}

function hasBurst(batch: PacketBatch): boolean {
  for (let i = 0; i < batch.count; i++) if (batch.gsoType(i) !== GSO_NONE) return true;
  return false;
}
