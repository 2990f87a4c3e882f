/** The io_uring that a worker's TUNs are read and written by, or why each packet takes a call of its own. */
import { errorText } from '../../base/error.js';
import { Ring } from '../../io/ring.js';

export interface TunRing {
  readonly ring: Ring | undefined;
  /** Of a fan whose packets go by the worker: what it does without. */
  readonly notes: readonly string[];
}

/** Not where UFAN_IO_URING says off, which is no news to whoever said it; fand.ts checks the word. */
export function openTunRing(): TunRing {
  if (process.env.UFAN_IO_URING === 'off') return { ring: undefined, notes: [] };
  try {
    return { ring: Ring.open(), notes: [] };
  } catch (error) {
    return {
      ring: undefined,
      notes: [`a system call for each packet: io_uring is not to be had here (${errorText(error)})`],
    };
  }
}
