/**
 * The short way to a container: the program at the egress of a fan's bridge (native/bpf/bridge_exit.bpf.c), which sends
 * super-packets from the TUN straight to the port behind which their destination is. Here it is told which port that is,
 * from the bridge's forwarding database, kept current by the kernel's notifications.
 *
 * The bridge stays in charge: what it would not send to one veth for the MAC address alone, the program is not told of.
 * Other devices would be given a packet that says of itself that it is in a tunnel, and is not.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { deviceError } from '../device-error.js';
import { type BridgeExitHandles, native } from '../native.js';
import { ask, askAll } from '../netlink/ask.js';
import {
  decodeForwarding,
  decodeLinkRole,
  decodeMessages,
  decodeQdisc,
  encodeGetForwarding,
  encodeGetLinkAt,
  GROUP,
  type LinkRole,
  MESSAGE,
  type Message,
  NETLINK_ROUTE,
} from '../netlink/rtnetlink.js';
import { qdiscPassedBy, readQdiscs } from '../netlink/traffic-control.js';

/** Longer than any notification. */
const BUFFER_BYTES = 1 << 16;
const ENOBUFS = 105;
const EMSGSIZE = 90;

/** Their indices. */
export interface ExitDevices {
  bridge: number;
  /** Where super-packets come from that may leave here. */
  tun: number;
  /** Where they came in, in their outer headers. */
  underlay: number;
}

export class BridgeExit {
  /** Readable (poll) when `takeNotifications` has something to do. */
  readonly fd: number;
  readonly #handles: BridgeExitHandles;
  readonly #bridge: number;
  readonly #tun: number;
  readonly #underlay: number;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  /** What the program knows: MAC address as 12 hexadecimal digits → index of the port. */
  readonly #ports = new Map<string, number>();
  /** Port → whether it takes what the bridge can't; of those that were asked for. */
  readonly #takesWhole = new Map<number, boolean>();
  /** Whether what we know of the bridge has to be read again. */
  #isStale = true;
  #vlanFiltering = false;
  #tunIsUp = false;
  /** The bridge or the underlay's device is another by now. */
  #isCut = false;
  #isShaped = false;
  /** All goes by the bridge. */
  #isShut = false;

  private constructor(fd: number, handles: BridgeExitHandles, { bridge, tun, underlay }: ExitDevices) {
    this.fd = fd;
    this.#handles = handles;
    this.#bridge = bridge;
    this.#tun = tun;
    this.#underlay = underlay;
  }

  /**
   * Attaches the program to a bridge, for super-packets that came in by the TUN. Throws an Error with {code, errno,
   * syscall}: EPERM, EINVAL before kernel 6.6, ENODEV, ENOENT where it was not built.
   */
  static attach(devices: ExitDevices): BridgeExit {
    const path = createRequire(import.meta.url).resolve('#bridge-exit-program');
    const object = readFileSync(path);
    // Before the first reading: what changes in between comes as a notification.
    const { link, neighbour, trafficControl } = GROUP;
    const fd = native.netlinkOpen(NETLINK_ROUTE, link | neighbour | trafficControl);
    let handles: BridgeExitHandles | undefined;
    try {
      handles = native.bridgeExitAttach(object, devices.bridge, devices.tun);
      const exit = new BridgeExit(fd, handles, devices);
      exit.#read();
      return exit;
    } catch (error) {
      for (const open of [...Object.values(handles ?? {}), fd]) native.close(open);
      throw error;
    }
  }

  /** For native.programDevice and Pins.add, good until `detach`. */
  get linkFd(): number {
    return this.#handles.link;
  }

  /** What the program was told: MAC address as 12 hexadecimal digits → index of the port. */
  get ports(): ReadonlyMap<string, number> {
    return this.#ports;
  }

  /**
   * Whether super-packets should come here at all. Not while the TUN is down, where what comes in by a redirect is lost,
   * uncounted; nor while there is traffic control that they would pass by; nor once a device has been made anew.
   */
  get isOpen(): boolean {
    return this.#tunIsUp && !this.#isCut && !this.#isShaped;
  }

  /** While it is shut, all goes by the bridge: what is looked at there sees it. */
  shut(isShut: boolean): void {
    if (isShut === this.#isShut) return;
    this.#isShut = isShut;
    this.#forgetAll();
    if (!isShut) this.#try(() => this.#read());
  }

  /**
   * Takes in what the kernel has said since the last call. Where the kernel can't be asked for a moment, all goes by the
   * bridge until the next call.
   */
  takeNotifications(): void {
    for (;;) {
      const length = native.netlinkReceive(this.fd, this.#buffer);
      if (length === 0) break;
      if (length === -ENOBUFS || length === -EMSGSIZE) this.#forgetAll();
      else if (length < 0) throw deviceError(length, 'recv');
      else this.#try(() => decodeMessages(this.#buffer.subarray(0, length)).forEach(this.#note, this));
    }
    // Not before: what waited behind a loss is older than what is read now.
    if (this.#isStale) this.#try(() => this.#read());
  }

  /** Closes all; idempotence is the owner's matter. */
  detach(): void {
    for (const fd of [...Object.values(this.#handles), this.fd]) native.close(fd);
  }

  #try(action: () => void): void {
    try {
      action();
    } catch {
      this.#forgetAll();
    }
  }

  #note(message: Message): void {
    if (this.#isStale) return;
    const { type } = message;
    if (type === MESSAGE.newNeighbour || type === MESSAGE.delNeighbour) {
      this.#noteEntry(message);
    } else if (type === MESSAGE.newLink || type === MESSAGE.delLink) {
      const link = decodeLinkRole(message);
      if (link) this.#noteLink(link, type === MESSAGE.delLink);
    } else if (type === MESSAGE.newQdisc || type === MESSAGE.delQdisc) {
      const device = decodeQdisc(message)?.device;
      if (device === this.#underlay || device === this.#bridge) this.#readQdiscs();
    }
  }

  #noteEntry(message: Message): void {
    const entry = decodeForwarding(message);
    if (entry?.bridge !== this.#bridge || this.#vlanFiltering) return;
    const key = Buffer.from(entry.mac).toString('hex');
    if (entry.behind && this.#isWhole(entry.port)) this.#set(key, entry.port);
    // What was deleted for one port may have moved to another before.
    else if (message.type === MESSAGE.newNeighbour || this.#ports.get(key) === entry.port) this.#forget(key);
  }

  #noteLink(link: LinkRole, isGone: boolean): void {
    // A port that leaves a bridge is told of as gone, by that bridge.
    const isDeleted = isGone && link.master === 0;
    if (link.index === this.#tun) {
      this.#tunIsUp = link.isUp && !isGone;
    } else if (link.index === this.#underlay) {
      this.#isCut ||= isDeleted;
    } else if (link.index === this.#bridge) {
      this.#isCut ||= isDeleted;
      if (link.kind === 'bridge' && link.vlanFiltering !== this.#vlanFiltering) this.#forgetAll();
    } else {
      this.#notePort(link, isGone);
    }
  }

  /** Any notice of a port may be of its state. */
  #notePort({ index, master }: LinkRole, isGone: boolean): void {
    const before = this.#takesWhole.get(index);
    if (before === undefined) return;
    this.#takesWhole.delete(index);
    const takes = !isGone && master === this.#bridge && this.#isWhole(index);
    // What is behind it was not noted meanwhile.
    if (takes && !before) this.#forgetAll();
    if (takes) return;
    for (const [key, port] of this.#ports) if (port === index) this.#forget(key);
  }

  /** Whether a port takes what the bridge can't. */
  #isWhole(port: number): boolean {
    let takes = this.#takesWhole.get(port);
    if (takes === undefined) {
      const link = this.#askLink(port);
      takes = link?.kind === 'veth' && link.master === this.#bridge && link.isForwarding;
      this.#takesWhole.set(port, takes);
    }
    return takes;
  }

  #readQdiscs(): void {
    const devices = { underlay: this.#underlay, bridge: this.#bridge };
    this.#isShaped = true;
    this.#isShaped = qdiscPassedBy(readQdiscs(), devices) !== undefined;
  }

  #read(): void {
    this.#readQdiscs();
    this.#tunIsUp = this.#askLink(this.#tun)?.isUp ?? false;
    this.#vlanFiltering = this.#askLink(this.#bridge)?.vlanFiltering ?? false;
    this.#isStale = false;
    askAll(NETLINK_ROUTE, encodeGetForwarding(this.#bridge), (message) => this.#noteEntry(message));
  }

  #askLink(index: number): LinkRole | undefined {
    const answer = ask(NETLINK_ROUTE, encodeGetLinkAt(index));
    return answer?.type === MESSAGE.newLink ? decodeLinkRole(answer) : undefined;
  }

  #set(key: string, port: number): void {
    if (this.#isShut || this.#ports.get(key) === port) return;
    if (native.bridgeExitSetPort(this.#handles.ports, Buffer.from(key, 'hex'), port) < 0) this.#forget(key);
    else this.#ports.set(key, port);
  }

  #forget(key: string): void {
    if (!this.#ports.delete(key)) return;
    native.bridgeExitSetPort(this.#handles.ports, Buffer.from(key, 'hex'), 0);
  }

  #forgetAll(): void {
    for (const key of [...this.#ports.keys()]) this.#forget(key);
    this.#takesWhole.clear();
    this.#isStale = true;
  }
}
