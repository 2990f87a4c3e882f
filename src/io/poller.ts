/**
 * What a forwarding thread sleeps on: its devices, and an eventfd by which another thread wakes it. One poller
 * belongs to one thread; only the eventfd is shared.
 */
import { deviceError } from './device-error.js';
import { native } from './native.js';

export class Poller {
  /** The token that wait() reports for a wake-up; devices take tokens from 1. */
  static readonly WAKE = 0;

  /** Signal this (native.eventSignal) from any thread to wake the poller. */
  readonly wakeFd: number;
  readonly #ownsWakeFd: boolean;
  readonly #fd: number;
  #closed = false;

  private constructor(fd: number, wakeFd: number, ownsWakeFd: boolean) {
    this.#fd = fd;
    this.wakeFd = wakeFd;
    this.#ownsWakeFd = ownsWakeFd;
  }

  /** `wakeFd` is an eventfd of the caller's, which close() leaves open; without it the poller makes its own. */
  static open(wakeFd?: number): Poller {
    const fd = native.pollerOpen();
    try {
      const event = wakeFd ?? native.eventOpen();
      native.pollerAdd(fd, event, Poller.WAKE);
      return new Poller(fd, event, wakeFd === undefined);
    } catch (error) {
      native.close(fd);
      throw error;
    }
  }

  /** Watches `fd` for input. Level-triggered: it is reported until it is drained. */
  add(fd: number, token: number): void {
    native.pollerAdd(this.#fd, fd, token);
  }

  /** Call it before `fd` is closed. */
  remove(fd: number): void {
    native.pollerRemove(this.#fd, fd);
  }

  /**
   * Waits at most `timeoutMs` (−1 = for ever) and fills `ready` with tokens; returns their count, 0 on a time-out
   * or a signal. A wake-up is reset by being reported.
   */
  wait(ready: Int32Array, timeoutMs: number): number {
    const count = native.pollerWait(this.#fd, ready, timeoutMs);
    if (count < 0) throw deviceError(count, 'epoll_wait');
    for (let i = 0; i < count; i++) if (ready[i] === Poller.WAKE) native.eventClear(this.wakeFd);
    return count;
  }

  /** Sleeps for `us` microseconds, so that more than one packet waits when the thread comes back. */
  pause(us: number): void {
    native.pollerPause(us);
  }

  /** Makes the wait of the poller's thread return, now or the next time. */
  wake(): void {
    native.eventSignal(this.wakeFd);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    native.close(this.#fd);
    if (this.#ownsWakeFd) native.close(this.wakeFd);
  }
}
