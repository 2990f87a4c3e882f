/** How many forwarding threads fand has: `fand --workers`, `fanctl up --workers`, UFAN_WORKERS. */
import { FanError } from '../base/error.js';

export const MOST_WORKERS = 16;
/** More than these by default would take cores from containers that may need them more. */
const MOST_BY_DEFAULT = 4;

/** Where nobody says: one for two CPUs, as the kernel's half of forwarding needs time as well. */
export function defaultWorkers(cpus: number): number {
  return Math.max(1, Math.min(MOST_BY_DEFAULT, Math.floor(cpus / 2)));
}

/** Throws FanError usage, which begins with `name`, for what is no number of workers. */
export function parseWorkers(name: string, text: string): number {
  const workers = Number(text);
  if (/^[0-9]+$/.test(text) && workers >= 1 && workers <= MOST_WORKERS) return workers;
  throw new FanError('usage', `${name}: "${text}" is no number from 1 to ${MOST_WORKERS}`);
}
