/**
 * The ways on and off the underlay of VXLAN fans: for each device, address and port one receiver, and senders. Fans that
 * differ by their VNI alone share them.
 */
import { UDP_BURST, type UdpAddress, UdpReceiver, UdpSender } from '../../io/devices/udp-socket.js';
import { VxlanDevice } from '../../io/devices/vxlan-device.js';
import { VxlanStrays } from '../../io/devices/vxlan-strays.js';
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
  /** Where the kernel's VXLAN device has the port: of what that drops, undefined in a worker that has no programs. */
  readonly receiver: UdpReceiver | VxlanStrays | undefined;
  readonly sender: UdpSender;
  readonly address: number;
  readonly udpPort: number;
  readonly device: string;
  readonly ttl: number;
  readonly token: number;
  readonly mode: IoMode;
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
    return this.#ports.flatMap(({ receiver }) => (receiver ? [receiver.fd] : []));
  }

  /** The way for a fan, shared with those at the same address and port. Throws where it doesn't work here. */
  open(spec: FanSpec, mode: IoMode): VxlanPort {
    const { underlayDevice: device, mapping, vxlan, kernelVxlan, ttl } = spec;
    const at = { address: mapping.address, port: vxlan!.port };
    const known = this.#ports.find(
      (each) =>
        each.address === at.address &&
        each.udpPort === at.port &&
        each.device === device &&
        each.ttl === ttl &&
        each.mode === mode,
    );
    if (known) return known;
    if (mode === 'raw' && kernelVxlan) VxlanDevice.release(kernelVxlan.device);
    const receiver = openReceiver(at, device, mode);
    try {
      const sender = UdpSender.open(at, ttl);
      const token = this.#freeToken();
      if (receiver) this.#poller.add(receiver.fd, token);
      const made = { address: at.address, udpPort: at.port, device, ttl, token, mode };
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
      receiver?.close();
      throw error;
    }
  }

  /** The one that a poll token speaks of. */
  readable(token: number): VxlanPort | undefined {
    return this.#ports.find((each) => each.token === token);
  }

  /** `specs`: of all fans, whose VNIs are then known. */
  hear(specs: readonly FanSpec[]): void {
    for (const { receiver, address, udpPort } of this.#ports) {
      if (!(receiver instanceof VxlanStrays)) continue;
      const here = specs.filter(
        ({ vxlan, mapping }) => vxlan?.port === udpPort && mapping.address === address,
      );
      receiver.hear(
        udpPort,
        here.map(({ vxlan }) => vxlan!.vni),
      );
    }
  }

  /** Closes what none of these fans' ports sends by. */
  retain(used: readonly UnderlayPort[]): void {
    const unused = this.#ports.filter((port) => !used.includes(port));
    this.#ports = this.#ports.filter((port) => used.includes(port));
    for (const { receiver, sender } of unused) {
      if (receiver) this.#poller.remove(receiver.fd);
      receiver?.close();
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

function openReceiver(at: UdpAddress, device: string, mode: IoMode): VxlanPort['receiver'] {
  if (mode === 'raw') return UdpReceiver.open(at, device);
  return mode === 'bpf' ? VxlanStrays.open(at) : undefined;
}
