/** The hardware addresses of this host's devices, for whoever asks: read by one program at a time, and seldom. */
import { readLinks } from '../../host/links.js';

export class OwnMacs {
  readonly #mayRead: () => boolean;
  #known: ReadonlySet<string> = new Set();
  #reading: Promise<ReadonlySet<string>> | undefined;

  /** `mayRead`: whether they may be read now, and not be answered from what was read last. */
  constructor(mayRead: () => boolean) {
    this.#mayRead = mayRead;
  }

  /** Those of `macs` that devices of this host have. */
  async among(macs: readonly string[]): Promise<string[]> {
    if (macs.length === 0) return [];
    if (this.#reading === undefined && this.#mayRead()) this.#reading = this.#read();
    const own = await (this.#reading ?? this.#known);
    return macs.filter((mac) => own.has(mac));
  }

  async #read(): Promise<ReadonlySet<string>> {
    try {
      this.#known = new Set((await readLinks()).map(({ hardwareAddress }) => hardwareAddress));
      return this.#known;
    } finally {
      this.#reading = undefined;
    }
  }
}
