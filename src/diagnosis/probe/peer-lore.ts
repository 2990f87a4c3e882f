/**
 * What the dataplane knows of other hosts, as the responder needs it: read again where it is older than a moment, by one
 * reader at a time, so that no rate of requests makes it ask more often.
 */

export interface Lore {
  /** Underlay addresses, u32, of hosts that sent packets through a fan. */
  readonly peers: ReadonlySet<number>;
  /** Path MTU by underlay address, outer header included, where one was learnt. */
  readonly paths: ReadonlyMap<number, number>;
}

/** ms */
const FRESH_FOR = 250;

export class PeerLore {
  readonly #read: () => Promise<Lore>;
  #last: Lore = { peers: new Set(), paths: new Map() };
  #readMs = Number.NEGATIVE_INFINITY;
  #reading: Promise<Lore> | undefined;

  constructor(read: () => Promise<Lore>) {
    this.#read = read;
  }

  /** As it was last read: whether `host` is a peer of ours. Has it read again, where it is time. */
  isPeer(host: number): boolean {
    void this.current().catch(() => undefined);
    return this.#last.peers.has(host);
  }

  /** As it is now, or was a moment ago. */
  async current(): Promise<Lore> {
    if (performance.now() - this.#readMs < FRESH_FOR) return this.#last;
    this.#reading ??= this.#readAgain();
    return this.#reading;
  }

  async #readAgain(): Promise<Lore> {
    try {
      this.#last = await this.#read();
      return this.#last;
    } finally {
      this.#readMs = performance.now();
      this.#reading = undefined;
    }
  }
}
