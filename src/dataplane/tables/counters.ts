/**
 * Counters in shared memory: one block for the host, one for each fan. One worker adds, the main thread reads.
 *
 * Packets are wire packets (a super-packet counts its segments), bytes are inner bytes. Names are
 * direction-side-unit; docs/counters.md explains each one. Values are doubles: exact up to 2^53, written without
 * allocation, and an aligned 64-bit store is never torn.
 */
import { DROP_REASONS, type DropReason, type DropReasonName } from '../../base/drop-reason.js';

/** Name, and what it counts: the help text of its metric. */
export const TRAFFIC = [
  ['encap-rx-packets', 'packets read from the TUN'],
  ['encap-rx-bytes', 'inner bytes read from the TUN'],
  ['encap-tx-packets', 'packets sent to the underlay'],
  ['encap-tx-bytes', 'inner bytes sent to the underlay'],
  ['decap-rx-packets', 'packets received from the underlay as IP-in-IP'],
  ['decap-rx-bytes', 'inner bytes received from the underlay as IP-in-IP'],
  ['decap-tx-packets', 'packets written to the TUN'],
  ['decap-tx-bytes', 'inner bytes written to the TUN'],
  ['fragment-tx-packets', 'outer fragments made of datagrams that were too big for the path'],
  ['icmp-rx-packets', 'ICMP errors received that are about packets of ours'],
  ['icmp-tx-packets', 'ICMP errors written to the senders of packets'],
] as const;

export type TrafficCounter = (typeof TRAFFIC)[number][0];

export const COUNTER_NAMES: readonly string[] = [
  ...TRAFFIC.map(([name]) => name),
  ...DROP_REASONS.map(([name]) => `drop-${name}-packets`),
];

/** Index of a traffic counter in a block. */
export const COUNTER = Object.freeze(Object.fromEntries(TRAFFIC.map(([name], i) => [name, i]))) as Readonly<
  Record<TrafficCounter, number>
>;

/** Doubles a block: rounded up to whole cache lines, so that blocks don't share one. */
const BLOCK = Math.ceil(COUNTER_NAMES.length / 8) * 8;

/** Behind the blocks: who sent the last packet dropped, and when, for each block and reason. */
const BLAME = DROP_REASONS.length * 2;

/** The block of packets that match no fan. */
export const HOST_BLOCK = 0;
export const MAX_FANS = 256;

/** Who sent the last packet that was dropped for a reason: underlay address, int32 or u32, and Unix time. */
export interface Blamed {
  reason: DropReasonName;
  address: number;
  atMs: number;
}

export class Counters {
  readonly shared: SharedArrayBuffer;
  readonly #values: Float64Array;

  constructor(shared = new SharedArrayBuffer((MAX_FANS + 1) * (BLOCK + BLAME) * 8)) {
    this.shared = shared;
    this.#values = new Float64Array(shared);
  }

  add(block: number, counter: number, amount: number): void {
    const at = block * BLOCK + counter;
    this.#values[at] = this.#values[at]! + amount;
  }

  get(block: number, counter: number): number {
    return this.#values[block * BLOCK + counter]!;
  }

  /** Counts `packets` wire packets as dropped for `reason`. */
  drop(block: number, reason: DropReason, packets: number): void {
    this.add(block, TRAFFIC.length + reason - 1, packets);
  }

  /** Notes that `address` (of the underlay, int32 or u32) sent a packet that was dropped for `reason`. */
  blame(block: number, reason: DropReason, address: number): void {
    const at = blameOffset(block, reason);
    this.#values[at] = address;
    this.#values[at + 1] = Date.now();
  }

  /** The last sender for each reason that has had one. */
  blamed(block: number): Blamed[] {
    return DROP_REASONS.flatMap(([reason], i) => {
      const at = blameOffset(block, i + 1);
      const atMs = this.#values[at + 1]!;
      return atMs === 0 ? [] : [{ reason, address: this.#values[at]!, atMs }];
    });
  }

  /** Sets a counter that the kernel keeps for us. */
  setDrop(block: number, reason: DropReason, packets: number): void {
    this.#values[block * BLOCK + TRAFFIC.length + reason - 1] = packets;
  }

  /** Every counter of a block by its name, zeros included. */
  read(block: number): Record<string, number> {
    const values = this.#values.subarray(block * BLOCK, block * BLOCK + COUNTER_NAMES.length);
    return Object.fromEntries(COUNTER_NAMES.map((name, i) => [name, values[i]!]));
  }

  /** Sets counters of a block by their names, one that is not known is left out, and the last senders. */
  restore(block: number, counts: Readonly<Record<string, number>>, blamed: readonly Blamed[]): void {
    COUNTER_NAMES.forEach((name, i) => {
      this.#values[block * BLOCK + i] = counts[name] ?? 0;
    });
    for (const { reason, address, atMs } of blamed) {
      const index = DROP_REASONS.findIndex(([name]) => name === reason);
      if (index < 0) continue;
      const at = blameOffset(block, index + 1);
      this.#values[at] = address;
      this.#values[at + 1] = atMs;
    }
  }

  clear(block: number): void {
    this.#values.fill(0, block * BLOCK, (block + 1) * BLOCK);
    this.#values.fill(0, blameOffset(block, 1), blameOffset(block, 1) + BLAME);
  }
}

function blameOffset(block: number, reason: DropReason): number {
  return (MAX_FANS + 1) * BLOCK + block * BLAME + (reason - 1) * 2;
}
