/**
 * `fanctl probe`: finds out, for one peer, where packets of a fan die. In order, each step by what the one before left
 * open, up to the first that fails:
 *
 *   0. way        does our own kernel take what we send, and what a container would, into the fan, as it is?
 *   1. underlay   ICMP echo from our underlay address; on an Ethernet, who answers ARP for either address
 *   2. peer       its fand's facts over UDP: is there a fan, with the same overlay and widths?
 *   3. protocol 4, or the UDP port of VXLAN: probes through our fan and the peer's, and back; which way they fail the peer
 *                 can tell; and whether the other type of fan would pass
 *   4. path MTU   probes as large as the fan sends; where they vanish, the largest that does not
 *   5. gateway    ICMP echo from gateway to gateway, as a container's packets go
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { formatAddress } from '../../addr/ipv4-address.js';
import { formatPrefix } from '../../addr/prefix.js';
import { errorText, FanError } from '../../base/error.js';
import { PROBE_PORT } from '../../base/probe-port.js';
import type { ProbeReply, ProbeStep } from '../../control/protocol.js';
import type { FanRecord } from '../../control/state-store.js';
import { sliceOf } from '../../fan/mapping.js';
import { arping } from '../../host/arping.js';
import { readLinks } from '../../host/links.js';
import { lookUpRoute, type Route } from '../../host/route-lookup.js';
import { LEAST_PROBE_LEN } from '../../wire/probe.js';
import { containerLeg, followLeg, type Stop } from '../explain/inner-way.js';
import { type Carrier, carrierOf, otherCarrier, termsText, typeWords } from './carrier.js';
import {
  type Claim,
  duplicateCheck,
  type FactsAnswer,
  isCarrierClosed,
  isPortClosed,
  mtuCheck,
  type ProbeResult,
  peerDownCheck,
  peerUpCheck,
  protocolCheck,
  silentCheck,
  underlayCheck,
  wayBackCheck,
  wayCheck,
  widthCheck,
} from './checks.js';
import { checkContainers } from './container-way.js';
import { openEar } from './ear.js';
import { Exchange } from './exchange.js';
import type { IcmpSocket } from './icmp-socket.js';
import { measureMtu } from './measure-mtu.js';
import { type Answer, MOST_MACS, type Request } from './message.js';
import { ProbeSocket } from './probe-socket.js';
import type { Responder } from './responder.js';

const ECHO_TIMEOUT_MS = 1000;
const ECHO_GAP_MS = 50;
/** A host that is busy takes longer than its datagrams: an answer to the first counts as long as any is awaited. */
const ASK_WAITS_MS = [400, 400, 1200];
/** Of a question for which the peer starts a program or two. */
const LOOK_UP_WAITS_MS = [2000, 2000, 2000];
/** For probes of the other type of fan. */
const EAR_ATTEMPTS = 3;
const EAR_WAIT_MS = 250;
const EAR_GAP_MS = 2;
/** Bytes of an ordinary probe. */
const PROBE_LEN = LEAST_PROBE_LEN + 56;

export class Prober {
  readonly #responder: Responder;
  readonly #fan: FanRecord;
  readonly #host: number;
  readonly #hostText: string;
  readonly #inner: number;
  readonly #count: number;
  readonly #icmp: IcmpSocket;
  readonly #steps: ProbeStep[] = [];
  readonly #checks: ProbeResult[] = [];
  readonly #exchange: Exchange;
  readonly #carrier: Carrier;
  #socket: ProbeSocket | undefined;
  #incomplete = false;

  /**
   * `host` is the peer's underlay address, in the fan's underlay, `inner` an overlay address of it; both u32. `icmp` is
   * closed at the end of its run.
   */
  constructor(
    responder: Responder,
    fan: FanRecord,
    { host, inner }: { host: number; inner: number },
    count: number,
    icmp: IcmpSocket,
  ) {
    this.#icmp = icmp;
    this.#responder = responder;
    this.#fan = fan;
    this.#host = host;
    this.#inner = inner;
    this.#hostText = formatAddress(host);
    this.#count = count;
    this.#exchange = new Exchange(responder, fan, host);
    this.#carrier = carrierOf(fan.plan.vxlan);
  }

  /** Takes a second or two, some more where packets vanish. Throws FanError where this host can't probe. */
  async run(): Promise<ProbeReply> {
    const { mapping } = this.#fan.plan;
    const shared = this.#responder.socketAt(mapping.address);
    try {
      if (!(await this.#reportWay()) && !(await this.#reportContainers())) {
        this.#socket = shared ?? (await openSocket(mapping.address));
        await this.#probe();
      }
    } finally {
      this.#icmp.close();
      this.#exchange.close();
      if (!shared) this.#socket?.close();
    }
    const { bridge, overlay, io } = this.#fan.view;
    return {
      bridge,
      overlay,
      io,
      from: formatAddress(mapping.address),
      host: this.#hostText,
      slice: formatPrefix(sliceOf(mapping, this.#host)),
      steps: this.#steps,
      checks: this.#checks,
      incomplete: this.#incomplete,
    };
  }

  async #probe(): Promise<void> {
    const { mapping } = this.#fan.plan;
    const source = formatAddress(mapping.address);
    const route = await lookUpRoute({ destination: this.#hostText, source });
    const [echoes, claims] = await Promise.all([
      this.#echo(mapping.address, this.#host),
      route ? this.#claims(route) : [],
    ]);
    this.#step('underlay', `${echoes.length} of ${this.#count} ICMP echoes answered`, echoes);
    const peer = claims.find(({ isOurs }) => !isOurs);
    const facts = await this.#askFacts(peer?.macs);
    if (facts) return this.#probeFan(facts, echoes, claims);
    const returned = await this.#exchange.round(this.#count, PROBE_LEN);
    const isReachable = echoes.length > 0 || returned.length > 0 || this.#isRefused();
    this.#checks.push(
      underlayCheck(this.#hostText, isReachable, this.#reachability(echoes, route, isReachable)),
    );
    if (!isReachable || this.#reportClaims(claims)) return;
    await this.#probeSilent(returned);
  }

  /** Whether the host itself says that it has no responder, or no fan. */
  #isRefused(): boolean {
    return (
      isPortClosed(this.#icmp.notices, this.#host) ||
      isCarrierClosed(this.#icmp.notices, this.#host, this.#carrier)
    );
  }

  /**
   * Of probes, of what this host sends to the address that was named, and of what a container sends there. Returns
   * whether one of them does not get into the fan.
   */
  async #reportWay(): Promise<boolean> {
    const { plan, view } = this.#fan;
    const base = formatAddress(sliceOf(plan.mapping, this.#host).base);
    const inner = formatAddress(this.#inner);
    const links = await readLinks();
    const own = { source: view.gateway, towards: 'tun' } as const;
    const legs = [
      { ...own, destination: base },
      { ...own, destination: inner },
      containerLeg(this.#fan, inner),
    ];
    let stop: Stop | undefined;
    for (const leg of legs) stop ??= (await followLeg(this.#fan, leg, links)).stop;
    this.#checks.push(wayCheck(stop, `${inner} leads to ${plan.tun}, for containers too`));
    return stop !== undefined;
  }

  /** Returns whether this host's firewall or NAT keeps its containers from the peer's. */
  async #reportContainers(): Promise<boolean> {
    try {
      const found = await checkContainers(this.#fan.plan, { base: this.#inner, length: 32 });
      this.#checks.push(...found);
      return found.some(({ status }) => status === 'fail');
    } catch (error) {
      this.#notMade('forward-drop', error);
      return false;
    }
  }

  /** The peer's fand answers: everything can be known. */
  async #probeFan(facts: FactsAnswer, echoes: readonly number[], claims: readonly Claim[]): Promise<void> {
    const evidence =
      echoes.length > 0 ? 'the host answers ICMP echo' : 'its fand answers, ICMP echo does not';
    this.#checks.push(underlayCheck(this.#hostText, true, evidence));
    const known = facts.macs;
    if (this.#reportClaims(claims.map((claim) => (claim.isOurs ? claim : { ...claim, known })))) return;
    const { fan } = facts;
    const { view } = this.#fan;
    if (!fan) {
      const overlays = `no fan that overlaps ${view.overlay}`;
      this.#checks.push(
        peerDownCheck(`fand ${facts.version} runs on ${this.#hostText}, with ${overlays}`, this.#upThere()),
      );
      return;
    }
    this.#checks.push(peerUpCheck(`fand ${facts.version} answers, the fan is up with io ${fan.io}`));
    const width = widthCheck({ ...view, type: termsText(this.#fan.plan.vxlan) }, fan);
    this.#step('fan', `${fan.overlay} on ${fan.underlay}, MTU ${fan.mtu}, io ${fan.io}`);
    this.#checks.push(width);
    if (width.status === 'fail') return;
    const returned = await this.#exchange.round(this.#count, PROBE_LEN);
    if (await this.#reportProtocol(returned, true)) return;
    await this.#measureMtu(true);
    await this.#echoGateway();
  }

  /** The host is there, its responder is not: what comes back through the fan is all that can be known. */
  async #probeSilent(returned: readonly number[]): Promise<void> {
    const isClosed = isPortClosed(this.#icmp.notices, this.#host);
    const said = isClosed ? `UDP port ${PROBE_PORT} is closed` : `UDP port ${PROBE_PORT} does not answer`;
    const gateway = await this.#echoGateway();
    if (returned.length === 0 && gateway === undefined) {
      // A host without a fan says so; silence at both is a filter's.
      if (!this.#isRefused()) return void (await this.#reportProtocol(returned, false));
      const refused = isCarrierClosed(this.#icmp.notices, this.#host, this.#carrier)
        ? `, and it refuses ${this.#carrier.name}`
        : '';
      this.#checks.push(
        peerDownCheck(
          `no fan answers on ${this.#hostText}: ${said}, and nothing comes back through the fan${refused}`,
          this.#upThere(),
        ),
      );
      return;
    }
    const evidence = `packets pass the fan, but ${said}: widths can't be compared`;
    this.#checks.push(silentCheck(this.#hostText, evidence));
    // A fan without a fand of ours sends no probe back; its gateway's echo went there and back all the same.
    if (returned.length === 0)
      return void this.#checks.push(protocolCheck({ sent: 1, returned: 1 }, this.#carrier));
    if (!(await this.#reportProtocol(returned, false))) await this.#measureMtu(false);
  }

  /** Returns whether an address is claimed twice. */
  #reportClaims(claims: readonly Claim[]): boolean {
    if (claims.length === 0) return false;
    const check = duplicateCheck(claims);
    const peer = claims.find(({ isOurs }) => !isOurs);
    if (peer && peer.macs.length > 0) this.#step('link', `${peer.address} is ${peer.macs.join(' and ')}`);
    this.#checks.push(check);
    return check.status === 'fail';
  }

  /** Returns whether the fan's packets are blocked. */
  async #reportProtocol(returned: readonly number[], canAsk: boolean): Promise<boolean> {
    this.#step(
      this.#carrier.name,
      `${returned.length} of ${this.#count} probes went there and back`,
      returned,
    );
    let arrived: number | undefined;
    let unasked: boolean | undefined;
    if (returned.length === 0 && canAsk) {
      const seen = await this.#ask('seen');
      if (seen?.answer === 'seen') arrived = seen.probes.length;
      const sent = await this.#ask('send');
      if (sent?.answer === 'sent') unasked = await this.#exchange.unaskedReply();
    }
    const otherPasses = canAsk ? await this.#tryOther() : '';
    const result = { sent: this.#count, returned: returned.length, arrived, unasked };
    const check = protocolCheck(result, this.#carrier, otherPasses);
    const astray = check.direction === 'in' ? await this.#ask('way') : undefined;
    const stop = astray?.answer === 'way' ? astray.stop : null;
    this.#checks.push(stop ? wayBackCheck(this.#hostText, stop) : check);
    return check.status === 'fail';
  }

  /** Reports whether a fan of the other type would pass; in words, where it would. */
  async #tryOther(): Promise<string> {
    const other = otherCarrier(this.#carrier);
    const passes = await this.#earsHear(other.port);
    if (passes === undefined) return '';
    const { type, name } = other;
    const said = passes
      ? 'passes both ways'
      : 'does not, or its hosts have a firewall without the rules of such a fan';
    this.#step(`type ${type}`, `${name} ${said}`);
    return passes ? `type ${type} on all hosts: ${name} passes both ways` : '';
  }

  /** Undefined where it could not be tried. */
  async #earsHear(port: number): Promise<boolean | undefined> {
    const { nonce } = this.#exchange;
    let heard = 0;
    const listen = (sender: number, kind: string, said: string) => {
      if (sender === this.#host && kind === 'reply' && said === nonce) heard++;
    };
    const ear = await openEar(this.#fan.plan.mapping.address, port, listen).catch(() => undefined);
    if (!ear) return undefined;
    try {
      const answer = await this.#ask('hear', [], port);
      if (answer?.answer !== 'hear' || !answer.hears) return undefined;
      for (let i = 0; i < EAR_ATTEMPTS && heard === 0; i++) {
        ear.send(this.#host, 'probe', nonce);
        const deadlineMs = performance.now() + EAR_WAIT_MS;
        while (heard === 0 && performance.now() < deadlineMs) await sleep(EAR_GAP_MS);
      }
      return heard > 0;
    } finally {
      ear.close();
    }
  }

  /** `canAsk`: the peer can tell what arrived. */
  async #measureMtu(canAsk: boolean): Promise<void> {
    const { mtu, mapping, underlayDevice } = this.#fan.plan;
    const result = await measureMtu({
      exchange: this.#exchange,
      notices: this.#icmp.notices,
      full: mtu,
      host: this.#host,
      slice: sliceOf(mapping, this.#host).base,
      peerPath: async () => (canAsk ? ((await this.#askFacts())?.fan?.path ?? null) : null),
      carrier: this.#carrier,
      ask: canAsk ? (ask) => this.#ask(ask) : undefined,
    });
    const check = mtuCheck(result, underlayDevice, this.#carrier);
    this.#step('path MTU', check.evidence);
    this.#checks.push(check);
  }

  /** Round trip in ms through both fans, or undefined. That a host's firewall refuses it is no fault of the fan. */
  async #echoGateway(): Promise<number | undefined> {
    const { mapping } = this.#fan.plan;
    const gateway = sliceOf(mapping, this.#host).base + 1;
    const rtts = await this.#echo(mapping.gateway, gateway);
    const text = `${rtts.length} of ${this.#count} ICMP echoes of ${formatAddress(gateway)} answered`;
    this.#step('gateway', text, rtts);
    return rtts[0];
  }

  async #echo(from: number, to: number): Promise<number[]> {
    const echoes: Promise<number | undefined>[] = [];
    for (let i = 0; i < this.#count; i++) {
      if (i > 0) await sleep(ECHO_GAP_MS);
      echoes.push(this.#icmp.echo(from, to, ECHO_TIMEOUT_MS));
    }
    return (await Promise.all(echoes)).filter((rtt) => rtt !== undefined);
  }

  /** Behind a router ARP tells nothing of the peer; our own address is claimed on our own link. */
  async #claims(route: Route): Promise<Claim[]> {
    const ours = formatAddress(this.#fan.plan.mapping.address);
    const asked = [{ address: ours, isOurs: true }];
    if (route.onLink) asked.push({ address: this.#hostText, isOurs: false });
    try {
      const own = (await readLinks()).map(({ hardwareAddress }) => hardwareAddress);
      return await Promise.all(
        asked.map(async (each) => {
          const macs = await arping(route.device, each.address, each.isOurs);
          return { ...each, macs: macs.filter((mac) => !own.includes(mac)), known: [] };
        }),
      );
    } catch (error) {
      this.#notMade('duplicate-slice', error);
      return [];
    }
  }

  #notMade(check: ProbeResult['check'], error: unknown): void {
    this.#incomplete = true;
    const evidence = `not checked: ${errorText(error)}`;
    this.#checks.push({ check, status: 'warn', severity: 'minor', evidence, fix: '' });
  }

  async #askFacts(macs: readonly string[] = []): Promise<FactsAnswer | undefined> {
    const startMs = performance.now();
    const answer = await this.#ask('facts', macs);
    if (answer?.answer !== 'facts') return undefined;
    if (!this.#steps.some(({ name }) => name === 'fand')) {
      this.#step('fand', `version ${answer.version} answers on UDP port ${PROBE_PORT}`, [
        performance.now() - startMs,
      ]);
    }
    return answer;
  }

  /** Undefined where no answer comes, be it that the port is closed. */
  async #ask(ask: Request['ask'], macs: readonly string[] = [], port = 0): Promise<Answer | undefined> {
    const { overlay } = this.#fan.view;
    const { nonce } = this.#exchange;
    const question = { ask, overlay, nonce, macs: macs.slice(0, MOST_MACS), port };
    const waitsMs = ask === 'way' ? LOOK_UP_WAITS_MS : ASK_WAITS_MS;
    const isOver = () => isPortClosed(this.#icmp.notices, this.#host);
    return this.#socket?.ask(this.#hostText, question, waitsMs, isOver);
  }

  #reachability(echoes: readonly number[], route: Route | undefined, isReachable: boolean): string {
    if (echoes.length > 0) return 'the host answers ICMP echo';
    if (isReachable) return 'the host answers, though not ICMP echo';
    if (!route) return `no route leads to ${this.#hostText}`;
    const notice = this.#icmp.notices.find(({ destination }) => destination === this.#host);
    const said = notice
      ? `${notice.reporter} says unreachable (ICMP ${notice.type}/${notice.code})`
      : 'no answer';
    return `neither ICMP echo nor UDP nor ${this.#carrier.name} is answered: ${said}`;
  }

  #upThere(): string {
    const { view, plan } = this.#fan;
    const underlay = `${this.#hostText}/${plan.mapping.underlay.length}`;
    return `on ${this.#hostText}: fanctl up ${view.overlay} ${underlay}${typeWords(plan.vxlan)}`;
  }

  #step(name: string, text: string, rttsMs: readonly number[] = []): void {
    const sorted = [...rttsMs].sort((a, b) => a - b);
    this.#steps.push({ name, text, rttMs: sorted[sorted.length >> 1] ?? null });
  }
}

/** Where our own responder is off, or could not be opened. */
async function openSocket(address: number): Promise<ProbeSocket> {
  try {
    return await ProbeSocket.open(address);
  } catch (cause) {
    const where = `UDP port ${PROBE_PORT} of ${formatAddress(address)}`;
    throw new FanError('step-failed', `cannot use ${where}: ${errorText(cause)}`, { cause });
  }
}
