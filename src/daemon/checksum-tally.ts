/**
 * Packets that the kernel drops for a wrong checksum of their IPv4 header, before a raw socket or one of VXLAN sees them:
 * counted while a fan comes in by one, as packet sockets see them first. They are those of the whole host, whatever they
 * were meant for.
 */
import { readNetstat } from '../host/netstat.js';

export class ChecksumTally {
  readonly #readWrong: () => number;
  #last: number;
  #total = 0;

  /** `wrong`: those of the host since it runs. */
  constructor(wrong = () => readNetstat('IpExt', 'InCsumErrors')) {
    this.#readWrong = wrong;
    this.#last = wrong();
  }

  /** Goes on from what another fand counted until now. */
  restore(total: number): void {
    this.#last = this.#readWrong();
    this.#total = total;
  }

  /** `isOurs`: whether those since the last call count. */
  read(isOurs: boolean): number {
    const now = this.#readWrong();
    if (isOurs) this.#total += now - this.#last;
    this.#last = now;
    return this.#total;
  }
}
