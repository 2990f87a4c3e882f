/**
 * Which relays there are (host/relays.ts), kept in step with the fans that have use for them, and the workers told. One
 * that can't be had is not asked for again while fand runs: its fans go without. So do all while the host has IPsec
 * policies, which would not see what takes a relay.
 */
import { errorText } from '../base/error.js';
import type { Relays } from '../dataplane/tables/fan-spec.js';
import { makeRelay, removeRelays } from '../host/relays.js';
import { IpsecPolicies } from '../io/netlink/ipsec-policies.js';

export class RelayKeeper {
  readonly #owner: string;
  readonly #tell: (relays: Relays) => Promise<void>;
  readonly #policies = new IpsecPolicies();
  /** Devices that fans want one at. */
  #wanted: readonly string[] = [];
  /** There are policies, as far as we know. */
  #hasPolicies = false;
  /** As the workers were last told. */
  #relays: Relays = {};
  /** Device → why it has none. */
  readonly #failures = new Map<string, string>();

  /** `owner`: our run directory; `tell` makes the workers take exactly these. */
  constructor(owner: string, tell: (relays: Relays) => Promise<void>) {
    this.#owner = owner;
    this.#tell = tell;
  }

  /** Those that there are. */
  get relays(): Relays {
    return this.#relays;
  }

  /** Those of the fand before us, which it uses still: fit() keeps those that are wanted. */
  adopt(relays: Relays): void {
    this.#relays = relays;
  }

  /** Why there is no relay at this device, though it was asked for. */
  failure(device: string): string | undefined {
    if (this.#hasPolicies) return "this host's IPsec policies would not see them";
    return this.#failures.get(device);
  }

  /** Whether IPsec policies have come since the last fit(), or the last one has gone, where that matters. */
  get isOutdated(): boolean {
    return this.#wanted.length > 0 && this.#policies.exist() !== this.#hasPolicies;
  }

  /** A relay at exactly these underlay devices, as far as they can be had; a name may come more than once. */
  async fit(devices: readonly string[]): Promise<void> {
    this.#wanted = devices;
    this.#hasPolicies = devices.length > 0 && this.#policies.exist();
    const possible = this.#hasPolicies ? [] : devices;
    const kept = Object.entries(this.#relays).filter(([device]) => possible.includes(device));
    await this.#take(Object.fromEntries(kept));
    for (const device of new Set(possible)) {
      if (device in this.#relays || this.#failures.has(device)) continue;
      const before = this.#relays;
      try {
        await this.#take({ ...before, [device]: await makeRelay(device, this.#owner) });
      } catch (error) {
        this.#failures.set(device, errorText(error));
        await this.#take(before);
      }
    }
  }

  /** Once more for the same devices. */
  refit(): Promise<void> {
    return this.fit(this.#wanted);
  }

  /** Makes those that there are anew; returns what was done, in words. */
  async renew(): Promise<string[]> {
    await this.#take({});
    await this.refit();
    return Object.keys(this.#relays).map((device) => `set up the relay at ${device}`);
  }

  /** Removes all, also those of an earlier run, where no fan is left that could use one. */
  async clear(): Promise<void> {
    this.#wanted = [];
    this.#relays = {};
    await removeRelays(this.#owner);
  }

  /** What is not among them any more is removed once nobody uses it. */
  async #take(relays: Relays): Promise<void> {
    await this.#tell(relays);
    this.#relays = relays;
    await removeRelays(this.#owner, Object.values(relays));
  }
}
