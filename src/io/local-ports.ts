/**
 * The ports that the kernel takes where a sender names none, its tunnels too: net.ipv4.ip_local_port_range of our network
 * namespace (ip(7)).
 */
import { readFileSync } from 'node:fs';

const SETTING = '/proc/sys/net/ipv4/ip_local_port_range';
/** As a kernel starts with. */
const DEFAULT: readonly [number, number] = [32_768, 60_999];
/** Somebody may set it at any time. */
const READ_AGAIN_MS = 1000;

export class LocalPorts {
  readonly #setting: string;
  #range = DEFAULT;
  #readMs = Number.NEGATIVE_INFINITY;

  /** `setting`: the file that has it. */
  constructor(setting = SETTING) {
    this.#setting = setting;
  }

  includes(port: number, nowMs: number): boolean {
    if (nowMs - this.#readMs >= READ_AGAIN_MS) {
      this.#readMs = nowMs;
      this.#range = readRange(this.#setting);
    }
    const [first, last] = this.#range;
    return port >= first && port <= last;
  }
}

function readRange(setting: string): readonly [number, number] {
  try {
    const [first, last] = readFileSync(setting, 'latin1').trim().split(/\s+/).map(Number);
    return [first!, last!];
  } catch {
    // Not every container has it.
    return DEFAULT;
  }
}
