/**
 * fand's answer to `fanctl probe` of a peer. At each underlay address of a fan a UDP socket answers facts and what came
 * in, to hosts of that fan's underlay only and at a limited rate; a probe that comes through a fan is sent back through
 * it, as it came. UFAN_RESPONDER=off keeps it from doing either.
 */
import { formatAddress } from '../../addr/ipv4-address.js';
import { contains, maskOf, overlaps, parsePrefix } from '../../addr/prefix.js';
import { errorText } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import { PROBE_PORT } from '../../base/probe-port.js';
import type { FanRecord } from '../../control/state-store.js';
import { DEFAULT_VXLAN_PORT } from '../../fan/encapsulation.js';
import { sliceOf } from '../../fan/mapping.js';
import { readLinks } from '../../host/links.js';
import { decodeProbe, LEAST_PROBE_LEN, NONCE, type Probe } from '../../wire/probe.js';
import { followLeg, type Stop } from '../explain/inner-way.js';
import { AskerLimits } from './asker-limits.js';
import { termsText } from './carrier.js';
import { LentEars } from './ear.js';
import { type Answer, type Facts, MOST_SEEN, MOST_WHY, type Request } from './message.js';
import { OwnMacs } from './own-macs.js';
import { type Lore, PeerLore } from './peer-lore.js';
import { ProbeSender } from './probe-sender.js';
import { ProbeSocket } from './probe-socket.js';
import { SeenProbes } from './seen-probes.js';

export interface ResponderOptions {
  readonly isOn: boolean;
  readonly version: string;
  /** What the dataplane knows of other hosts. */
  readLore(): Promise<Lore>;
}

/** What came back through a fan of ours: the sequence of a probe with the nonce, and its length. */
export type OnReply = (sequence: number, length: number) => void;

export class Responder {
  readonly #options: ResponderOptions;
  readonly #log: Logger;
  readonly #lore: PeerLore;
  readonly #limits = new AskerLimits((host) => this.#lore.isPeer(host));
  readonly #macs = new OwnMacs(() => this.#limits.takeReading());
  readonly #seen = new SeenProbes();
  readonly #ears = new LentEars();
  readonly #replies = new Map<string, OnReply>();
  #fans: readonly FanRecord[] = [];
  /** By underlay address. */
  readonly #sockets = new Map<number, ProbeSocket>();
  /** By gateway. */
  readonly #senders = new Map<number, ProbeSender>();

  constructor(options: ResponderOptions, log: Logger) {
    this.#options = options;
    this.#lore = new PeerLore(() => options.readLore());
    this.#log = log;
  }

  /** Serves exactly these fans from now on. What can't be opened is logged: no fan depends on it. */
  async configure(fans: readonly FanRecord[]): Promise<void> {
    this.#fans = fans;
    const gateways = new Set(fans.map(({ plan }) => plan.mapping.gateway));
    for (const [gateway, sender] of this.#senders) if (!gateways.has(gateway)) this.#close(gateway, sender);
    const addresses = new Set(this.#options.isOn ? fans.map(({ plan }) => plan.mapping.address) : []);
    for (const [address, socket] of this.#sockets) {
      if (addresses.has(address)) continue;
      socket.close();
      this.#sockets.delete(address);
    }
    for (const address of addresses) if (!this.#sockets.has(address)) await this.#open(address);
    for (const [address, socket] of this.#sockets) socket.hearOnly(this.#networksAt(address));
  }

  /** Of the fans at an underlay address of ours, base and mask. */
  #networksAt(address: number): [number, number][] {
    const fans = this.#fans.filter(({ plan }) => plan.mapping.address === address);
    return fans.map(({ plan: { mapping } }) => [mapping.underlay.base, maskOf(mapping.underlay.length)]);
  }

  /** The socket at an underlay address of ours, where there is one. */
  socketAt(address: number): ProbeSocket | undefined {
    return this.#sockets.get(address);
  }

  /** Sends a probe through `fan` to the host with an underlay address; returns whether the kernel took it. */
  send(
    { plan }: FanRecord,
    host: number,
    probe: Pick<Probe, 'kind' | 'sequence' | 'nonce' | 'length'>,
  ): boolean {
    const { mapping, vxlan, tun } = plan;
    let sender = this.#senders.get(mapping.gateway);
    if (!sender) {
      sender = new ProbeSender(mapping.gateway, vxlan ? tun : '');
      this.#senders.set(mapping.gateway, sender);
    }
    const destination = sliceOf(mapping, host).base;
    const ends = { here: mapping.address, there: host };
    return sender.send({ ...probe, source: mapping.gateway, destination }, ends);
  }

  /** Replies to probes with this nonce go to `onReply`, until the returned function is called. */
  expect(nonce: string, onReply: OnReply): () => void {
    this.#replies.set(nonce, onReply);
    return () => this.#replies.delete(nonce);
  }

  /** A probe that the dataplane took out of a fan: see OnProbe of the dataplane. */
  onProbe(fanId: string, sender: number, packet: Uint8Array): void {
    const probe = decodeProbe(packet, 0);
    if (probe.kind === 'reply') {
      this.#replies.get(probe.nonce)?.(probe.sequence, probe.length);
      return;
    }
    const fan = this.#fans.find(({ id }) => id === fanId);
    const host = sender >>> 0;
    if (!fan || !this.#options.isOn || !this.#limits.takeAnswer(host)) return;
    this.#seen.add(host, probe.nonce, probe.sequence, probe.length);
    this.#reply(fan, host, probe);
  }

  /** Does what may want a port that an ear could have. */
  withoutEars<Result>(change: () => Promise<Result>): Promise<Result> {
    return this.#ears.keptClosed(change);
  }

  close(): void {
    this.#ears.close();
    for (const [gateway, sender] of this.#senders) this.#close(gateway, sender);
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
  }

  #close(gateway: number, sender: ProbeSender): void {
    sender.close();
    this.#senders.delete(gateway);
  }

  async #open(address: number): Promise<void> {
    try {
      const socket = await ProbeSocket.open(address, {
        mayAsk: (sender) => this.#mayAsk(address, sender),
        answer: (...request) => this.#answer(address, ...request),
      });
      this.#sockets.set(address, socket);
    } catch (error) {
      this.#log.warn(
        `no answers to probes at ${formatAddress(address)} port ${PROBE_PORT}: ${errorText(error)}`,
      );
    }
  }

  #mayAsk(address: number, sender: number): boolean {
    const isInside = this.#fans.some(
      ({ plan: { mapping } }) => mapping.address === address && contains(mapping.underlay, sender),
    );
    return isInside && sender !== address && this.#limits.takeAnswer(sender);
  }

  async #answer(address: number, request: Request, sender: number): Promise<Answer | undefined> {
    const here = this.#fans.filter(({ plan }) => plan.mapping.address === address);
    const { id, ask, nonce } = request;
    const fan = chooseFan(here, request.overlay);
    if (ask === 'facts') {
      const facts = fan ? await this.#factsOf(fan, sender) : null;
      const macs = await this.#macs.among(request.macs);
      return { id, answer: 'facts', version: this.#options.version, fans: here.length, fan: facts, macs };
    }
    if (!NONCE.test(nonce)) return undefined;
    if (ask === 'hear') return this.#hear(address, request, sender);
    if (ask === 'seen') return { id, answer: 'seen', probes: this.#seen.of(sender, nonce).slice(-MOST_SEEN) };
    if (!fan) return undefined;
    if (ask === 'way') {
      return this.#limits.takeLookUp(sender)
        ? { id, answer: 'way', stop: await wayTo(fan, sender) }
        : undefined;
    }
    this.#reply(fan, sender, { sequence: 0, nonce, length: LEAST_PROBE_LEN });
    return { id, answer: 'sent' };
  }

  /** Holds an ear for the other type of fan; none where a fan has its own there, and at no port but the usual one. */
  async #hear(address: number, { id, nonce, port }: Request, host: number): Promise<Answer | undefined> {
    if (!this.#limits.takeLookUp(host)) return undefined;
    const here = this.#fans.filter(({ plan }) => plan.mapping.address === address);
    const isHeld = here.some(({ plan }) => (plan.vxlan?.port ?? 0) === port);
    if (isHeld || (port !== 0 && port !== DEFAULT_VXLAN_PORT)) return { id, answer: 'hear', hears: false };
    return { id, answer: 'hear', hears: await this.#ears.answer(address, port, host, nonce) };
  }

  async #factsOf({ view, plan }: FanRecord, sender: number): Promise<Facts> {
    const { overlay, underlay, slice, io } = view;
    return {
      overlay,
      underlay,
      slice,
      mtu: plan.mtu,
      io,
      type: termsText(plan.vxlan),
      path: (await this.#lore.current()).paths.get(sender) ?? null,
    };
  }

  #reply(fan: FanRecord, host: number, probe: Pick<Probe, 'sequence' | 'nonce' | 'length'>): void {
    try {
      // Named last: a reply must never be taken for a probe, or two hosts would answer each other for ever.
      this.send(fan, host, { ...probe, kind: 'reply' });
    } catch (error) {
      this.#log.warn(`a probe of ${formatAddress(host)} was not answered: ${errorText(error)}`);
    }
  }
}

/** Why replies of ours don't get into the fan, or null where they do. */
async function wayTo(fan: FanRecord, host: number): Promise<Stop | null> {
  const destination = formatAddress(sliceOf(fan.plan.mapping, host).base);
  const leg = { source: fan.view.gateway, destination, towards: 'tun' } as const;
  const { stop } = await followLeg(fan, leg, await readLinks());
  return stop ? { ...stop, why: stop.why.slice(0, MOST_WHY) } : null;
}

/** The fan with this overlay, else one that overlaps it, so that the asker can see how it differs. */
function chooseFan(fans: readonly FanRecord[], text: string): FanRecord | undefined {
  const exact = fans.find(({ view }) => view.overlay === text);
  if (exact) return exact;
  try {
    const overlay = parsePrefix(text);
    return fans.find(({ plan }) => overlaps(plan.mapping.overlay, overlay));
  } catch {
    return undefined;
  }
}
