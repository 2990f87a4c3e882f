/** Which probes came in through a fan, by the host that sent them and the nonce of the exchange, of the latest ones. */

const MOST_EXCHANGES = 256;
const MOST_PROBES = 60;

export class SeenProbes {
  /** "host/nonce" → pairs of sequence and length, the latest last. */
  readonly #exchanges = new Map<string, [number, number][]>();

  add(host: number, nonce: string, sequence: number, length: number): void {
    const key = `${host}/${nonce}`;
    const probes = this.#exchanges.get(key) ?? [];
    if (probes.length === 0) {
      if (this.#exchanges.size >= MOST_EXCHANGES)
        this.#exchanges.delete(this.#exchanges.keys().next().value!);
      this.#exchanges.set(key, probes);
    }
    probes.push([sequence, length]);
    if (probes.length > MOST_PROBES) probes.shift();
  }

  of(host: number, nonce: string): [number, number][] {
    return this.#exchanges.get(`${host}/${nonce}`) ?? [];
  }
}
