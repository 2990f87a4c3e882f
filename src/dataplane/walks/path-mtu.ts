/**
 * Path MTU toward each peer: soft state learnt from validated ICMP, aged out (RFC 1191 §6.3: ten minutes).
 *
 * The packet path asks only when a packet is larger than the smallest path known, so that the usual host, with
 * no such peer, pays one comparison a packet.
 */

const LIFETIME_MS = 10 * 60 * 1000;
/** The least MTU that a router may announce (RFC 791 §3.2); less is ignored. */
export const MIN_PATH_MTU = 68;
/** Peers remembered at most: a /16 has no more. */
const MAX_PEERS = 65_536;

/** What is known of the path toward one peer. */
export interface PathMtuEntry {
  /** Underlay address, u32. */
  address: number;
  /** Bytes, outer header included. */
  mtu: number;
  expiresInMs: number;
}

export class PathMtuTable {
  readonly #peers = new Map<number, { mtu: number; expiresMs: number }>();
  #smallest = Number.POSITIVE_INFINITY;

  /** The smallest path MTU known of any peer; Infinity when none is. */
  get smallest(): number {
    return this.#smallest;
  }

  get size(): number {
    return this.#peers.size;
  }

  /** Path MTU toward `peer` (its address as u32 or int32), at most `linkMtu`. */
  lookup(peer: number, linkMtu: number, nowMs: number): number {
    const entry = this.#peers.get(peer | 0);
    if (entry === undefined) return linkMtu;
    if (entry.expiresMs <= nowMs) {
      this.#forget(peer | 0);
      return linkMtu;
    }
    return Math.min(entry.mtu, linkMtu);
  }

  /** Learns from a validated "fragmentation needed"; returns whether the value was taken. Never raises a known path. */
  learn(peer: number, mtu: number, linkMtu: number, nowMs: number): boolean {
    if (mtu < MIN_PATH_MTU || mtu >= linkMtu) return false;
    const known = this.lookup(peer, linkMtu, nowMs);
    if (!this.#peers.has(peer | 0) && this.#peers.size >= MAX_PEERS) return false;
    const value = Math.min(mtu, known);
    this.#peers.set(peer | 0, { mtu: value, expiresMs: nowMs + LIFETIME_MS });
    if (value < this.#smallest) this.#smallest = value;
    return true;
  }

  /** What has not expired yet. Allocates. */
  entries(nowMs: number): PathMtuEntry[] {
    return [...this.#peers]
      .map(([peer, { mtu, expiresMs }]) => ({ address: peer >>> 0, mtu, expiresInMs: expiresMs - nowMs }))
      .filter(({ expiresInMs }) => expiresInMs > 0);
  }

  #forget(peer: number): void {
    this.#peers.delete(peer);
    this.#smallest = Number.POSITIVE_INFINITY;
    for (const { mtu } of this.#peers.values()) if (mtu < this.#smallest) this.#smallest = mtu;
  }
}
