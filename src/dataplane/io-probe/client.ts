/**
 * Asks once what I/O modes this kernel can do: runs io-probe.ts in a network namespace of its own. `--io auto` takes
 * the fastest of them that works on the device as well.
 */
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { errorText } from '../../base/error.js';

/** null, or why the mode doesn't work here. */
export interface IoProbe {
  packet: string | null;
  bpf: string | null;
  /** Of bpf: decap in the kernel; without it the daemon does that part. */
  decap: string | null;
}

const TIMEOUT_MS = 10_000;

/**
 * Takes a few tenths of a second. Never fails: where the probe can't run, bpf is not proven; packet mode finds out
 * itself what it has to do without.
 */
export function probeIo(): Promise<IoProbe> {
  const program = createRequire(import.meta.url).resolve('#io-probe');
  return new Promise((resolve) => {
    const argv = ['--net', process.execPath, program];
    execFile('unshare', argv, { timeout: TIMEOUT_MS }, (error, stdout, stderr) => {
      try {
        if (error) throw new Error(stderr.trim().split('\n').at(-1) || error.message);
        resolve(JSON.parse(stdout) as IoProbe);
      } catch (cause) {
        const failed = `the probe failed: ${errorText(cause)}`;
        resolve({ packet: null, bpf: failed, decap: failed });
      }
    });
  });
}
