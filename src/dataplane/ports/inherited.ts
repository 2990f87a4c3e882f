/**
 * Descriptors that a worker gets from the worker of the fand before it (daemon/handover/heritage.ts): of all that packets
 * come in by. They are the same open files, so what waits in them waits for whoever reads next, and is read once.
 *
 * Until the one before has stopped reading, nothing may be changed of them: they still serve it.
 */
import { native } from '../../io/native.js';

/** Of a TUN, or a TAP. */
export interface InheritedTun {
  readonly fd: number;
  /** The same, or that of the queue which is only written to. */
  readonly writeFd: number;
  readonly offloads: number;
}

export interface Inherited {
  readonly raw: number;
  readonly icmp: number;
  /** By the fan's id. */
  readonly tuns: Readonly<Record<string, InheritedTun>>;
  /** By receiverKey(): packet receivers, and what VXLAN comes in by. */
  readonly receivers: Readonly<Record<string, number>>;
}

/** `address`: of the fan at its underlay device; `way`: what else tells its receivers from each other. */
export function receiverKey(device: string, address: number, way = ''): string {
  return `${address >>> 0} ${device}${way}`;
}

/** What is left of it, each descriptor to be taken once. */
export class Inheritance {
  readonly raw: number;
  readonly icmp: number;
  readonly #tuns: Map<string, InheritedTun>;
  readonly #receivers: Map<string, number>;

  constructor({ raw, icmp, tuns, receivers }: Inherited) {
    this.raw = raw;
    this.icmp = icmp;
    this.#tuns = new Map(Object.entries(tuns));
    this.#receivers = new Map(Object.entries(receivers));
  }

  /** Undefined where there is none of this fan. */
  takeTun(fan: string): InheritedTun | undefined {
    const tun = this.#tuns.get(fan);
    this.#tuns.delete(fan);
    return tun;
  }

  takeReceiver(key: string): number | undefined {
    const fd = this.#receivers.get(key);
    this.#receivers.delete(key);
    return fd;
  }

  /** Closes what nobody has taken: a socket that nobody reads from would keep its share of what comes in. */
  close(): void {
    for (const { fd, writeFd } of this.#tuns.values())
      for (const each of new Set([fd, writeFd])) native.close(each);
    for (const fd of this.#receivers.values()) native.close(fd);
    this.#tuns.clear();
    this.#receivers.clear();
  }
}
