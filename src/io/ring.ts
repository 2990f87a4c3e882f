/**
 * Several reads, or writes, of a TUN by one entry into the kernel (io_uring): a TUN takes and gives one packet a call. Of
 * one thread; without it each packet takes a call of its own. native/ring.c has the kernel's part.
 */
import { native, type RingHandle } from './native.js';

export class Ring {
  /** For native.tunRead and its like, which do without one that is closed. */
  readonly handle: RingHandle;

  private constructor(handle: RingHandle) {
    this.handle = handle;
  }

  /** Throws an Error with {code, errno, syscall}: EPERM where it is not allowed, ENOSYS on a kernel without. */
  static open(): Ring {
    return new Ring(native.ringOpen());
  }

  /** Idempotent. */
  close(): void {
    native.ringClose(this.handle);
  }
}
