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
import { type Inheritance, receiverKey } from './inherited.js';
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
  /** Of all fans, with their VNIs. */
  #specs: readonly FanSpec[] = [];
  /** What another process still reads from, until begin(). */
  #inheritance: Inheritance | undefined;

  constructor(poller: Poller, firstToken: number, inheritance?: Inheritance) {
    this.#poller = poller;
    this.#firstToken = firstToken;
    this.#inheritance = inheritance;
  }

  /** Of all receivers, whose drop counters together are the host's. */
  get receiverFds(): number[] {
    return this.#ports.flatMap(({ receiver }) => (receiver ? [receiver.fd] : []));
  }

  /** Of all senders, UDP. */
  get sourcePorts(): number[] {
    return this.#ports.flatMap(({ sender }) => sender.sourcePorts);
  }

  /** As Inherited.receivers. */
  get lent(): Record<string, number> {
    const receivers = this.#ports.flatMap((port) => (port.receiver ? [[keyOf(port), port.receiver.fd]] : []));
    return Object.fromEntries(receivers) as Record<string, number>;
  }

  /** As Ports.begin. */
  begin(): void {
    if (!this.#inheritance) return;
    this.#inheritance = undefined;
    this.hear(this.#specs);
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
    this.#refuseOtherIo(at.port, mode);
    const made = { address: at.address, udpPort: at.port, device, ttl, mode, token: this.#freeToken() };
    const inherited = this.#inheritance?.takeReceiver(keyOf(made));
    if (inherited === undefined && mode === 'raw' && kernelVxlan) VxlanDevice.release(kernelVxlan.device);
    const receiver =
      inherited === undefined ? openReceiver(at, device, mode) : adoptReceiver(inherited, mode);
    try {
      const sender = UdpSender.open(at, ttl);
      if (receiver) this.#poller.add(receiver.fd, made.token);
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
    this.#specs = specs;
    if (this.#inheritance) return;
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

  /** Either our sockets have a port, or the kernel's VXLAN devices do, whatever the address. */
  #refuseOtherIo(udpPort: number, mode: IoMode): void {
    const isRaw = mode === 'raw';
    const other = this.#ports.find((each) => each.udpPort === udpPort && (each.mode === 'raw') !== isRaw);
    if (!other) return;
    const [here, there] = isRaw ? ['bpf', 'raw'] : ['raw', 'bpf'];
    throw new Error(
      `another fan over VXLAN has udp port ${udpPort} by io ${here}, and fans on one port are of one io: say "io ${here}" ` +
        `here, "io ${there}" there, or "port N" on every host of one of the two`,
    );
  }

  #freeToken(): number {
    const used = new Set(this.#ports.map(({ token }) => token));
    let token = this.#firstToken;
    while (used.has(token)) token++;
    return token;
  }
}

function keyOf({
  device,
  address,
  udpPort,
  ttl,
  mode,
}: Pick<VxlanPort, 'device' | 'address' | 'udpPort' | 'ttl' | 'mode'>): string {
  return receiverKey(device, address, ` ${udpPort} ${ttl} ${mode}`);
}

function adoptReceiver(fd: number, mode: IoMode): VxlanPort['receiver'] {
  return mode === 'raw' ? UdpReceiver.adopt(fd) : VxlanStrays.adopt(fd);
}

function openReceiver(at: UdpAddress, device: string, mode: IoMode): VxlanPort['receiver'] {
  if (mode === 'raw') return UdpReceiver.open(at, device);
  return mode === 'bpf' ? VxlanStrays.open(at) : undefined;
}
