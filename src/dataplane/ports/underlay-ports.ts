/**
 * The ways on and off the underlay, opened for the fans that need them: one raw receiver for all addresses, and for each
 * device and address what a mode takes to send; in packet mode a receiver of frames as well.
 */
import { errorText } from '../../base/error.js';
import type { RxDevice, TxDevice } from '../../io/devices/device.js';
import { PacketReceiver, PacketSender } from '../../io/devices/packet-socket.js';
import { RawReceiver, RawSender } from '../../io/devices/raw-socket.js';
import { RelaySender } from '../../io/devices/relay-sender.js';
import { NextHops } from '../../io/netlink/next-hops.js';
import type { Poller } from '../../io/poller.js';
import type { Share } from '../../io/receive-filter.js';
import type { FanSpec, IoMode, Relays } from '../tables/fan-spec.js';
import { type Inheritance, type Inherited, receiverKey } from './inherited.js';

/** Poll tokens: the raw receiver's, and from `ports` on two for each port, its receiver's and its events'. */
export interface UnderlayTokens {
  raw: number;
  ports: number;
}

/** What a fan sends by. */
export interface UnderlayPort {
  readonly sender: TxDevice;
  /** Of the underlay's device; undefined in raw mode, which leaves routing to the kernel. */
  readonly deviceIndex: number | undefined;
  /** The same where a relay needs it too; undefined where the device is not Ethernet. */
  readonly hopsIndex: number | undefined;
  /** Of the program that keeps its super-packets whole (GsoShim.linkFd); undefined where there is none. */
  readonly shimFd: number | undefined;
  /** What this way does without. */
  readonly notes: readonly string[];
  /** By which packet receivers of other workers share what comes in; 0 in raw mode. */
  readonly receiverGroup: number;
  /** Super-packets are cut by us: they would go faster by a relay. */
  readonly cuts: boolean;
}

type PortMode = Exclude<IoMode, 'bpf'>;

interface Port extends UnderlayPort {
  readonly mode: PortMode;
  readonly device: string;
  readonly address: number;
  readonly token: number;
  readonly raw: RawSender;
  /** undefined in raw mode on a device that is not Ethernet. */
  readonly hops: NextHops | undefined;
  readonly frames: PacketSender | undefined;
  /** `sender`, where it may take a relay. */
  readonly relayed: RelaySender | undefined;
  readonly receiver: PacketReceiver | undefined;
}

export class UnderlayPorts {
  readonly #poller: Poller;
  readonly #tokens: UnderlayTokens;
  readonly #receiver: RawReceiver;
  #ports: Port[] = [];
  #relays: Relays = {};
  /** Addresses that no peer has, u32. */
  #own: readonly number[] = [];
  /** What another process still reads from, until begin(). */
  #inheritance: Inheritance | undefined;

  /** `share`: of what comes in. */
  constructor(poller: Poller, share: Share, tokens: UnderlayTokens, inheritance?: Inheritance) {
    this.#inheritance = inheritance;
    this.#receiver = inheritance ? RawReceiver.adopt(inheritance.raw, share) : RawReceiver.open({}, share);
    this.#poller = poller;
    this.#tokens = tokens;
    poller.add(this.#receiver.fd, tokens.raw);
  }

  /** Descriptors of all receivers, whose drop counters together are the host's. */
  get receiverFds(): number[] {
    return [this.#receiver.fd, ...this.#ports.flatMap(({ receiver }) => (receiver ? [receiver.fd] : []))];
  }

  /** As Ports.lent. */
  get lent(): Pick<Inherited, 'raw' | 'receivers'> {
    const receivers = this.#ports.flatMap(({ device, address, receiver }) =>
      receiver ? [[receiverKey(device, address), receiver.fd]] : [],
    );
    return { raw: this.#receiver.fd, receivers: Object.fromEntries(receivers) as Record<string, number> };
  }

  /** As Ports.begin. */
  begin(): void {
    if (!this.#inheritance) return;
    this.#inheritance = undefined;
    this.#ignore(this.#ports);
    this.refuse(this.#own);
  }

  /** The way for a fan, shared with those at the same address. Throws where the mode doesn't work here. */
  open(spec: FanSpec, mode: IoMode): UnderlayPort {
    const { underlayDevice: device, mapping } = spec;
    const wanted = { mode: mode === 'raw' ? 'raw' : 'packet', device, address: mapping.address } as const;
    const known = this.#ports.find((each) => isSame(each, wanted));
    if (known) return known;
    const port = wanted.mode === 'raw' ? this.#openRaw(wanted) : this.#openPacket(wanted, spec.receiverGroup);
    this.#ports.push(port);
    return port;
  }

  /** Takes exactly these relays from now on. Throws an Error with {code, errno, syscall}; some may be taken then. */
  useRelays(relays: Relays): void {
    const before = this.#relays;
    this.#relays = relays;
    for (const { relayed, device } of this.#ports) {
      if (relays[device] !== before[device]) relayed?.use(relays[device]);
    }
  }

  /** Takes no frames from these addresses (u32), which no peer has, from now on. */
  refuse(own: readonly number[]): void {
    this.#own = own;
    if (this.#inheritance) return;
    for (const { receiver } of this.#ports) receiver?.refuse(own);
  }

  /** Closes what none of these fans' ports sends by. */
  retain(used: readonly UnderlayPort[]): void {
    const unused = this.#ports.filter((port) => !used.includes(port));
    this.#ports = this.#ports.filter((port) => used.includes(port));
    for (const port of unused) this.#close(port);
    if (unused.some(({ receiver }) => receiver)) this.#ignore(this.#ports);
  }

  /** The device that a poll token speaks of; undefined where there was nothing to receive: its events are taken in. */
  readable(token: number): RxDevice | undefined {
    if (token === this.#tokens.raw) return this.#receiver;
    const port = this.#ports.find((each) => each.token === (token & ~1));
    if (port?.token === token) return port.receiver;
    port?.hops?.takeNotifications();
    return undefined;
  }

  close(): void {
    this.retain([]);
    this.#poller.remove(this.#receiver.fd);
    this.#receiver.close();
  }

  #openRaw({ device, address }: Pick<Port, 'device' | 'address'>): Port {
    const raw = RawSender.open({ bindAddress: address });
    const port = { mode: 'raw', device, address, raw, deviceIndex: undefined, receiverGroup: 0 } as const;
    const without = { frames: undefined, receiver: undefined, shimFd: undefined, notes: [] };
    const token = this.#freeToken();
    let hops: NextHops;
    try {
      hops = NextHops.open(device, address);
    } catch {
      // No Ethernet, so no frames to relay.
      const none = { hops: undefined, hopsIndex: undefined, relayed: undefined } as const;
      return { ...port, ...without, ...none, token, sender: raw, cuts: false };
    }
    this.#poller.add(hops.fd, token + 1);
    const relayed = this.#relay(new RelaySender(hops, raw, raw), device);
    const hopsIndex = hops.deviceIndex;
    return { ...port, ...without, token, hops, hopsIndex, relayed, sender: relayed, cuts: true };
  }

  /** The raw receiver looks away first: no packet may come in twice. */
  #openPacket({ device, address }: Pick<Port, 'device' | 'address'>, group: number): Port {
    const undo: (() => void)[] = [];
    try {
      const hops = NextHops.open(device, address);
      undo.push(() => hops.close());
      const raw = RawSender.open({ bindAddress: address });
      undo.push(() => raw.close());
      const { frames, withoutShim } = openFrames(hops, raw);
      undo.push(() => frames.close());
      this.#ignore([...this.#ports, { hops, address, mode: 'packet' }]);
      undo.push(() => this.#ignore(this.#ports));
      const { deviceIndex } = hops;
      const inherited = this.#inheritance?.takeReceiver(receiverKey(device, address));
      const receiver =
        inherited === undefined
          ? PacketReceiver.open(deviceIndex, address, group)
          : PacketReceiver.adopt(inherited, address);
      undo.push(() => receiver.close());
      if (inherited === undefined) receiver.refuse(this.#own);
      const token = this.#freeToken();
      this.#poller.add(receiver.fd, token);
      this.#poller.add(hops.fd, token + 1);
      const opened = { mode: 'packet', device, address, token, raw, hops, frames, receiver } as const;
      const { linkFd: shimFd } = frames;
      const port = { ...opened, deviceIndex, hopsIndex: deviceIndex, shimFd, receiverGroup: receiver.group };
      if (withoutShim === undefined)
        return { ...port, relayed: undefined, sender: frames, notes: [], cuts: false };
      const relayed = this.#relay(new RelaySender(hops, raw, frames), device);
      const notes = [`packet: segmentation in software: ${withoutShim}`];
      return { ...port, relayed, sender: relayed, notes, cuts: true };
    } catch (error) {
      for (const step of undo.reverse()) step();
      throw error;
    }
  }

  /** A relay that can't be taken is not missed by the one who opens: useRelays said so, or will. */
  #relay(sender: RelaySender, device: string): RelaySender {
    try {
      sender.use(this.#relays[device]);
    } catch {
      sender.use(undefined);
    }
    return sender;
  }

  #close({ raw, hops, frames, relayed, receiver }: Port): void {
    if (receiver) this.#poller.remove(receiver.fd);
    if (hops) this.#poller.remove(hops.fd);
    receiver?.close();
    relayed?.close();
    frames?.close();
    raw.close();
    hops?.close();
  }

  #ignore(ports: readonly Pick<Port, 'hops' | 'address' | 'mode'>[]): void {
    if (this.#inheritance) return;
    const frames = ports.filter(({ mode }) => mode === 'packet');
    this.#receiver.ignore(frames.map(({ hops, address }) => [hops!.deviceIndex, address]));
  }

  #freeToken(): number {
    const used = new Set(this.#ports.map(({ token }) => token));
    let token = this.#tokens.ports;
    while (used.has(token)) token += 2;
    return token;
  }
}

function isSame(port: Port, wanted: Pick<Port, 'mode' | 'device' | 'address'>): boolean {
  return port.mode === wanted.mode && port.device === wanted.device && port.address === wanted.address;
}

/** With the shim where it can be had; `withoutShim` says why not. */
function openFrames(hops: NextHops, raw: TxDevice): { frames: PacketSender; withoutShim?: string } {
  try {
    return { frames: PacketSender.whole(hops, raw) };
  } catch (error) {
    return { frames: PacketSender.cutting(hops, raw), withoutShim: errorText(error) };
  }
}
