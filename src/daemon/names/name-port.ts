/**
 * Names of one fan (flag `dns`): a UDP socket at its gateway, inside the overlay.
 *
 *   own dnsmasq   asks what it does not know: the host that owns the name is asked, and where the name tells none, all
 *                 hosts that are known, at once
 *   other hosts   ask from their own gateway and this same port, and hear of this host's containers only: no question
 *                 is passed on twice
 *
 * Whoever else sends is not heard; the guard drops most of them before (host/steps/guard-rules.ts).
 */
import { randomInt } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { formatAddress, parseAddress } from '../../addr/ipv4-address.js';
import { contains } from '../../addr/prefix.js';
import { NAME_DOMAIN, NAME_PORT } from '../../base/name-port.js';
import { SenderLimits } from '../../base/sender-limits.js';
import type { FanMapping } from '../../fan/mapping.js';
import { sliceOf, underlayHostOf } from '../../fan/mapping.js';
import { type Asked, ownerLabel, readAsked, reverseName } from '../../fan/owner-name.js';
import { Memory } from './memory.js';
import { type Outcome, type Question, readMessage, writeAnswer, writeQuestion } from './message.js';
import type { OwnNames } from './own-names.js';

/** ms: when a host is asked again, and when it is taken for silent. dnsmasq waits longer. */
const AGAIN_MS = 400;
const SILENT_MS = 1600;
/** Hosts that are asked for one bare name, and questions of our own that wait at once. */
const MOST_ASKED = 64;
const MOST_WAITING = 256;
/** Hosts that asked us of late: they are up, and have the flag. */
const MOST_ASKERS = 256;
/** Of one host, and of all. */
const ASKERS = { perSecond: 100, burst: 300, allPerSecond: 2000, allBurst: 2000 };

/** Where an answer is waited for, by gateway and id. */
type Waiting = Map<string, (question: Question, outcome: Outcome) => void>;

export interface NamePortOptions {
  readonly mapping: FanMapping;
  readonly own: OwnNames;
  /** Underlay addresses, u32, of hosts that may know a bare name, the likeliest first. */
  knownHosts(): Promise<readonly number[]>;
}

export class NamePort {
  readonly #mapping: FanMapping;
  readonly #own: OwnNames;
  readonly #knownHosts: NamePortOptions['knownHosts'];
  readonly #socket: Socket;
  readonly #memory = new Memory();
  readonly #waiting: Waiting = new Map();
  readonly #resolving = new Map<string, Promise<Outcome>>();
  readonly #limits = new SenderLimits(ASKERS);
  readonly #askers = new Set<number>();

  /** Throws where the gateway is not there, or the port is taken. */
  static async open(options: NamePortOptions): Promise<NamePort> {
    // A fand that takes over binds it while the one before still has it.
    const socket = createSocket({ type: 'udp4', reuseAddr: true });
    const bound = once(socket, 'listening');
    socket.bind(NAME_PORT, formatAddress(options.mapping.gateway));
    await bound.catch((error) => {
      socket.close();
      throw error;
    });
    return new NamePort(options, socket);
  }

  private constructor({ mapping, own, knownHosts }: NamePortOptions, socket: Socket) {
    this.#mapping = mapping;
    this.#own = own;
    this.#knownHosts = knownHosts;
    this.#socket = socket;
    // Of one packet that could not be sent: its question goes without an answer.
    socket.on('error', () => undefined);
    socket.on('message', (bytes, { address, port }) => this.#take(bytes, parseAddress(address), port));
  }

  close(): void {
    this.#socket.close();
  }

  #take(bytes: Buffer, sender: number, port: number): void {
    const { overlay, gateway } = this.#mapping;
    if (sender === gateway) {
      if (port !== NAME_PORT) void this.#serve(bytes, port);
      return;
    }
    if (port !== NAME_PORT || !contains(overlay, sender)) return;
    const host = underlayHostOf(this.#mapping, sender);
    if (sender !== this.#gatewayOf(host)) return;
    const message = readMessage(bytes);
    if (message?.kind === 'answer') {
      this.#waiting.get(keyOf(host, message.question.id))?.(message.question, message.outcome);
    } else if (message && this.#limits.take(host, performance.now())) {
      this.#remember(host);
      void this.#tell(message.question, sender);
    }
  }

  /** A question of this host's own: of dnsmasq for a container, or of a program here. */
  async #serve(bytes: Buffer, port: number): Promise<void> {
    const message = readMessage(bytes);
    if (message?.kind !== 'question') return;
    const { question } = message;
    const asked = readAsked(this.#mapping, NAME_DOMAIN, question.name);
    const outcome = asked ? await this.#resolve(asked) : 'nothing';
    this.#send(writeAnswer(question, outcome), port, this.#mapping.gateway);
  }

  /** What this host knows by itself, for another. */
  async #tell(question: Question, gateway: number): Promise<void> {
    const asked = readAsked(this.#mapping, NAME_DOMAIN, question.name);
    const outcome = asked ? await this.#ownOutcome(asked) : 'nothing';
    this.#send(writeAnswer(question, outcome), NAME_PORT, gateway);
  }

  /** Never rejects. The same question, asked by many at once, is asked of others once. */
  #resolve(asked: Asked): Promise<Outcome> {
    const key = asked.kind === 'name' ? `${asked.name} ${asked.owner}` : `${asked.address}`;
    const known = this.#memory.get(key, performance.now());
    if (known !== undefined) return Promise.resolve(known);
    const underWay = this.#resolving.get(key);
    if (underWay) return underWay;
    if (this.#resolving.size >= MOST_WAITING) return Promise.resolve('unknown');
    const resolving = this.#find(asked)
      .catch((): Outcome => 'unknown')
      .then((outcome) => {
        this.#memory.set(key, outcome, performance.now());
        this.#resolving.delete(key);
        return outcome;
      });
    this.#resolving.set(key, resolving);
    return resolving;
  }

  async #find(asked: Asked): Promise<Outcome> {
    const { address, overlay } = this.#mapping;
    if (asked.owner === address) return this.#ownOutcome(asked);
    if (asked.owner !== undefined) return this.#ask(asked.owner, asked);
    const own = await this.#ownOutcome(asked);
    if (own !== 'nothing') return own;
    const hosts = new Set([...(await this.#knownHosts()), ...this.#askers]);
    hosts.delete(address);
    const inside = [...hosts].filter((host) => contains(overlay, this.#gatewayOf(host)));
    return firstFound(inside.slice(0, MOST_ASKED).map((host) => this.#ask(host, asked)));
  }

  async #ownOutcome(asked: Asked): Promise<Outcome> {
    if (asked.kind === 'name') {
      const addresses = await this.#own.addressesOf(asked.name);
      return addresses.length > 0 ? { addresses } : 'nothing';
    }
    const name = await this.#own.nameOf(asked.address);
    return name === undefined
      ? 'nothing'
      : { name: `${name}.${ownerLabel(this.#mapping.slice)}.${NAME_DOMAIN}` };
  }

  /** Asks the host with an underlay address, twice where it is silent. A host speaks of its own slice only. */
  #ask(host: number, asked: Asked): Promise<Outcome> {
    const slice = sliceOf(this.#mapping, host);
    const id = this.#freeId(host);
    const name = asked.kind === 'name' ? `${asked.name}.${NAME_DOMAIN}` : reverseName(asked.address);
    const question: Question = { id, name, type: asked.kind === 'name' ? 'A' : 'PTR' };
    const bytes = writeQuestion(question);
    const gateway = this.#gatewayOf(host);
    return new Promise((resolve) => {
      const again = setTimeout(() => this.#send(bytes, NAME_PORT, gateway), AGAIN_MS);
      const settle = (outcome: Outcome): void => {
        clearTimeout(again);
        clearTimeout(silent);
        this.#waiting.delete(keyOf(host, id));
        resolve(outcome);
      };
      const silent = setTimeout(() => settle('unknown'), SILENT_MS);
      this.#waiting.set(keyOf(host, id), (answered, outcome) => {
        if (answered.name.toLowerCase() !== name || answered.type !== question.type) return;
        const isTheirs =
          typeof outcome === 'string' ||
          ('addresses' in outcome
            ? asked.kind === 'name' && outcome.addresses.every((address) => contains(slice, address))
            : asked.kind === 'address' &&
              readAsked(this.#mapping, NAME_DOMAIN, outcome.name)?.owner === host);
        settle(isTheirs ? outcome : 'unknown');
      });
      this.#send(bytes, NAME_PORT, gateway);
    });
  }

  #freeId(host: number): number {
    for (;;) {
      const id = randomInt(0x10000);
      if (!this.#waiting.has(keyOf(host, id))) return id;
    }
  }

  #gatewayOf(host: number): number {
    return sliceOf(this.#mapping, host).base + 1;
  }

  #remember(host: number): void {
    this.#askers.delete(host);
    this.#askers.add(host);
    const [oldest] = this.#askers;
    if (this.#askers.size > MOST_ASKERS && oldest !== undefined) this.#askers.delete(oldest);
  }

  #send(bytes: Buffer, port: number, to: number): void {
    this.#socket.send(bytes, port, formatAddress(to), () => undefined);
  }
}

function keyOf(host: number, id: number): string {
  return `${host} ${id}`;
}

/** The first that found something; where none did, that there is nothing: hosts that are silent may not serve names. */
function firstFound(outcomes: readonly Promise<Outcome>[]): Promise<Outcome> {
  return new Promise((resolve) => {
    for (const outcome of outcomes) void outcome.then((each) => typeof each !== 'string' && resolve(each));
    void Promise.all(outcomes).then(() => resolve('nothing'));
  });
}
