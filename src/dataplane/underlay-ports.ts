/**
 * The ways on and off the underlay, opened for the fans that need them: one raw receiver for all addresses, raw
 * senders, and for packet mode a receiver and a sender of frames for each device and address.
 */
import type { RxDevice, TxDevice } from '../io/device.js';
import { NextHops } from '../io/next-hops.js';
import { PacketReceiver, PacketSender } from '../io/packet-socket.js';
import type { Poller } from '../io/poller.js';
import { RawReceiver, RawSender } from '../io/raw-socket.js';
import type { Share } from '../io/receive-filter.js';
import type { FanSpec, IoMode } from './worker-protocol.js';

/** Poll tokens: the raw receiver's, and from `packet` on two for each packet port, its receiver's and its events'. */
export interface UnderlayTokens {
  raw: number;
  packet: number;
}

interface RawPort {
  readonly address: number;
  readonly sender: RawSender;
}

interface PacketPort {
  readonly device: string;
  readonly address: number;
  readonly token: number;
  readonly hops: NextHops;
  readonly raw: RawSender;
  readonly sender: PacketSender;
  readonly receiver: PacketReceiver;
}

/** What a fan sends by. */
export interface UnderlayPort {
  readonly sender: TxDevice;
  /** Of the underlay's device; undefined in raw mode, which leaves routing to the kernel. */
  readonly deviceIndex: number | undefined;
  /** What this way does without. */
  readonly notes: readonly string[];
  /** By which packet receivers of other workers share what comes in; 0 in raw mode. */
  readonly receiverGroup: number;
}

export class UnderlayPorts {
  readonly #poller: Poller;
  readonly #tokens: UnderlayTokens;
  readonly #receiver: RawReceiver;
  #raw: RawPort[] = [];
  #packet: PacketPort[] = [];

  /** `share`: of what comes in. */
  constructor(poller: Poller, share: Share, tokens: UnderlayTokens) {
    this.#receiver = RawReceiver.open({}, share);
    this.#poller = poller;
    this.#tokens = tokens;
    poller.add(this.#receiver.fd, tokens.raw);
  }

  /** Descriptors of all receivers, whose drop counters together are the host's. */
  get receiverFds(): number[] {
    return [this.#receiver.fd, ...this.#packet.map(({ receiver }) => receiver.fd)];
  }

  /** The way for a fan, shared with those at the same address. Throws where the mode doesn't work here. */
  open(spec: FanSpec, mode: IoMode): UnderlayPort {
    return mode === 'raw' ? this.#openRaw(spec) : this.#openPacket(spec);
  }

  /** Closes what none of these fans' ports sends by. */
  retain(used: readonly UnderlayPort[]): void {
    const senders = new Set(used.map(({ sender }) => sender));
    const unused = this.#packet.filter(({ sender }) => !senders.has(sender));
    this.#packet = this.#packet.filter(({ sender }) => senders.has(sender));
    for (const port of unused) this.#closePacket(port);
    if (unused.length > 0) this.#ignore(this.#packet);
    for (const { sender } of this.#raw) if (!senders.has(sender)) sender.close();
    this.#raw = this.#raw.filter(({ sender }) => senders.has(sender));
  }

  /** The device that a poll token speaks of; undefined where there was nothing to receive: its events are taken in. */
  readable(token: number): RxDevice | undefined {
    if (token === this.#tokens.raw) return this.#receiver;
    const port = this.#packet.find((each) => each.token === (token & ~1));
    if (port?.token === token) return port.receiver;
    port?.hops.takeNotifications();
    return undefined;
  }

  close(): void {
    this.retain([]);
    this.#poller.remove(this.#receiver.fd);
    this.#receiver.close();
  }

  #openRaw({ mapping: { address } }: FanSpec): UnderlayPort {
    let port = this.#raw.find((each) => each.address === address);
    if (!port) {
      port = { address, sender: RawSender.open({ bindAddress: address }) };
      this.#raw.push(port);
    }
    return { sender: port.sender, deviceIndex: undefined, notes: [], receiverGroup: 0 };
  }

  #openPacket({ mapping: { address }, underlayDevice, receiverGroup }: FanSpec): UnderlayPort {
    let port = this.#packet.find((each) => each.address === address && each.device === underlayDevice);
    if (!port) {
      port = this.#makePacket(underlayDevice, address, receiverGroup);
      this.#packet.push(port);
    }
    const { withoutShim } = port.sender;
    const notes = withoutShim === undefined ? [] : [`packet: segmentation in software: ${withoutShim}`];
    const { deviceIndex } = port.hops;
    return { sender: port.sender, deviceIndex, notes, receiverGroup: port.receiver.group };
  }

  /** The raw receiver looks away first: no packet may come in twice. */
  #makePacket(device: string, address: number, group: number): PacketPort {
    const undo: (() => void)[] = [];
    try {
      const hops = NextHops.open(device, address);
      undo.push(() => hops.close());
      const raw = RawSender.open({ bindAddress: address });
      undo.push(() => raw.close());
      const sender = new PacketSender(hops, raw);
      undo.push(() => sender.close());
      this.#ignore([...this.#packet, { hops, address }]);
      undo.push(() => this.#ignore(this.#packet));
      const receiver = new PacketReceiver(hops.deviceIndex, address, group);
      const token = this.#freeToken();
      this.#poller.add(receiver.fd, token);
      this.#poller.add(hops.fd, token + 1);
      return { device, address, token, hops, raw, sender, receiver };
    } catch (error) {
      for (const step of undo.reverse()) step();
      throw error;
    }
  }

  #closePacket({ hops, raw, sender, receiver }: PacketPort): void {
    this.#poller.remove(receiver.fd);
    this.#poller.remove(hops.fd);
    receiver.close();
    sender.close();
    raw.close();
    hops.close();
  }

  #ignore(ports: readonly Pick<PacketPort, 'hops' | 'address'>[]): void {
    this.#receiver.ignore(ports.map(({ hops, address }) => [hops.deviceIndex, address]));
  }

  #freeToken(): number {
    const used = new Set(this.#packet.map(({ token }) => token));
    let token = this.#tokens.packet;
    while (used.has(token)) token += 2;
    return token;
  }
}
