/**
 * The IPv4 addresses that no other host can have: this host's own, on whatever device, and those of all on its links. Asked
 * of the kernel, and kept current by its notifications (rtnetlink(7)). A packet from one of them is forged.
 */
import { deviceError } from '../device-error.js';
import { native } from '../native.js';
import { askAll } from './ask.js';
import { decodeAddresses, encodeGetAddresses, GROUP, NETLINK_ROUTE } from './rtnetlink.js';

const BUFFER_BYTES = 1 << 16;
const ENOBUFS = 105;
const EMSGSIZE = 90;

export class HostAddresses {
  /** Readable (poll) when `takeNotifications` has something to do. */
  readonly fd: number;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #all: readonly number[] = [];
  /** Whether the kernel could not be asked when something had changed. */
  #isStale = true;

  private constructor(fd: number) {
    this.fd = fd;
    this.#read();
  }

  /** Throws an Error with {code, errno, syscall}. */
  static open(): HostAddresses {
    return new HostAddresses(native.netlinkOpen(NETLINK_ROUTE, GROUP.ipv4Address));
  }

  /** Host-order u32, each once, in ascending order. */
  get all(): readonly number[] {
    return this.#all;
  }

  /** Whether they are others by now. Throws an Error with {code, errno, syscall} where the socket is broken. */
  takeNotifications(): boolean {
    for (;;) {
      const length = native.netlinkReceive(this.fd, this.#buffer);
      if (length === 0) break;
      if (length < 0 && length !== -ENOBUFS && length !== -EMSGSIZE) throw deviceError(length, 'recv');
      this.#isStale = true;
    }
    const before = this.#all;
    if (this.#isStale) this.#read();
    return before.length !== this.#all.length || before.some((address, i) => address !== this.#all[i]);
  }

  close(): void {
    native.close(this.fd);
  }

  #read(): void {
    const found = new Set<number>();
    try {
      askAll(NETLINK_ROUTE, encodeGetAddresses(), (message) => {
        for (const address of decodeAddresses(message)) found.add(address);
      });
    } catch {
      return;
    }
    this.#isStale = false;
    this.#all = [...found].sort((a, b) => a - b);
  }
}
