/**
 * What is wrong with each fan, as it was last examined: for `show` and the metrics, and a line of the log when a trouble
 * begins and when it ends. A trouble is what `fanctl doctor` calls a failure.
 */
import type { Logger } from '../../base/log.js';
import type { HealthEntry } from '../../control/protocol.js';
import type { Troubles } from '../../diagnosis/doctor/doctor.js';

export class Health {
  readonly #log: Logger;
  /** Bridge → its troubles, in the order of the checks. */
  #entries = new Map<string, readonly HealthEntry[]>();

  constructor(log: Logger) {
    this.#log = log;
  }

  of(bridge: string): readonly HealthEntry[] {
    return this.#entries.get(bridge) ?? [];
  }

  /** Of a fan that is gone. */
  forget(bridge: string): void {
    this.#entries.delete(bridge);
  }

  /** `bridges`: of the fans that there are; what was not examined now stays as it was. */
  update(bridges: readonly string[], { made, found }: Troubles, now: Date): void {
    const next = new Map<string, readonly HealthEntry[]>();
    for (const bridge of bridges) {
      const before = this.of(bridge);
      const failed = found.filter(
        ({ finding }) => finding.status === 'fail' && (finding.bridge ?? bridge) === bridge,
      );
      const current = failed.map(({ check, finding: { evidence, fix } }): HealthEntry => {
        const since = before.find((entry) => entry.check === check)?.since ?? now.toISOString();
        return { check, since, evidence, fix };
      });
      const kept = before.filter(({ check }) => !made.includes(check));
      next.set(bridge, [...current, ...kept]);
      this.#tell(bridge, before, next.get(bridge)!);
    }
    this.#entries = next;
  }

  #tell(bridge: string, before: readonly HealthEntry[], now: readonly HealthEntry[]): void {
    for (const { check, evidence, fix } of now) {
      if (before.some((entry) => entry.check === check)) continue;
      this.#log.warn(`${bridge} is degraded: ${check}: ${evidence}; what mends it: ${fix}`);
    }
    for (const check of new Set(before.map((entry) => entry.check))) {
      if (now.some((entry) => entry.check === check)) continue;
      const rest =
        now.length === 0 ? '' : `, still degraded by ${now.map((entry) => entry.check).join(', ')}`;
      this.#log.info(`${bridge}: ${check} is over${rest}`);
    }
  }
}
