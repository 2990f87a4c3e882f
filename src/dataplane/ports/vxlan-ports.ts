/**
 * The ways on and off the underlay of VXLAN fans: for each device, address and port one receiver, and senders. Fans that
 * differ by their VNI alone share them.
 */
import { UDP_BURST, UdpReceiver, UdpSender } from '../../io/devices/udp-socket.js';
import { deviceIndex } from '../../io/netlink/device-index.js';
import { HEADROOM, MAX_PACKET, PacketBatch } from '../../io/packet-batch.js';
import type { Poller } from '../../io/poller.js';
import type { FanSpec, IoMode } from '../tables/fan-spec.js';
import type { UnderlayPort } from './underlay-ports.js';

/** Slots of a receive: bursts of up to 64 kB. */
const SLOTS = 16;
/** Descriptors of what one receive brings. */
export const VXLAN_BATCH = SLOTS * UDP_BURST;

export interface VxlanPort extends UnderlayPort {
  readonly receiver: UdpReceiver;
  readonly sender: UdpSender;
  readonly address: number;
  readonly udpPort: number;
  readonly device: string;
  readonly ttl: number;
  readonly token: number;
}

export class VxlanPorts {
  /** What a receiver brings; the toTun of every VXLAN fan points into its slab. */
  readonly fromUnderlay = PacketBatch.create(VXLAN_BATCH, SLOTS * (HEADROOM + MAX_PACKET + 4096));
  readonly #poller: Poller;
  readonly #firstToken: number;
  #ports: VxlanPort[] = [];

  constructor(poller: Poller, firstToken: number) {
    this.#poller = poller;
    this.#firstToken = firstToken;
  }

  /** Of all receivers, whose drop counters together are the host's. */
  get receiverFds(): number[] {
    return this.#ports.map(({ receiver }) => receiver.fd);
  }

  /** The way for a fan, shared with those at the same address and port. Throws where it doesn't work here. */
  open(spec: FanSpec, mode: IoMode): VxlanPort {
    const { underlayDevice: device, mapping, vxlan, ttl } = spec;
    if (mode !== 'raw') throw new Error(`io ${mode} is not for VXLAN`);
    const at = { address: mapping.address, port: vxlan!.port };
    const known = this.#ports.find(
      (each) =>
        each.address === at.address && each.udpPort === at.port && each.device === device && each.ttl === ttl,
    );
    if (known) return known;
    const receiver = UdpReceiver.open(at, device);
    try {
      const sender = UdpSender.open(at, ttl);
      const token = this.#freeToken();
      this.#poller.add(receiver.fd, token);
      const made = { address: at.address, udpPort: at.port, device, ttl, token };
      const hopsIndex = deviceIndex(device);
      const way = {
        deviceIndex: undefined,
        hopsIndex,
        notes: [],
        receiverGroup: 0,
        cuts: false,
        shimFd: undefined,
      } as const;
      const port = { receiver, sender, ...made, ...way };
      this.#ports.push(port);
      return port;
    } catch (error) {
      receiver.close();
      throw error;
    }
  }

  /** The one that a poll token speaks of. */
  readable(token: number): VxlanPort | undefined {
    return this.#ports.find((each) => each.token === token);
  }

  /** Closes what none of these fans' ports sends by. */
  retain(used: readonly UnderlayPort[]): void {
    const unused = this.#ports.filter((port) => !used.includes(port));
    this.#ports = this.#ports.filter((port) => used.includes(port));
    for (const { receiver, sender } of unused) {
      this.#poller.remove(receiver.fd);
      receiver.close();
      sender.close();
    }
  }

  #freeToken(): number {
    const used = new Set(this.#ports.map(({ token }) => token));
    let token = this.#firstToken;
    while (used.has(token)) token++;
    return token;
  }
}
