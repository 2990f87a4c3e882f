/**
 * Path MTU toward each peer: soft state learnt from validated ICMP (path-errors.ts), aged out (RFC 1191 §6.3: ten
 * minutes after it was last lowered, whoever sends or doesn't).
 *
 * The packet path asks only when a packet is larger than the smallest path known, so that the usual host, with
 * no such peer, pays one comparison a packet. Nothing here looks at all peers, but for `entries`: whatever lives as long
 * as everything else lies in the order in which it ends.
 */

const LIFETIME_MS = 10 * 60 * 1000;
/** Peers remembered, at most: a /16 has no more. The one learnt first makes room, and is learnt again if it must. */
const MOST_PEERS = 65_535;
/** An IPv4 packet is no longer (RFC 791). */
const MOST_MTU = 65_535;

/** What is known of the path toward one peer. */
export interface PathMtuEntry {
  /** Underlay address, u32. */
  address: number;
  /** Bytes, outer header included. */
  mtu: number;
  expiresInMs: number;
}

interface Known {
  readonly mtu: number;
  readonly expiresMs: number;
}

export class PathMtuTable {
  /** By address, int32, the one that ends first at the beginning. */
  readonly #peers = new Map<number, Known>();
  /** How many peers have a path of so many bytes. */
  readonly #perMtu = new Uint16Array(MOST_MTU + 1);
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
    const known = this.#peers.get(peer | 0);
    return known === undefined || known.expiresMs <= nowMs ? linkMtu : Math.min(known.mtu, linkMtu);
  }

  /**
   * Learns from a validated "fragmentation needed"; returns whether the path is narrower than the link by it. Never raises
   * a known path, nor lets it live longer by what says nothing new.
   */
  learn(peer: number, mtu: number, linkMtu: number, nowMs: number): boolean {
    if (mtu >= linkMtu || mtu > MOST_MTU) return false;
    this.expire(nowMs);
    const known = this.#peers.get(peer | 0);
    if (known !== undefined && known.mtu <= mtu) return true;
    if (known !== undefined) this.#forget(peer | 0, known);
    else if (this.#peers.size >= MOST_PEERS) this.#forgetFirst();
    this.#peers.set(peer | 0, { mtu, expiresMs: nowMs + LIFETIME_MS });
    this.#perMtu[mtu]!++;
    if (mtu < this.#smallest) this.#smallest = mtu;
    return true;
  }

  /** What another table knew, in its order. */
  add(entries: readonly PathMtuEntry[], nowMs: number): void {
    for (const { address, mtu, expiresInMs } of entries) {
      this.learn(address, mtu, MOST_MTU + 1, nowMs + expiresInMs - LIFETIME_MS);
    }
  }

  /** Forgets what is over by now. */
  expire(nowMs: number): void {
    if (this.#peers.size === 0) return;
    for (const [peer, known] of this.#peers) {
      if (known.expiresMs > nowMs) return;
      this.#forget(peer, known);
    }
  }

  /** What has not expired yet. Allocates. */
  entries(nowMs: number): PathMtuEntry[] {
    return [...this.#peers]
      .map(([peer, { mtu, expiresMs }]) => ({ address: peer >>> 0, mtu, expiresInMs: expiresMs - nowMs }))
      .filter(({ expiresInMs }) => expiresInMs > 0);
  }

  #forgetFirst(): void {
    for (const [peer, known] of this.#peers) {
      this.#forget(peer, known);
      return;
    }
  }

  #forget(peer: number, { mtu }: Known): void {
    this.#peers.delete(peer);
    this.#perMtu[mtu]!--;
    if (mtu !== this.#smallest) return;
    if (this.#peers.size === 0) this.#smallest = Number.POSITIVE_INFINITY;
    else while (this.#perMtu[this.#smallest] === 0) this.#smallest++;
  }
}
