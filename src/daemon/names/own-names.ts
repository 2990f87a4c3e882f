/**
 * The names that this host knows by itself: those of the leases of one fan's dnsmasq, read again where the file has
 * changed. Whoever asks, and however often, it is looked at a few times a second.
 */
import { stat } from 'node:fs/promises';
import { parseAddress } from '../../addr/ipv4-address.js';
import { readPlainFile } from '../../base/own-files.js';
import { parseLeases } from '../../control/leases.js';

/** ms */
const FRESH_FOR = 200;
/** As leases.ts: 65,536 leases at most. */
const MOST_BYTES = 32 << 20;

export class OwnNames {
  readonly #leaseFile: string;
  readonly #byName = new Map<string, number[]>();
  readonly #byAddress = new Map<number, string>();
  #lookedMs = Number.NEGATIVE_INFINITY;
  #version = '';
  #reading: Promise<void> | undefined;

  constructor(leaseFile: string) {
    this.#leaseFile = leaseFile;
  }

  /** The addresses, u32, of the containers of this name, in small letters; none where the host has none. */
  async addressesOf(name: string): Promise<readonly number[]> {
    await this.#look();
    return this.#byName.get(name) ?? [];
  }

  /** The name of the container with an address, u32. */
  async nameOf(address: number): Promise<string | undefined> {
    await this.#look();
    return this.#byAddress.get(address);
  }

  async #look(): Promise<void> {
    if (performance.now() - this.#lookedMs < FRESH_FOR) return;
    this.#reading ??= this.#readAgain().finally(() => {
      this.#lookedMs = performance.now();
      this.#reading = undefined;
    });
    await this.#reading;
  }

  /** A file that can't be read has no leases: dnsmasq makes it with the first. */
  async #readAgain(): Promise<void> {
    const status = await stat(this.#leaseFile).catch(() => undefined);
    const version = status ? `${status.ino} ${status.size} ${status.mtimeMs}` : '';
    if (version === this.#version) return;
    const text = (await readPlainFile(this.#leaseFile, MOST_BYTES).catch(() => undefined)) ?? '';
    this.#version = version;
    this.#byName.clear();
    this.#byAddress.clear();
    for (const { address, name: given } of parseLeases(text, '')) {
      const [name, value] = [given.toLowerCase(), parseAddress(address)];
      if (name === '') continue;
      this.#byName.set(name, [...(this.#byName.get(name) ?? []), value]);
      this.#byAddress.set(value, name);
    }
  }
}
