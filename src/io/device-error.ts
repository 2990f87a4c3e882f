/**
 * The error of a device that is broken, in the shape of the native calls' own errors. A receive that fails for
 * one packet or has nothing to give is no such case.
 */
import { getSystemErrorName } from 'node:util';

export interface DeviceError extends Error {
  code: string;
  /** Positive. */
  errno: number;
  syscall: string;
}

/** `result` is what a native packet call returned: −errno. */
export function deviceError(result: number, syscall: string): DeviceError {
  const code = getSystemErrorName(result);
  return Object.assign(new Error(`${syscall}: ${code}`), { code, errno: -result, syscall });
}
