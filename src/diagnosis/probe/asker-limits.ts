/**
 * Who is answered how often. Anybody can write another sender into a datagram: so hosts that have sent packets through a
 * fan (which is proved by what they carry, wire and mapping) don't share with strangers, and each has a rate of its own.
 */
import { RateLimit } from '../../base/rate-limit.js';
import { SenderLimits } from '../../base/sender-limits.js';

const PEERS = { perSecond: 50, burst: 200, allPerSecond: 5000, allBurst: 5000 };
/** Few: an answer to a host that isn't there waits for ARP in the socket's buffer, where those of others wait behind it. */
const STRANGERS = { perSecond: 50, burst: 100, allPerSecond: 50, allBurst: 100 };
/** Look-ups of ways, which start a program or two: of one host, and of all. */
const PEERS_LOOK_UPS = { perSecond: 1, burst: 10, allPerSecond: 5, allBurst: 20 };
const STRANGERS_LOOK_UPS = { perSecond: 1, burst: 10, allPerSecond: 2, allBurst: 20 };
/** Readings of the devices' addresses, which start one. */
const READINGS_PER_SECOND = 1;
const READINGS_BURST = 5;

export class AskerLimits {
  readonly #answers = { peer: new SenderLimits(PEERS), stranger: new SenderLimits(STRANGERS) };
  readonly #lookUps = {
    peer: new SenderLimits(PEERS_LOOK_UPS),
    stranger: new SenderLimits(STRANGERS_LOOK_UPS),
  };
  readonly #readings = new RateLimit(READINGS_PER_SECOND, READINGS_BURST);
  readonly #isPeer: (host: number) => boolean;

  constructor(isPeer: (host: number) => boolean) {
    this.#isPeer = isPeer;
  }

  /** Whether `host`, an underlay address (u32), may be answered now. */
  takeAnswer(host: number): boolean {
    return this.#answers[this.#isPeer(host) ? 'peer' : 'stranger'].take(host, performance.now());
  }

  /** Whether a way may be looked up for it now. */
  takeLookUp(host: number): boolean {
    return this.#lookUps[this.#isPeer(host) ? 'peer' : 'stranger'].take(host, performance.now());
  }

  /** Whether the devices may be read now. */
  takeReading(): boolean {
    return this.#readings.take(performance.now());
  }
}
