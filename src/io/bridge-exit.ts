/**
 * The short way to a container: the program at the egress of a fan's bridge (native/bridge_exit.bpf.c), which sends
 * super-packets from the TUN straight to the port behind which their destination is. Here it is told which port that is,
 * from the bridge's forwarding database, kept current by the kernel's notifications.
 *
 * The bridge stays in charge: what it would not send to one veth for the MAC address alone, the program is not told of.
 * Other devices would be given a packet that says of itself that it is in a tunnel, and is not.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { deviceError } from './device-error.js';
import { type BridgeExitHandles, native } from './native.js';
import { ask, askAll } from './netlink-ask.js';
import {
  decodeForwarding,
  decodeLinkRole,
  decodeMessages,
  encodeGetForwarding,
  encodeGetLinkAt,
  type ForwardingEntry,
  GROUP,
  type LinkRole,
  MESSAGE,
  type Message,
  NETLINK_ROUTE,
} from './rtnetlink.js';

/** Longer than any notification. */
const BUFFER_BYTES = 1 << 16;
const ENOBUFS = 105;
const EMSGSIZE = 90;

export class BridgeExit {
  /** Readable (poll) when `takeNotifications` has something to do. */
  readonly fd: number;
  readonly #handles: BridgeExitHandles;
  readonly #bridge: number;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  /** What the program knows: MAC address as 12 hexadecimal digits → index of the port. */
  readonly #ports = new Map<string, number>();
  /** Port → whether it takes what the bridge can't; of those that were asked for. */
  readonly #takesWhole = new Map<number, boolean>();
  /** Whether what we know of the bridge has to be read again. */
  #isStale = true;
  #vlanFiltering = false;

  private constructor(fd: number, handles: BridgeExitHandles, bridge: number) {
    this.fd = fd;
    this.#handles = handles;
    this.#bridge = bridge;
  }

  /**
   * Attaches the program to a bridge, for super-packets that came in by the TUN. Throws an Error with {code, errno,
   * syscall}: EPERM, EINVAL before kernel 6.6, ENODEV, ENOENT where it was not built.
   */
  static attach(bridgeIndex: number, tunIndex: number): BridgeExit {
    const path = createRequire(import.meta.url).resolve('#bridge-exit-program');
    const object = readFileSync(path);
    // Before the first reading: what changes in between comes as a notification.
    const fd = native.netlinkOpen(NETLINK_ROUTE, GROUP.link | GROUP.neighbour);
    let handles: BridgeExitHandles | undefined;
    try {
      handles = native.bridgeExitAttach(object, bridgeIndex, tunIndex);
      const exit = new BridgeExit(fd, handles, bridgeIndex);
      exit.#read();
      return exit;
    } catch (error) {
      for (const open of [...Object.values(handles ?? {}), fd]) native.close(open);
      throw error;
    }
  }

  /** What the program was told: MAC address as 12 hexadecimal digits → index of the port. */
  get ports(): ReadonlyMap<string, number> {
    return this.#ports;
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
    }
  }

  #noteEntry(message: Message): void {
    const entry = decodeForwarding(message);
    if (entry?.bridge !== this.#bridge || this.#vlanFiltering) return;
    const key = Buffer.from(entry.mac).toString('hex');
    if (entry.behind && this.#isWhole(entry)) this.#set(key, entry.port);
    // What was deleted for one port may have moved to another before.
    else if (message.type === MESSAGE.newNeighbour || this.#ports.get(key) === entry.port) this.#forget(key);
  }

  #noteLink(link: LinkRole, isGone: boolean): void {
    if (link.index === this.#bridge) {
      if (link.kind === 'bridge' && link.vlanFiltering !== this.#vlanFiltering) this.#forgetAll();
    } else if (this.#takesWhole.delete(link.index) && (isGone || link.master !== this.#bridge)) {
      for (const [key, port] of this.#ports) if (port === link.index) this.#forget(key);
    }
  }

  #isWhole({ port }: ForwardingEntry): boolean {
    let takes = this.#takesWhole.get(port);
    if (takes === undefined) {
      const link = this.#askLink(port);
      takes = link?.kind === 'veth' && link.master === this.#bridge;
      this.#takesWhole.set(port, takes);
    }
    return takes;
  }

  #read(): void {
    this.#vlanFiltering = this.#askLink(this.#bridge)?.vlanFiltering ?? false;
    this.#isStale = false;
    askAll(NETLINK_ROUTE, encodeGetForwarding(this.#bridge), (message) => this.#noteEntry(message));
  }

  #askLink(index: number): LinkRole | undefined {
    const answer = ask(NETLINK_ROUTE, encodeGetLinkAt(index));
    return answer?.type === MESSAGE.newLink ? decodeLinkRole(answer) : undefined;
  }

  #set(key: string, port: number): void {
    if (this.#ports.get(key) === port) return;
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
