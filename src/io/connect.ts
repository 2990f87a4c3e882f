/**
 * The loader of the second addon, which connects: for programs that ask one thing and end, as the first (native.ts) takes
 * longer to load than they to run.
 */
import { createRequire } from 'node:module';

export interface Connect {
  /**
   * Connects to a Unix socket. The descriptor is close-on-exec and blocks: each read and write for at most `patienceMs`,
   * which then throws EAGAIN; so does the connecting. Throws as native.ts does.
   */
  unixConnect(path: string, patienceMs: number): number;
}

export const { unixConnect } = createRequire(import.meta.url)('#connect') as Connect;
