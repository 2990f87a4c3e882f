/**
 * Whether an ICMP error can come from where it came: in by the device of the fan's underlay, from an address that can be
 * on the way to the peer (RFC 5927 §4: nobody can prove more of it). Asks the kernel for a device's index once, and again
 * where it may have another one; for a route only where an answer hangs on it, and then seldom.
 */
import { isHostAddress } from '../../addr/ipv4-address.js';
import { RateLimit } from '../../base/rate-limit.js';
import type { FanEntry, ForwardingTable } from '../tables/forwarding-table.js';

/** Look-ups of routes, and of the index of one device, in all. */
const ROUTES_PER_SECOND = 20;
const ROUTES_BURST = 20;
const INDEX_AGAIN_MS = 1000;

/** What is asked of the kernel. */
export interface HostFacts {
  /** Index of a device, or 0 where there is none. */
  indexOf(device: string): number;
  /** Whether a router stands between `source`, an address of ours, and `peer` (int32). */
  isRouted(peer: number, source: number): boolean;
}

interface Known {
  index: number;
  askedMs: number;
}

export class IcmpOrigin {
  readonly #facts: HostFacts;
  readonly #devices = new Map<string, Known>();
  readonly #routes = new RateLimit(ROUTES_PER_SECOND, ROUTES_BURST);

  constructor(facts: HostFacts) {
    this.#facts = facts;
  }

  /** Other fans: devices of the same names may be others by now. */
  configure(): void {
    this.#devices.clear();
  }

  /**
   * Of an error from `from` (int32) that came in by the device with index `device`, about a packet of `fan` to `peer`.
   * `local`: one that our own kernel may make.
   */
  isLikely(
    table: ForwardingTable,
    fan: FanEntry,
    peer: number,
    from: number,
    device: number,
    local: boolean,
    nowMs: number,
  ): boolean {
    // From another device the kernel takes no packet with an address of its own; of what it makes it names any.
    if (table.isOwnAddress(from)) return local;
    if (!this.#isIndexOf(fan.underlayDevice, device, nowMs)) return false;
    if (!isHostAddress(from >>> 0)) return false;
    if ((from & fan.underlayMask) === fan.underlayBase) {
      return from !== fan.underlayBase && from !== fan.underlayBroadcast;
    }
    if (table.fanOf(from) !== undefined) return false;
    // To a peer on the link nothing goes by way of strangers.
    return this.#routes.take(nowMs) && this.#facts.isRouted(peer, fan.address);
  }

  #isIndexOf(name: string, index: number, nowMs: number): boolean {
    const known = this.#devices.get(name);
    if (known?.index === index) return true;
    if (known !== undefined && nowMs - known.askedMs < INDEX_AGAIN_MS) return false;
    const found = this.#facts.indexOf(name);
    this.#devices.set(name, { index: found, askedMs: nowMs });
    return found === index;
  }
}
