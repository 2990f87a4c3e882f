/**
 * Packets that the kernel drops for a wrong checksum of their IPv4 header, before a raw socket or one of VXLAN sees them:
 * counted while a fan comes in by one, as packet sockets see them first. They are those of the whole host, whatever they
 * were meant for.
 */
import { readNetstat } from '../host/netstat.js';

export class ChecksumTally {
  #last = readWrong();
  #total = 0;

  /** Goes on from what another fand counted. */
  restore(total: number): void {
    this.#total = total;
  }

  /** `isOurs`: whether those since the last call count. */
  read(isOurs: boolean): number {
    const now = readWrong();
    if (isOurs) this.#total += now - this.#last;
    this.#last = now;
    return this.#total;
  }
}

function readWrong(): number {
  return readNetstat('IpExt', 'InCsumErrors');
}
