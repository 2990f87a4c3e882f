/**
 * What the guard has dropped, for each fan and reason, from the kernel's counters (host/firewall/guard.ts): as the other
 * counters of a fan they only grow, though those of the kernel begin anew where somebody flushed the table.
 */
import { DROP, type DropReason } from '../base/drop-reason.js';
import type { FanRecord } from '../control/state-store.js';
import {
  GUARD_REASONS,
  GUARD_TABLE,
  guardCounter,
  guardKey,
  LAYER2_REASONS,
} from '../host/firewall/guard.js';
import { ownTable } from '../host/firewall/nft.js';
import { ISOLATE_REASONS, isolateTable } from '../host/steps/isolate-rules.js';
import { readNamedCounters } from '../io/netlink/named-counters.js';
import type { GuardTotals } from './handover/heritage.js';

interface Tally {
  /** Of the kernel, as last read. */
  last: number;
  total: number;
}

export class GuardTally {
  /** Fan id → counter → what came to it. */
  readonly #fans = new Map<string, Map<string, Tally>>();

  /** As another fand goes on from. */
  get totals(): GuardTotals {
    return Object.fromEntries([...this.#fans].map(([id, tallies]) => [id, Object.fromEntries(tallies)]));
  }

  restore(totals: GuardTotals): void {
    for (const [id, tallies] of Object.entries(totals)) this.#fans.set(id, new Map(Object.entries(tallies)));
  }

  /** Calls `take` for each of `fans`, which are all that there are, and each reason. */
  read(fans: readonly FanRecord[], take: (fan: string, reason: DropReason, packets: number) => void): void {
    for (const id of this.#fans.keys()) if (!fans.some((fan) => fan.id === id)) this.#fans.delete(id);
    const counters = readNamedCounters(GUARD_TABLE);
    for (const { id, plan } of fans) {
      const key = guardKey(plan.mapping.slice.base);
      const ports = plan.vxlan?.layer2
        ? readNamedCounters(ownTable(plan.mapping.slice.base), 'bridge')
        : undefined;
      for (const reason of new Set([...GUARD_REASONS, ...LAYER2_REASONS])) {
        const name = guardCounter(reason, key);
        const ofPorts = ports ? this.#add(id, `port ${name}`, ports.get(name) ?? 0) : 0;
        take(id, DROP[reason], this.#add(id, name, counters.get(name) ?? 0) + ofPorts);
      }
      if (!plan.isolate) continue;
      const isolated = readNamedCounters(isolateTable(key), 'bridge');
      for (const reason of ISOLATE_REASONS) {
        take(id, DROP[reason], this.#add(id, reason, isolated.get(reason) ?? 0));
      }
    }
  }

  #add(id: string, name: string, now: number): number {
    const fan = this.#fans.get(id) ?? new Map<string, Tally>();
    this.#fans.set(id, fan);
    const { last, total } = fan.get(name) ?? { last: 0, total: 0 };
    const grown = total + (now < last ? now : now - last);
    fan.set(name, { last: now, total: grown });
    return grown;
  }
}
